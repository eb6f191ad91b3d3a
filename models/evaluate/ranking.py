"""How well scores rank and how well probabilities are meant: AUC with its error, Brier score, calibration.

Pure: arrays in, numbers out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def auc(happened: Flags, score: Floats) -> float | None:
    """Chance that one for whom it happened scores above one for whom it didn't, ties half; None without both."""
    n_yes, n_no = int(happened.sum()), int((~happened).sum())
    if not n_yes or not n_no:
        return None
    return float((rankdata(score)[happened].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


@dataclass(frozen=True)
class Lead:
    """By how much one score does better than another on the same cases, and the standard error of that."""

    difference: float
    standard_error: float

    def is_clear(self, errors: float) -> bool:
        """Whether it is above 0 by more than so many standard errors."""
        return self.difference > errors * self.standard_error


def auc_lead(happened: Flags, score: Floats, other: Floats) -> Lead | None:
    """AUC of `score` less that of `other`; None where there is none.

    DeLong, DeLong, Clarke-Pearson: Comparing the areas under two or more correlated ROC curves (Biometrics 44, 1988).
    """
    n_yes, n_no = int(happened.sum()), int((~happened).sum())
    if n_yes < 2 or n_no < 2:
        return None
    placed = [_placements(happened, values) for values in (score, other)]
    among_yes, among_no = (placed[0][side] - placed[1][side] for side in (0, 1))
    variance = among_yes.var(ddof=1) / n_yes + among_no.var(ddof=1) / n_no
    return Lead(float(among_yes.mean()), float(np.sqrt(variance)))


def _placements(happened: Flags, score: Floats) -> tuple[Floats, Floats]:
    """For each yes the share of noes below it, for each no the share of yeses above it."""
    yes, no = score[happened], score[~happened]
    ranks = rankdata(np.concatenate([yes, no]))
    below = (ranks[: len(yes)] - rankdata(yes)) / len(no)
    above = 1 - (ranks[len(yes) :] - rankdata(no)) / len(yes)
    return below, above


def brier(happened: Flags, probability: Floats) -> float | None:
    """Mean squared difference of the probability and what happened; None without cases."""
    return float(np.mean((probability - happened) ** 2)) if len(happened) else None


def brier_lead(happened: Flags, probability: Floats, other: Floats) -> Lead:
    """By how much the Brier score of `probability` is below that of `other`, with the error of paired cases."""
    gain = (other - happened) ** 2 - (probability - happened) ** 2
    return Lead(float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else np.inf)


@dataclass(frozen=True)
class Bin:
    """Cases of like prediction: its bounds, means of what was predicted and of what came, and how many."""

    low: float
    high: float
    predicted: float
    actual: float
    members: int


def calibration(predicted: Floats, actual: Floats, bins: int = 10) -> tuple[Bin, ...]:
    """Cases in order of prediction, in bins of about equal size; equal predictions stay together."""
    if not len(predicted):
        return ()
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, predicted, side="left")
    found = []
    for position in np.unique(place):
        inside = place == position
        found.append(
            Bin(
                float(predicted[inside].min()),
                float(predicted[inside].max()),
                float(predicted[inside].mean()),
                float(actual[inside].mean()),
                int(inside.sum()),
            )
        )
    return tuple(found)
