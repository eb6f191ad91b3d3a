"""An experiment's effect with its interval, and the tests that decide whether there is an experiment at all.

Belongs here: difference of means (Neyman's, unequal variances), CUPED (Deng, Xu, Kohavi & Walker 2013) with a
cross-fitted prediction of the outcome as its covariate, sample ratio mismatch (Fabijan et al. 2019), and balance of
what was known before. Does not belong here: who reacts to what (targeting).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm, t
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
USUAL_SHARES = (
    0.5, 0.1, 0.9, 0.2, 0.8, 0.25, 0.75, 0.3, 0.7, 1 / 3, 2 / 3, 0.4, 0.6, 0.05, 0.95, 0.15, 0.85, 0.35, 0.65,
    0.02, 0.98, 0.01, 0.99,
)  # fmt: skip
"""Shares that experiments are planned with; 45 and 55 % are not among them, so that a leaking half is seen."""
FOLDS = 5
MOST_BALANCE_ROWS = 50_000
ALPHAS = np.logspace(-2, 5, 15)


@dataclass(frozen=True)
class Effect:
    """Difference of means, treated less control, with its standard error and two-sided interval."""

    estimate: float
    standard_error: float
    low: float
    high: float
    p_value: float


def difference(outcome: Floats, treated: Flags, level: float) -> Effect:
    """Intention to treat: everybody counts where the draw put them. Welch's interval at that level, such as 0.95."""
    groups = outcome[treated], outcome[~treated]
    estimate = float(groups[0].mean() - groups[1].mean())
    parts = [group.var(ddof=1) / len(group) for group in groups]
    error = float(np.sqrt(sum(parts)))
    freedom = sum(parts) ** 2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True))
    reach = float(t.ppf((1 + level) / 2, freedom)) * error
    return Effect(estimate, error, estimate - reach, estimate + reach, float(2 * t.sf(abs(estimate) / error, freedom)))


def expected_outcome(covariates: Floats, outcome: Floats, seed: int) -> Floats:
    """What covariates say of the outcome, each row predicted by a ridge regression that did not see it. [rows]"""
    found = np.full(len(outcome), outcome.mean())
    if not covariates.shape[1]:
        return found
    for known, held in KFold(FOLDS, shuffle=True, random_state=seed).split(covariates):
        model = RidgeCV(alphas=ALPHAS).fit(covariates[known], outcome[known])
        found[held] = model.predict(covariates[held])
    return found


def adjusted_outcome(outcome: Floats, expected: Floats) -> Floats:
    """CUPED: the outcome less what was to be expected anyway, which changes no mean and takes variance away."""
    spread = expected.var()
    slope = np.cov(outcome, expected)[0, 1] / spread if spread > 0 else 0.0
    return outcome - slope * (expected - expected.mean())


def split_p_value(n_treated: int, n_control: int, share: float) -> float:
    """Chance of a split at least as uneven if `share` were drawn into treatment (chi-square, one degree)."""
    n = n_treated + n_control
    expected = n * share, n * (1 - share)
    statistic = sum(
        (found - wanted) ** 2 / wanted for found, wanted in zip((n_treated, n_control), expected, strict=True)
    )
    return float(chi2.sf(statistic, 1))


def usual_share(found: float) -> float:
    """The share of USUAL_SHARES that the experiment was most likely planned with."""
    return min(USUAL_SHARES, key=lambda share: abs(share - found))


def balance_p_value(covariates: Floats, treated: Flags, seed: int) -> float:
    """Chance that a draw would leave the groups as different in what was known before.

    The smaller of two tests, doubled: a linear one (n R² of treatment on covariates, chi-square), and how well trees
    that did not see a row tell its group (Mann-Whitney of cross-fitted scores), which finds rules of any shape.
    """
    if not covariates.shape[1]:
        return 1.0
    if len(treated) > MOST_BALANCE_ROWS:
        kept = np.random.default_rng(seed).choice(len(treated), MOST_BALANCE_ROWS, replace=False)
        covariates, treated = covariates[kept], treated[kept]
    centred = covariates - covariates.mean(axis=0)
    target = treated - treated.mean()
    solved, _, rank, _ = np.linalg.lstsq(centred, target, rcond=1e-9)
    explained = float(((centred @ solved) ** 2).sum() / (target**2).sum())
    linear = float(chi2.sf(len(target) * explained, max(int(rank), 1)))
    scores = np.zeros(len(target))
    with threadpool_limits(limits=1, user_api="openmp"):
        for known, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(covariates, treated):
            trees = HistGradientBoostingClassifier(
                max_iter=30, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=False, random_state=seed
            )
            scores[held] = trees.fit(covariates[known], treated[known]).predict_proba(covariates[held])[:, 1]
    n_treated, n_control = int(treated.sum()), int((~treated).sum())
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    above = (ranks[treated].sum() - n_treated * (n_treated + 1) / 2) / (n_treated * n_control)
    z = (above - 0.5) / np.sqrt((n_treated + n_control + 1) / (12 * n_treated * n_control))
    return min(1.0, 2 * min(linear, float(norm.sf(z))))
