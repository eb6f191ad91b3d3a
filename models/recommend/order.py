"""Orders: what puts the candidates of one customer in a row.

Belongs here: simple rules and the learned order behind one protocol, and the learned one as plain data. Does not belong
here: where candidates come from (blend.py), measuring which order is best (learning.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.recommend.interactions import FloatArray
from models.recommend.pairs import Pairs, transformed

NEGATIVES_SHARE = 0.4
"""Of the pairs that were not bought, how many are learned from; the intercept is put right afterwards."""


class Order(Protocol):
    """Gives pairs a score between 0 and 1; `strategies` beside the blend's own must be fitted and asked."""

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names, as in `lineup.py`."""
        ...

    def score(self, pairs: Pairs) -> FloatArray:
        """Above 0, at most 1; higher comes first."""
        ...


class ByPopularity:
    """What sold most ever."""

    strategies: tuple[str, ...] = ("bestseller",)

    def score(self, pairs: Pairs) -> FloatArray:
        """Share of all purchases."""
        return np.maximum(pairs.column("sold") / 10_000, 1e-9).astype(np.float32)


class ByFrequency:
    """What the customer bought on most days, of equal ones (and among what was never bought) what sold most."""

    strategies: tuple[str, ...] = ("bestseller",)

    def score(self, pairs: Pairs) -> FloatArray:
        """(days + share of all purchases) / more days than there are."""
        most = 40_000
        return ((pairs.column("days").astype(np.float64) + pairs.column("sold") / 10_001) / most + 1e-12).astype(
            np.float32
        )


RULES: dict[str, type[ByPopularity] | type[ByFrequency]] = {"popularity": ByPopularity, "frequency": ByFrequency}


@dataclass(frozen=True)
class LearnedOrder:
    """Logistic regression on the transformed features: the probability that the item is in the next basket.

    names: of the features, which must be those of the pairs. strategies: asked beside the blend's own.
    """

    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    intercept: float
    strategies: tuple[str, ...]

    def score(self, pairs: Pairs) -> FloatArray:
        """Raises ValueError where the pairs have other features than those that were learned from."""
        if pairs.names != self.names:
            raise ValueError(f"the order was learned from {', '.join(self.names)}; given are {', '.join(pairs.names)}")
        logit = transformed(pairs) @ np.asarray(self.coefficients, dtype=np.float32) + np.float32(self.intercept)
        return np.maximum(1 / (1 + np.exp(-np.clip(logit, -30, 30))), 1e-9).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for a model card."""
        return {
            "names": list(self.names), "coefficients": list(self.coefficients), "intercept": self.intercept,
            "strategies": list(self.strategies),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> LearnedOrder:
        """What `as_dict` made."""
        return cls(
            tuple(content["names"]), tuple(float(value) for value in content["coefficients"]),
            float(content["intercept"]), tuple(content["strategies"]),
        )  # fmt: skip


def to_card(order: Order | None) -> dict[str, Any] | None:
    """An order as plain data; None for the settings' weights. Raises ValueError for an order that is no data."""
    if order is None:
        return None
    if isinstance(order, LearnedOrder):
        return order.as_dict()
    for name, rule in RULES.items():
        if isinstance(order, rule):
            return {"rule": name}
    raise ValueError(f"{type(order).__name__} is no order that a card can hold")


def from_card(content: Mapping[str, Any] | None) -> Order | None:
    """The order that `to_card` wrote down."""
    if content is None:
        return None
    return RULES[content["rule"]]() if "rule" in content else LearnedOrder.from_dict(content)


def learn_order(
    pairs: Pairs, is_bought: NDArray[np.bool_], strategies: tuple[str, ...], seed: int
) -> LearnedOrder | None:
    """Learn from pairs of which it is known what came next; None where nothing was bought, or everything.

    Ridge-regularised (C = 1) on standardised columns; the coefficients are given for columns as they are.
    """
    if is_bought.all() or not is_bought.any():
        return None
    drawn = np.random.default_rng(seed).random(len(is_bought)) < NEGATIVES_SHARE
    kept = is_bought | drawn
    columns = transformed(Pairs(pairs.rows[kept], pairs.items[kept], pairs.values[kept], pairs.names))
    scaler = StandardScaler().fit(columns)
    model = LogisticRegression(max_iter=300).fit(scaler.transform(columns), is_bought[kept])
    coefficients = model.coef_[0] / scaler.scale_
    intercept = float(model.intercept_[0] - coefficients @ scaler.mean_ + np.log(NEGATIVES_SHARE))
    return LearnedOrder(pairs.names, tuple(float(value) for value in coefficients), intercept, strategies)
