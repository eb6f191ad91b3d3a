"""How much each level of agreement weighs, learned without labels (Fellegi and Sunter's model, by EM).

Belongs here: the mixture and its fitting, on counts of patterns of agreement. Does not belong here: making patterns,
scoring pairs.

A pair of records is one of three things: one person (share λ_m of all pairs), two persons of one household (λ_h), two
strangers (the rest). Within each, the levels of the comparisons are taken as independent:
- one person: m, free;
- household: on what relatives share (surname, address, phone, ...) free; on what is a person's own, as strangers;
- strangers: u, from random pairs, less the share of one person's pairs that is among them.
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
    m = [_rising(item.n_levels) for item in comparisons]
    u = list(seen)
    household = [
        _rising(item.n_levels) if item.field in SHARED_IN_A_HOUSEHOLD else seen[column]
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
            m[column] = _shares(candidates.levels[:, column], of_match, item.n_levels)
            u[column] = _less_matches(seen[column], m[column], match, smallest)
            if with_relatives and item.field in SHARED_IN_A_HOUSEHOLD:
                household[column] = _shares(candidates.levels[:, column], of_relative, item.n_levels)
            else:
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


def _rising(n_levels: int) -> Floats:
    """Where EM begins: the higher a level, the likelier."""
    weights = np.linspace(0.15, 1.0, n_levels) ** 3
    return np.asarray(weights / weights.sum())


def _frequencies(patterns: Patterns, column: int, n_levels: int) -> Floats:
    return _shares(patterns.levels[:, column], patterns.counts, n_levels, _RAREST)


def _shares(levels: Integers, weights: Floats, n_levels: int, floor: float = 0.05) -> Floats:
    is_said = levels >= 0
    totals = np.bincount(levels[is_said], weights[is_said], minlength=n_levels) + floor
    return np.asarray(totals / totals.sum())


def _less_matches(seen: Floats, m: Floats, match: float, smallest: float) -> Floats:
    """u, where `seen` = match × m + (1 - match) × u; never below the smallest that the sample can show."""
    u = np.maximum((seen - match * m) / (1 - match), np.minimum(seen, smallest))
    return np.asarray(u / u.sum())
