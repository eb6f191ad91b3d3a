"""How much each level of agreement weighs, learned without labels (Fellegi and Sunter's model, by EM).

Belongs here: the mixture and its fitting, on counts of patterns of agreement. Does not belong here: making patterns,
scoring pairs.

A pair of records is one of three things: one person (share λ_m of all pairs), two persons of one household (λ_h), two
strangers (the rest). Within each, the levels of the comparisons are taken as independent:
- one person: m, free;
- household: on what relatives share (surname, address, phone, ...) free; on what is a person's own, as strangers;
- strangers: u, from random pairs, less the shares of the other two among them.
Pairs that no blocking rule found count as strangers'. So λ_m is a share of all pairs, not of those that were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.linkage.comparisons import Compared
from models.linkage.fields import SHARED_IN_A_HOUSEHOLD

_ROUNDS = 300
_STILL = 1e-7
"""EM ends when λ_m moves by less than this part of itself."""
_EXPECTED_PAIRS = 20.0
"""How many pairs the expectation of one person's levels counts for: it decides where there are fewer true pairs."""
_RAREST = 0.5
"""Pairs that a level never seen is taken to have been seen in."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """A fitted model. m, u, household: for each comparison the probability of each level, from "differs" up.

    match, relative: shares of all pairs that are one person's, and a household's.
    """

    comparisons: tuple[Compared, ...]
    m: tuple[Floats, ...]
    u: tuple[Floats, ...]
    household: tuple[Floats, ...]
    match: float
    relative: float


@dataclass(frozen=True)
class Patterns:
    """Patterns of agreement: levels (patterns × comparisons; -1: nothing said) and how many pairs show each."""

    levels: Integers
    counts: Floats


def fit(comparisons: Sequence[Compared], candidates: Patterns, random_pairs: Patterns, n_pairs: float) -> Weights:
    """Fit the mixture. n_pairs: all pairs there are; candidates: counts of those that blocking found.

    Households are taken to exist only if they explain the data better than one person's errors do, by more than what
    their parameters cost (Bayesian information criterion). Else two fields that err together would pass for relatives.
    """
    plain, likelihood = _fit(comparisons, candidates, random_pairs, n_pairs, with_relatives=False)
    shared = [item for item in comparisons if item.field in SHARED_IN_A_HOUSEHOLD]
    own = [item for item in comparisons if item.field not in SHARED_IN_A_HOUSEHOLD]
    if not shared or not own:
        return plain
    richer, its_likelihood = _fit(comparisons, candidates, random_pairs, n_pairs, with_relatives=True)
    n_parameters = 1 + sum(item.n_levels - 1 for item in shared)
    n_related = max((richer.match + richer.relative) * n_pairs, 2.0)
    gain = its_likelihood - likelihood - n_parameters / 2 * np.log(n_related)
    return richer if gain > 0 else plain


def _fit(
    comparisons: Sequence[Compared],
    candidates: Patterns,
    random_pairs: Patterns,
    n_pairs: float,
    *,
    with_relatives: bool,
) -> tuple[Weights, float]:
    """The weights and the log likelihood of the candidates."""
    seen = [_frequencies(random_pairs, column, item.n_levels) for column, item in enumerate(comparisons)]
    smallest = _RAREST / max(random_pairs.counts.sum(), 1.0)
    match = min(candidates.counts.sum() / 10 / n_pairs, 1e-2)
    relative = match / 10 if with_relatives else 0.0
    m = [_expected(item.n_levels) for item in comparisons]
    u = list(seen)
    household = [
        _expected(item.n_levels) if item.field in SHARED_IN_A_HOUSEHOLD else seen[column]
        for column, item in enumerate(comparisons)
    ]
    for _ in range(_ROUNDS):
        p_match, p_relative, likelihood = _posteriors(candidates, m, u, household, match, relative)
        of_match, of_relative = p_match * candidates.counts, p_relative * candidates.counts
        new = max(of_match.sum() / n_pairs, 1e-15)
        is_still = abs(new - match) < _STILL * match
        match = new
        relative = max(of_relative.sum() / n_pairs, 1e-15) if with_relatives else 0.0
        for column, item in enumerate(comparisons):
            levels, expected = candidates.levels[:, column], _expected(item.n_levels)
            m[column] = _shares(levels, of_match, _EXPECTED_PAIRS * expected)
            is_shared = with_relatives and item.field in SHARED_IN_A_HOUSEHOLD
            if is_shared:
                household[column] = _shares(levels, of_relative, _EXPECTED_PAIRS * expected)
            u[column] = _less(seen[column], (m[column], match), (household[column], relative), smallest)
            if not is_shared:
                household[column] = u[column]
        if is_still:
            break
    return Weights(tuple(comparisons), tuple(m), tuple(u), tuple(household), match, relative), likelihood


def _posteriors(
    patterns: Patterns, m: list[Floats], u: list[Floats], household: list[Floats], match: float, relative: float
) -> tuple[Floats, Floats, float]:
    """Of each pattern the probabilities of one person and of a household; the log likelihood of all."""
    levels = patterns.levels
    as_match = np.full(len(levels), np.log(match))
    as_relative = np.full(len(levels), np.log(relative) if relative else -np.inf)
    as_strangers = np.full(len(levels), np.log(max(1 - match - relative, 1e-12)))
    for column in range(levels.shape[1]):
        for total, probabilities in ((as_match, m), (as_relative, household), (as_strangers, u)):
            total += np.append(np.log(probabilities[column]), 0.0)[levels[:, column]]
    whole = np.logaddexp(np.logaddexp(as_match, as_relative), as_strangers)
    return np.exp(as_match - whole), np.exp(as_relative - whole), float(whole @ patterns.counts)


def _expected(n_levels: int) -> Floats:
    """The levels of one person's records before the data is heard: agreement, seldom anything less."""
    return np.append(np.full(n_levels - 1, 0.3 / (n_levels - 1)), 0.7)


def _frequencies(patterns: Patterns, column: int, n_levels: int) -> Floats:
    return _shares(patterns.levels[:, column], patterns.counts, np.full(n_levels, _RAREST))


def _shares(levels: Integers, weights: Floats, before: Floats) -> Floats:
    """The share of each level, with so many pairs of each level taken to have been seen before."""
    is_said = levels >= 0
    totals = np.bincount(levels[is_said], weights[is_said], minlength=len(before)) + before
    return np.asarray(totals / totals.sum())


def _less(seen: Floats, match: tuple[Floats, float], household: tuple[Floats, float], smallest: float) -> Floats:
    """u, where `seen` is the mixture of strangers, matches and households; never below what the sample can show."""
    (m, share), (h, relative) = match, household
    if 1 - share - relative < smallest:
        return seen  # where all pairs are matches or relatives, there is nothing to tell strangers by
    u = np.maximum((seen - share * m - relative * h) / (1 - share - relative), np.minimum(seen, smallest))
    return np.asarray(u / u.sum())
