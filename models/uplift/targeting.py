"""Whom a treatment works on: scores from one half of the people, judged on the other, beside targeting at random.

Belongs here: the class transformation for experiments of any share (Athey & Imbens 2016, transformed outcome), on the
outcome less what was to be expected anyway; the Qini curve (Radcliffe 2007); medians over random halves (Chernozhukov,
Demirer, Duflo & Fernández-Val 2018: folds that learn from each other would find effects in noise). Does not belong
here: the average effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import StratifiedShuffleSplit
from threadpoolctl import threadpool_limits

from models.uplift.experiment import ALPHAS, Flags, Floats

SPLITS = 7
DRAWS = 200
TOP_SHARE = 0.2


@dataclass(frozen=True)
class Targeting:
    """How well scores order people by effect who were not learned from: medians over random halves.

    qini: area between the Qini curve and random targeting, in outcome a person; random_high: what 95 % of random
    orders stay below; p_value: twice the share of random orders that do as well, at most 1; top_effect: effect among
    the fifth with the highest scores; rest_effect: among the others.
    """

    qini: float
    random_high: float
    p_value: float
    top_effect: float
    rest_effect: float


def judge_targeting(covariates: Floats, surprise: Floats, treated: Flags, seed: int) -> Targeting:
    """Learn who reacts and judge it. surprise: outcome less expected outcome. [rows]"""
    judged = []
    halves = StratifiedShuffleSplit(SPLITS, test_size=0.5, random_state=seed)
    for split, (known, held) in enumerate(halves.split(covariates, treated)):
        found = _scores(covariates, surprise, treated, known, held, seed)
        judged.append(_judge(found, surprise[held], treated[held], np.random.default_rng([seed, split])))
    qini, high, p_value, top, rest = np.nanmedian(np.array(judged), axis=0)
    return Targeting(float(qini), float(high), min(1.0, 2 * float(p_value)), float(top), float(rest))


def _scores(
    covariates: Floats, surprise: Floats, treated: Flags, known: np.ndarray, held: np.ndarray, seed: int
) -> Floats:
    """Estimated effect of the held rows: the mean of a straight-line and a tree model, of which one finds what rises
    steadily, the other what holds for a corner."""
    share = treated[known].mean()
    transformed = surprise[known] * np.where(treated[known], 1 / share, -1 / (1 - share))
    line = RidgeCV(alphas=ALPHAS * 10).fit(covariates[known], transformed)
    trees = HistGradientBoostingRegressor(
        max_iter=40, learning_rate=0.05, max_leaf_nodes=4, min_samples_leaf=max(50, len(known) // 20),
        l2_regularization=10.0, early_stopping=False, random_state=seed,
    )  # fmt: skip
    with threadpool_limits(limits=1, user_api="openmp"):
        trees.fit(covariates[known], transformed)
        made: Floats = (line.predict(covariates[held]) + trees.predict(covariates[held])) / 2
    return made


def _judge(found: Floats, surprise: Floats, treated: Flags, rng: np.random.Generator) -> tuple[float, ...]:
    """Qini, 95 % of random orders, share of them that do as well, effect of the top and of the rest."""
    # Equal scores are no order: chance parts them.
    order = np.lexsort((rng.random(len(found)), -found))
    qini = qini_coefficient(surprise[order], treated[order])
    drawn = np.empty(DRAWS)
    for draw in range(DRAWS):
        at = rng.permutation(len(found))
        drawn[draw] = qini_coefficient(surprise[at], treated[at])
    top = np.zeros(len(found), dtype=np.bool_)
    top[order[: max(int(TOP_SHARE * len(found)), 1)]] = True
    return (
        qini,
        float(np.quantile(drawn, 0.95)),
        float((1 + (drawn >= qini).sum()) / (DRAWS + 1)),
        _effect(surprise[top], treated[top]),
        _effect(surprise[~top], treated[~top]),
    )


def qini_coefficient(outcome: Floats, treated: Flags) -> float:
    """Mean distance a person of the Qini curve from the straight line of random targeting; rows best first.

    The curve at k: outcome of the treated among the first k, less that of the control there scaled to as many.
    """
    n_treated, n_control = np.cumsum(treated), np.cumsum(~treated)
    gained = np.cumsum(np.where(treated, outcome, 0.0))
    without = np.cumsum(np.where(treated, 0.0, outcome))
    scaled = np.divide(without * n_treated, n_control, out=np.zeros(len(outcome)), where=n_control > 0)
    curve = gained - scaled
    n = len(outcome)
    line = curve[-1] * np.arange(1, n + 1) / n
    return float((curve - line).mean() / n)


def _effect(outcome: Floats, treated: Flags) -> float:
    if treated.all() or not treated.any():
        return float("nan")
    return float(outcome[treated].mean() - outcome[~treated].mean())
