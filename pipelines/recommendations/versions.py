"""Versions of the order of recommendations: learned on held-out purchases, kept while nothing better is found.

Belongs here: when an order is learned again, its card, promotion. Does not belong here: learning (models.recommend),
reading and writing marts (nightly).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from models.evaluate.recommend import RankingQuality
from models.recommend import RecommendSettings
from models.recommend.context import Profiles
from models.recommend.holdout import hold_out_windows
from models.recommend.learning import FREQUENCY, POPULARITY, WEIGHTS, feature_names, learn, measure, merit
from models.recommend.next_stage import StageSpan
from models.recommend.order import LearnedOrder, Order, from_card, to_card
from pipelines.scoring import Card, Version, current, last_attempt, promote_if_better

MODEL = "recommend"
DECIDES = "merit"
REFIT_DAYS = 28
FEWEST_CUSTOMERS = 400
"""Who must come back in the newest window: with fewer, the error of recall (about .4 / √customers) is above all that an
order gains over the weights."""

TOLERANCE = 0.02
"""Share by which a newer order may do worse and still be taken: it knows what the other one doesn't."""

PROTOCOL = (
    "The first day of purchase of each returning customer in the last weeks before the end is held out; lists of {k}. "
    "Orders are learned on up to three such windows and compared on the newest. "
    "recall, ndcg (ideal over all items bought), phr: means over customers, learned orders on customers they did not "
    "learn from; merit: the mean of recall and ndcg, by which orders are chosen."
)


@dataclass(frozen=True)
class Inputs:
    """What orders are learned from. purchases: of drawn customers."""

    purchases: pa.Table
    products: pa.Table
    profiles: Profiles


@dataclass(frozen=True)
class InUse:
    """The order of tonight (None: the settings' weights), the version it is of (None: never learned), and words."""

    order: Order | None
    version: str | None
    words: str


def order_in_use(
    engine: sa.Engine,
    as_of: date,
    settings: RecommendSettings,
    stages: Sequence[StageSpan],
    k: int,
    inputs: Callable[[], Inputs],
) -> InUse:
    """The order to recommend in; learned anew if four weeks have passed or the old one no longer fits the strategies.

    inputs: read only when something is learned.
    """
    standing = current(engine, MODEL, as_of)
    if standing is not None and not _fits(standing, settings, stages):
        standing = None
    attempted = last_attempt(engine, MODEL, as_of)
    if standing is not None and attempted is not None and (as_of - attempted).days < REFIT_DAYS:
        return _in_use(standing, "the order in use")
    given = inputs()
    holdouts = hold_out_windows(pl.DataFrame(given.purchases), as_of)
    if not holdouts or holdouts[0].truth["customer_id"].n_unique() < FEWEST_CUSTOMERS:
        return _in_use(standing, "too few customers came again to learn from")
    learned = learn(holdouts, given.products, settings, k, given.profiles, stages)
    card = Card(
        model=MODEL,
        as_of=as_of,
        window_start=holdouts[-1].first_day,
        window_end=as_of,
        rows=learned.customers,
        seed=settings.seed,
        parameters={"chosen": learned.chosen, "order": to_card(learned.order)},
        metrics=_metrics(learned.quality[learned.chosen]),
        baselines={
            name: _metrics(quality) for name, quality in learned.quality.items()
            if name != learned.chosen and name in (POPULARITY, FREQUENCY, WEIGHTS)
        },
        protocol=PROTOCOL.format(k=k),
        notes=(f"Chosen: {learned.chosen}.",),
    )  # fmt: skip
    rival = None
    if standing is not None:
        order = from_card(standing.card.parameters["order"])
        rival = merit(measure(holdouts[0], given.products, order, settings, k, given.profiles, stages))
    promotion = promote_if_better(
        engine, card, DECIDES, higher_is_better=True,
        in_use=standing, in_use_value=rival, tolerance=TOLERANCE * (rival or 0.0),
    )  # fmt: skip
    return _in_use(promotion.in_use, f"{learned.chosen}: {promotion.reason}")


def _in_use(version: Version | None, words: str) -> InUse:
    if version is None:
        return InUse(None, None, words)
    return InUse(from_card(version.card.parameters["order"]), version.version, words)


def _fits(version: Version, settings: RecommendSettings, stages: Sequence[StageSpan]) -> bool:
    """Whether a version's order reads the features that there are now."""
    order = from_card(version.card.parameters["order"])
    return not isinstance(order, LearnedOrder) or order.names == feature_names(settings, stages, order.strategies)


def _metrics(quality: RankingQuality) -> dict[str, Any]:
    figures = {"recall": quality.recall, "ndcg": quality.ndcg, "phr": quality.phr, DECIDES: merit(quality)}
    return {name: round(value, 6) for name, value in figures.items()}
