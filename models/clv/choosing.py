"""Which model of counting fits a retailer: the one that finds later purchases likeliest.

A model is fitted up to a day. The logarithm of the chance that it gives to what the same customers did afterwards is
the difference of two log-likelihoods, of the whole history and of its part up to that day: no binning, no simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.clv.beta_geometric import BetaGeometric
from models.clv.counting import CountingModel
from models.clv.fitting import Fitted, TooFewError, fit, log_likelihoods
from models.clv.histories import Floats, Histories
from models.clv.pareto_nbd import ParetoNbd

BG_NBD = BetaGeometric()

CANDIDATES: tuple[CountingModel, ...] = (
    BG_NBD, ParetoNbd(), *(BetaGeometric(k, stops_at_first=True) for k in (1, 2, 3)),
)  # fmt: skip

MODELS: dict[str, CountingModel] = {model.name: model for model in CANDIDATES}


CLEAR = 2.0
"""Standard errors by which a model must beat BG/NBD to take its place."""


@dataclass(frozen=True)
class Choice:
    """held_out: mean log-likelihood of a customer's later purchases, by model name; empty where none could be had."""

    model: CountingModel
    held_out: dict[str, float]


def choose(before: Histories, after: Histories, seed: int = 0) -> Choice:
    """The model whose fit on `before` finds `after` likeliest; BG/NBD unless another is clearly better.

    before, after: the same customers in the same order, the second observed for longer, both with `log_gaps`. A
    difference within chance is no reason to leave the model that is known best. Where too few came again, BG/NBD.
    """
    later: dict[str, Floats] = {}
    for model in CANDIDATES:
        try:
            fitted = fit(model, before, seed)
        except TooFewError:
            return Choice(BG_NBD, {})
        later[model.name] = _of_customers(fitted, after) - _of_customers(fitted, before)
    held_out = {name: float(np.mean(found)) for name, found in later.items() if np.isfinite(found).all()}
    best = max(held_out, key=lambda name: held_out[name], default=BG_NBD.name)
    gain = later[best] - later[BG_NBD.name]
    is_clear = float(gain.mean()) > CLEAR * float(gain.std()) / np.sqrt(len(gain))
    return Choice(MODELS[best] if is_clear else BG_NBD, held_out)


def _of_customers(fitted: Fitted, histories: Histories) -> Floats:
    """log-likelihood of each customer's history, comparable between models."""
    known = log_likelihoods(fitted.model, fitted.theta, histories)[histories.group]
    return known + fitted.model.constant(histories.repeats[histories.group], histories.log_gaps)
