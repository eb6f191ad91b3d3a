"""How much each level of agreement weighs, learned without labels (Fellegi and Sunter's model, by EM).

Belongs here: the mixture and its fitting, on counts of patterns of agreement. Does not belong here: making patterns,
scoring pairs.

A pair of records is one person (share λ of all pairs), two persons of one household, two of one place (neighbours), or
two strangers (the rest). Within each, the levels of the comparisons are taken as independent:
- one person: m, free, but that nobody's records differ more often than not in what is a person's own for life;
- household: on what relatives share (surname, address, phone, ...) free; on what is a person's own, as strangers;
- neighbours: on the place (city, postcode, address), whose parts go together, free; on all else, as strangers;
- strangers: u, from random pairs, less the shares of the others among them.
Pairs that no blocking rule found count as strangers'. So λ is a share of all pairs, not of those that were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.linkage.comparisons import Compared
from models.linkage.fields import OWN, PLACE, SHARED_IN_A_HOUSEHOLD

_ROUNDS = 300
_STILL = 1e-7
"""EM ends when λ moves by less than this part of itself."""
_EXPECTED_PAIRS = 20.0
"""How many pairs the expectation of one person's levels counts for: it decides where there are fewer true pairs."""
_MOST_SAME = 10.0
"""Pairs a record that agree on the only field there is, beyond which it is no person's own."""
_RAREST = 0.5
"""Pairs that a level never seen is taken to have been seen in."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alternative:
    """Two persons who agree on some fields for a reason. share: of all pairs; levels: as m, else as strangers'."""

    fields: frozenset[str]
    share: float
    levels: tuple[Floats, ...]


@dataclass(frozen=True)
class Weights:
    """A fitted model. m, u: for each comparison the probability of each level, from "differs" up.

    match: share of all pairs that are one person's. alternatives: the kinds of two persons that the data needs besides
    strangers.
    """

    comparisons: tuple[Compared, ...]
    m: tuple[Floats, ...]
    u: tuple[Floats, ...]
    match: float
    alternatives: tuple[Alternative, ...]

    @property
    def relative(self) -> float:
        """Share of all pairs that are a household's."""
        return sum(kind.share for kind in self.alternatives if kind.fields == SHARED_IN_A_HOUSEHOLD)


@dataclass(frozen=True)
class Patterns:
    """Patterns of agreement: levels (patterns × comparisons; -1: nothing said) and how many pairs show each."""

    levels: Integers
    counts: Floats


def fit(comparisons: Sequence[Compared], candidates: Patterns, random_pairs: Patterns, n_pairs: float) -> Weights:
    """Fit the mixture. n_pairs: all pairs there are; candidates: counts of those that blocking found.

    Households and neighbours are taken to exist only if they explain the data better than one person's errors do, by
    more than what their parameters cost (Bayesian information criterion). Else two fields that err together would pass
    for relatives.
    """
    names = {item.field for item in comparisons}
    best, its_worth = _fit(comparisons, candidates, random_pairs, n_pairs, ())
    for kinds in ((PLACE,), (SHARED_IN_A_HOUSEHOLD,), (SHARED_IN_A_HOUSEHOLD, PLACE)):
        if not all(names & kind and names - kind for kind in kinds):
            continue
        found, likelihood = _fit(comparisons, candidates, random_pairs, n_pairs, kinds)
        n_parameters = sum(1 + sum(item.n_levels - 1 for item in comparisons if item.field in kind) for kind in kinds)
        n_related = max((found.match + sum(kind.share for kind in found.alternatives)) * n_pairs, 2.0)
        worth = likelihood - n_parameters / 2 * np.log(n_related)
        if worth > its_worth:
            best, its_worth = found, worth
    return best


def _fit(
    comparisons: Sequence[Compared],
    candidates: Patterns,
    random_pairs: Patterns,
    n_pairs: float,
    kinds: Sequence[frozenset[str]],
) -> tuple[Weights, float]:
    """The weights and the log likelihood of the candidates."""
    seen = [_frequencies(random_pairs, column, item.n_levels) for column, item in enumerate(comparisons)]
    smallest = _RAREST / max(random_pairs.counts.sum(), 1.0)
    match = _first_guess(comparisons, candidates, n_pairs)
    shares = [match / 10] * len(kinds)
    m = [_expected(item.n_levels) for item in comparisons]
    u = [_less(seen[0], [(match, m[0])], smallest)] if len(comparisons) == 1 else list(seen)
    others = [
        [_expected(item.n_levels) if item.field in kind else seen[column] for column, item in enumerate(comparisons)]
        for kind in kinds
    ]
    likelihood = 0.0
    for _ in range(_ROUNDS if len(comparisons) > 1 else 0):  # one field cannot say what its own errors are
        posteriors, likelihood = _posteriors(candidates, u, [(match, m), *zip(shares, others, strict=True)])
        of_match, *of_others = (posterior * candidates.counts for posterior in posteriors)
        new = max(of_match.sum() / n_pairs, 1e-15)
        is_still = abs(new - match) < _STILL * match
        match = new
        shares = [max(counts.sum() / n_pairs, 1e-15) for counts in of_others]
        for column, item in enumerate(comparisons):
            levels, expected = candidates.levels[:, column], _EXPECTED_PAIRS * _expected(item.n_levels)
            m[column] = _shares(levels, of_match, expected)
            if item.field in OWN:
                m[column] = _mostly_agreeing(m[column])
            for kind, counts, other in zip(kinds, of_others, others, strict=True):
                if item.field in kind:
                    other[column] = _shares(levels, counts, expected)
            agreeing = [(share, other[column]) for kind, share, other in zip(kinds, shares, others, strict=True)
                        if item.field in kind]  # fmt: skip
            u[column] = _less(seen[column], [(match, m[column]), *agreeing], smallest)
            for kind, other in zip(kinds, others, strict=True):
                if item.field not in kind:
                    other[column] = u[column]
        if is_still:
            break
    alternatives = tuple(
        Alternative(kind, share, tuple(other)) for kind, share, other in zip(kinds, shares, others, strict=True)
    )
    return Weights(tuple(comparisons), tuple(m), tuple(u), match, alternatives), likelihood


def _posteriors(
    patterns: Patterns, u: list[Floats], kinds: Sequence[tuple[float, list[Floats]]]
) -> tuple[list[Floats], float]:
    """Of each pattern the probability of each kind (share, levels) but strangers; the log likelihood of all."""
    strangers = max(1 - sum(share for share, _ in kinds), 1e-12)
    likelihoods = []
    for share, probabilities in (*kinds, (strangers, u)):
        total = np.full(len(patterns.levels), np.log(share))
        for column, levels in enumerate(probabilities):
            total += np.append(np.log(levels), 0.0)[patterns.levels[:, column]]
        likelihoods.append(total)
    whole = np.logaddexp.reduce(likelihoods, axis=0)
    return [np.exp(total - whole) for total in likelihoods[:-1]], float(whole @ patterns.counts)


def _first_guess(comparisons: Sequence[Compared], candidates: Patterns, n_pairs: float) -> float:
    """Share of matches to begin with: a tenth of the candidates.

    Where there is but one field, nothing else can tell a match from chance. Pairs that agree on it wholly are matches
    then, unless they are so many that it cannot be a person's own.
    """
    if len(comparisons) == 1:
        n_levels = comparisons[0].n_levels
        n_same = candidates.counts[candidates.levels[:, 0] == n_levels - 1].sum()
        is_own = n_same <= _MOST_SAME * np.sqrt(2 * n_pairs)
        return float(max(n_same * is_own / _expected(n_levels)[-1] / n_pairs, 1e-15))
    return float(min(candidates.counts.sum() / 10 / n_pairs, 1e-2))


def _expected(n_levels: int) -> Floats:
    """The levels of one person's records before the data is heard: agreement, seldom anything less."""
    return np.append(np.full(n_levels - 1, 0.3 / (n_levels - 1)), 0.7)


def _mostly_agreeing(m: Floats) -> Floats:
    """The levels, with no more than half of the pairs at "differs"."""
    if m[0] <= 0.5:
        return m
    rest = 0.5 / max(m[1:].sum(), 1e-12)
    return np.append(0.5, m[1:] * rest)


def _frequencies(patterns: Patterns, column: int, n_levels: int) -> Floats:
    return _shares(patterns.levels[:, column], patterns.counts, np.full(n_levels, _RAREST))


def _shares(levels: Integers, weights: Floats, before: Floats) -> Floats:
    """The share of each level, with so many pairs of each level taken to have been seen before."""
    is_said = levels >= 0
    totals = np.bincount(levels[is_said], weights[is_said], minlength=len(before)) + before
    return np.asarray(totals / totals.sum())


def _less(seen: Floats, parts: Sequence[tuple[float, Floats]], smallest: float) -> Floats:
    """u, where `seen` mixes strangers and parts (share, levels); never below what the sample can show."""
    rest = 1 - sum(share for share, _ in parts)
    if rest < smallest:
        return seen  # where all pairs are somebody's, there is nothing to tell strangers by
    left = seen - np.sum([share * levels for share, levels in parts], axis=0)
    u = np.maximum(left / rest, np.minimum(seen, smallest))
    return np.asarray(u / u.sum())
