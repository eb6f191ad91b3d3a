"""From an experiment to what may be said of it.

Belongs here: the order of the checks, refusals, and the verdict. Does not belong here: formulas of effects and scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.uplift.experiment import (
    Effect,
    Flags,
    Floats,
    adjusted_outcome,
    balance_p_value,
    difference,
    expected_outcome,
    split_p_value,
    usual_share,
)
from models.uplift.targeting import Targeting, judge_targeting


@dataclass(frozen=True)
class UpliftSettings:
    """level: of intervals. broken_below, unbalanced_below: p-values below
    which a split, and its balance, are taken for broken. least_group:
    smallest group that can speak; least_events: of a yes-or-no outcome, the least yes and no over both groups together.
    least_targeting: rows from which whom it works on is asked. claim_below: p-value below which targeting is claimed.
    seed: of folds and of random orders."""

    level: float = 0.95
    broken_below: float = 0.001
    unbalanced_below: float = 0.0001
    least_group: int = 30
    least_events: int = 10
    least_targeting: int = 1_000
    claim_below: float = 0.05
    seed: int = 7


@dataclass(frozen=True)
class Assessment:
    """What may be said.

    verdict: refused, lift, harm, or no_effect_seen (of the adjusted effect). reasons: why refused, in words.
    expected_share: of treated, which the split was tested against. effect: plain difference; adjusted: with CUPED;
    variance_reduction: share of the plain effect's variance that CUPED takes away. targeting is None where it was not
    asked; targeting_claimed: whether the scores beat random orders.
    """

    verdict: str
    reasons: tuple[str, ...]
    treated: int
    control: int
    expected_share: float | None = None
    srm_p_value: float | None = None
    balance_p_value: float | None = None
    mean_treated: float | None = None
    mean_control: float | None = None
    effect: Effect | None = None
    adjusted: Effect | None = None
    variance_reduction: float | None = None
    targeting: Targeting | None = None
    targeting_claimed: bool = False


def assess(
    outcome: Floats,
    treated: Flags,
    covariates: Floats,
    *,
    planned_share: float | None = None,
    settings: UpliftSettings | None = None,
) -> Assessment:
    """Assess an experiment. outcome [rows] finite; treated [rows]; covariates [rows, features] of before the treatment.

    planned_share: part that was to be treated; where it is not known, the usual share that lies nearest.
    """
    chosen = settings or UpliftSettings()
    n_treated, n_control = int(treated.sum()), int((~treated).sum())
    reasons = _unbearable(outcome, treated, chosen)
    if reasons:
        return Assessment("refused", tuple(reasons), n_treated, n_control)
    share = usual_share(n_treated / len(treated)) if planned_share is None else planned_share
    srm = split_p_value(n_treated, n_control, share)
    balance = balance_p_value(covariates, treated, chosen.seed)
    means = float(outcome[treated].mean()), float(outcome[~treated].mean())
    if srm < chosen.broken_below:
        known = "planned" if planned_share is not None else "usual"
        reasons.append(
            f"the split is broken: {n_treated} treated and {n_control} control are not {share:.1%} treated, "
            f"the {known} share (p = {srm:.1g})"
            + ("" if planned_share is not None else "; if another share was planned, say which")
        )
    if balance < chosen.unbalanced_below:
        reasons.append(
            f"the groups were not drawn at random: they differ in what is said of them (p = {balance:.1g}), "
            "or a column is a consequence of the treatment"
        )
    if reasons:
        return Assessment("refused", tuple(reasons), n_treated, n_control, share, srm, balance, *means)
    effect = difference(outcome, treated, chosen.level)
    expected = expected_outcome(covariates, outcome, chosen.seed)
    adjusted = difference(adjusted_outcome(outcome, expected), treated, chosen.level)
    reduction = 1 - (adjusted.standard_error / effect.standard_error) ** 2
    targeting = None
    if covariates.shape[1] and len(outcome) >= chosen.least_targeting:
        surprise = outcome - expected
        targeting = judge_targeting(covariates, surprise, treated, chosen.seed)
    verdict = "lift" if adjusted.low > 0 else "harm" if adjusted.high < 0 else "no_effect_seen"
    return Assessment(
        verdict, (), n_treated, n_control, share, srm, balance, *means, effect, adjusted, reduction, targeting,
        targeting is not None and targeting.qini > 0 and targeting.p_value < chosen.claim_below,
    )  # fmt: skip


def _unbearable(outcome: Floats, treated: Flags, settings: UpliftSettings) -> list[str]:
    """Why no effect can be had from these numbers at all."""
    n_treated, n_control = int(treated.sum()), int((~treated).sum())
    if not n_treated or not n_control:
        return ["nobody was treated" if not n_treated else "there is no control group"]
    if min(n_treated, n_control) < settings.least_group:
        return [f"too few: {n_treated} treated, {n_control} control; {settings.least_group} are needed of each"]
    values = np.unique(outcome)
    if len(values) == 1:
        return ["the outcome is the same for everybody"]
    if outcome[treated].std() == 0 or outcome[~treated].std() == 0:
        return ["the outcome is the same for everybody in one of the groups"]
    if len(values) == 2:
        rarer = int(min((outcome == value).sum() for value in values))
        if rarer < settings.least_events:
            return [f"too few: the rarer outcome happened {rarer} times; {settings.least_events} are needed"]
    return []
