"""Logistic regression on rhythm features, and the simple rules it must beat.

A linear model on features that carry the rhythm ranks as well as boosted trees on the sets it was measured on, says
what it weighs, and is data: its card alone makes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from models.churn.features import FEATURES, Flags, Floats, Known, feature_matrix, mean_gap
from models.clv.beta_geometric import BetaGeometric
from models.clv.fitting import TooFewError, fit
from models.evaluate.ranking import Bin, Lead, auc, auc_lead, brier, brier_lead, calibration

RULES: Mapping[str, tuple[str, ...]] = {"recency": ("log_recency",), "frequency": ("log_order_days",)}
"""Simple rules by the one feature each ranks by: days since the last order, and purchase frequency."""

COUNTING = (BetaGeometric(), BetaGeometric(2, stops_at_first=True))
"""Models of buyers by chance and of regular ones, whose chances are features."""

LEAST_OUTCOMES = 20
"""With fewer customers who came back, or who did not, nothing can be learned nor measured."""

MOST_CUSTOMERS = 200_000
CLEAR = 1.645
"""Standard errors (one-sided 95 %) by which the model's figure must exceed the best rule's to be clearly better."""


class TooFewOutcomesError(ValueError):
    """Too few customers came back, or too few did not."""


@dataclass(frozen=True)
class ChurnModel:
    """A fitted model or rule: chance of an order within the horizon = expit(intercept + Σ weight · feature).

    weights: by feature; those of a rule have one. counting: theta of each model in COUNTING, None where there was none.
    """

    name: str
    horizon_days: int
    usual_gap: float
    intercept: float
    weights: Mapping[str, float]
    counting: tuple[tuple[float, ...] | None, ...]

    def p_return(self, known: Known) -> Floats:
        """Chance of an order within the horizon, of each customer."""
        models = tuple(
            (model, np.array(theta)) if theta is not None and _uses_counting(self.weights) else None
            for model, theta in zip(COUNTING, self.counting, strict=True)
        )
        features = feature_matrix(known, self.horizon_days, self.usual_gap, models)
        weights = np.array([self.weights.get(name, 0.0) for name in FEATURES])
        return expit(self.intercept + features @ weights)

    def as_dict(self) -> dict[str, Any]:
        """For a card."""
        return {
            "name": self.name,
            "horizon_days": self.horizon_days,
            "usual_gap": self.usual_gap,
            "intercept": self.intercept,
            "weights": dict(self.weights),
            "counting": [list(theta) if theta is not None else None for theta in self.counting],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ChurnModel:
        """What `as_dict` made."""
        counting = tuple(tuple(theta) if theta is not None else None for theta in content["counting"])
        return cls(**{**content, "counting": counting})


def _uses_counting(weights: Mapping[str, float]) -> bool:
    return any(weights.get(name) for name in FEATURES[-len(COUNTING) :])


def fit_churn(known: Known, came_back: Flags, horizon_days: int, seed: int = 0) -> dict[str, ChurnModel]:
    """The model, named `rhythm`, and each rule, from customers as they were on a day and what they did after it.

    came_back: whether an order fell in the `horizon_days` days after the day. Raises TooFewOutcomesError.
    """
    if min(came_back.sum(), (~came_back).sum()) < LEAST_OUTCOMES:
        raise TooFewOutcomesError(
            f"{int(came_back.sum())} customers came back within {horizon_days} days and {int((~came_back).sum())} did "
            f"not; learning takes {LEAST_OUTCOMES} of both."
        )
    if len(known) > MOST_CUSTOMERS:
        rows = np.sort(np.random.default_rng(seed).choice(len(known), MOST_CUSTOMERS, replace=False))
        known, came_back = known.part(rows), came_back[rows]
    usual_gap, histories = mean_gap(known), known.histories()
    counting: list[tuple[float, ...] | None] = []
    for model in COUNTING:
        try:
            counting.append(tuple(float(value) for value in fit(model, histories, seed).theta))
        except TooFewError:
            counting.append(None)
    pairs = tuple(
        (model, np.array(theta)) if theta is not None else None for model, theta in zip(COUNTING, counting, strict=True)
    )
    features = feature_matrix(known, horizon_days, usual_gap, pairs)
    fitted = {}
    for name, columns in {"rhythm": FEATURES, **RULES}.items():
        intercept, weights = _regress(features, columns, came_back)
        fitted[name] = ChurnModel(name, horizon_days, usual_gap, intercept, weights, tuple(counting))
    return fitted


def _regress(features: Floats, columns: tuple[str, ...], came_back: Flags) -> tuple[float, dict[str, float]]:
    """Intercept and weights in the features' own units; a feature that never varies has none."""
    places = [FEATURES.index(name) for name in columns]
    chosen = features[:, places]
    centre, spread = chosen.mean(axis=0), chosen.std(axis=0)
    varies = spread > 1e-12
    if not varies.any():
        share = float(came_back.mean())
        return float(np.log(share / (1 - share))), {}
    scaled = (chosen[:, varies] - centre[varies]) / spread[varies]
    found = LogisticRegression(C=1.0, max_iter=2000).fit(scaled, came_back)
    weights = found.coef_[0] / spread[varies]
    names = [name for name, is_used in zip(columns, varies, strict=True) if is_used]
    intercept = float(found.intercept_[0] - weights @ centre[varies])
    return intercept, dict(zip(names, (float(weight) for weight in weights), strict=True))


@dataclass(frozen=True)
class Measured:
    """How models did on customers as they were on a later day.

    metrics: by model or rule: auc (of coming back) and brier. best_rule: the rule of the highest AUC. lead, brier_lead:
    of the model over the best rule, each by its own figure. winner: `rhythm` where it won, else the best rule.
    """

    metrics: Mapping[str, Mapping[str, float | None]]
    best_rule: str
    lead: Lead | None
    brier_lead: Lead
    winner: str
    calibration: tuple[Bin, ...]


def measure(models: Mapping[str, ChurnModel], known: Known, came_back: Flags) -> Measured:
    """Models against rules on what came later than all that they learned from.

    The model wins where it ranks clearly better than the best rule, or ranks no worse and its probabilities are clearly
    nearer to what happened than those of any rule.
    """
    chances = {name: model.p_return(known) for name, model in models.items()}
    metrics = {
        name: {"auc": auc(came_back, chance), "brier": brier(came_back, chance)} for name, chance in chances.items()
    }
    best_rule = max(RULES, key=lambda name: metrics[name]["auc"] or 0.0)
    lead = auc_lead(came_back, chances["rhythm"], chances[best_rule])
    leads = [brier_lead(came_back, chances["rhythm"], chances[name]) for name in RULES]
    least = min(leads, key=lambda found: found.difference)
    wins = lead is not None and (lead.is_clear(CLEAR) or (lead.difference >= 0 and least.is_clear(CLEAR)))
    winner = "rhythm" if wins else best_rule
    return Measured(metrics, best_rule, lead, least, winner, calibration(chances[winner], came_back.astype(np.float64)))
