"""Recommendations measured on baskets of the user's own: the last basket of each customer is held out.

The model gets the earlier baskets alone; what it does with them (which order, which weights) is chosen on a hold-out
inside them.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from models.evaluate.recommend import RankingQuality, ranking_quality
from models.recommend import RecommendSettings, recommend
from models.recommend.holdout import hold_out_last
from models.recommend.learning import Learned, learn, merit
from models.recommend.order import ByFrequency, ByPopularity, Order
from pipelines.errors import ConfigurationError
from pipelines.evaluation.tables import parse_map, read_table

FIELDS = ("customer_id", "basket_no", "ordered_at", "sku", "quantity")
MOST_PLACES = 1_000
SETTINGS = RecommendSettings(recent_days=None, max_repeat_share=1.0, trending_weight=0.0)
"""Everything may be recommended, also what was bought yesterday: that is what the next basket is made of."""

# Without dates, baskets are a week apart and everybody's last known one is on one day: the order of baskets is all
# that is known, and equal distances keep the time decay meaningful.
_LAST_DAY = date(2020, 1, 1)
_DAYS_APART = 7
_MOST_BASKETS_BACK = 5_000

_BASKETS = """
    with lines as (
        select trim(customer_id) as customer_id, trim(sku) as sku, {basket} as basket, {moment} as moment
        from given
        where trim(customer_id) <> '' and trim(sku) <> '' {bought}
    ),
    baskets as (
        select customer_id, basket, min(moment) as moment from lines where moment is not null group by all
    ),
    numbered as (
        select
            customer_id, basket, moment::{day} as day,
            row_number() over (partition by customer_id order by moment desc, basket desc) - 1 as back
        from baskets
    )
    select distinct customer_id, lines.sku, numbered.day, numbered.back
    from lines join numbered using (customer_id, basket)
    order by customer_id, back, sku
"""


@dataclass(frozen=True)
class RecommendMeasured:
    """Figures of one evaluation.

    lines: distinct (customer, basket, sku). customers: measured, those with an earlier basket; single_basket: those
    without, learned from and not measured. chosen: the order that did best on the inner hold-out. seconds: of
    learning and recommending, wall clock.
    """

    k: int
    lines: int
    items: int
    customers: int
    single_basket: int
    chosen: str
    ours: RankingQuality
    popularity: RankingQuality
    personal_top: RankingQuality
    seconds: float

    def row(self) -> dict[str, Any]:
        """One flat record, shares to six places."""
        found: dict[str, Any] = {
            name: getattr(self, name) for name in ("k", "lines", "items", "customers", "single_basket", "chosen")
        }
        for prefix, quality in (
            ("", self.ours),
            ("popularity_", self.popularity),
            ("personal_top_", self.personal_top),
        ):
            found |= {prefix + name: round(value, 6) for name, value in asdict(quality).items() if name != "customers"}
        best = max(merit(self.popularity), merit(self.personal_top))
        found["gain_on_best_simple_rule"] = round(merit(self.ours) / best - 1, 6) if best else None
        return found | {"seconds": round(self.seconds, 2)}


def evaluate_recommend(data: Path, k: int, map_text: str | None) -> RecommendMeasured:
    """Guess the last basket of each customer of a file. Raises ConfigurationError for wrong usage."""
    if not 1 <= k <= MOST_PLACES:
        raise ConfigurationError(f"-k is {k}; give a whole number from 1 to {MOST_PLACES:,}.")
    lines = _read_baskets(data, map_text)
    returning = lines.filter(pl.col("back") > 0).select("customer_id").unique()
    is_held = (pl.col("back") == 0) & pl.col("customer_id").is_in(returning["customer_id"].implode())
    held, known = lines.filter(is_held), lines.filter(~is_held)
    if returning.is_empty():
        raise ConfigurationError(
            f"--data: no customer of {data.name} has two baskets; there is no last one to hold out. "
            "Do basket_no or ordered_at tell the baskets of a customer apart?"
        )
    purchases = _purchases(known)
    as_of = purchases["ordered_on"].max()
    if not isinstance(as_of, date):
        raise ConfigurationError(f"--data: {data.name} has no usable line.")
    goods = _goods(lines)
    started = time.perf_counter()
    learned = _learned(purchases, goods, as_of, k)
    ours = _quality(purchases, goods, held, as_of, k, learned.order if learned else None)
    seconds = time.perf_counter() - started
    return RecommendMeasured(
        k=k,
        lines=lines.height,
        items=goods.num_rows,
        customers=returning.height,
        single_basket=lines["customer_id"].n_unique() - returning.height,
        chosen=learned.chosen if learned else "weights",
        ours=ours,
        popularity=_quality(purchases, goods, held, as_of, k, ByPopularity()),
        personal_top=_quality(purchases, goods, held, as_of, k, ByFrequency()),
        seconds=seconds,
    )


def _learned(purchases: pl.DataFrame, goods: pa.Table, as_of: date, k: int) -> Learned | None:
    holdout = hold_out_last(purchases, as_of)
    return None if holdout is None else learn([holdout], goods, SETTINGS, k, allow_rules=True)


def _quality(
    purchases: pl.DataFrame, goods: pa.Table, held: pl.DataFrame, as_of: date, k: int, order: Order | None
) -> RankingQuality:
    served = held["customer_id"].unique().to_arrow()
    lists = recommend(purchases.to_arrow(), served, goods, as_of, k, SETTINGS, "en", order=order)
    return ranking_quality(pl.DataFrame(lists), held, k)


def _read_baskets(data: Path, map_text: str | None) -> pl.DataFrame:
    """customer_id, sku, day (or null), back (0: the customer's last basket); distinct, without incomplete lines."""
    table = read_table(data, parse_map(map_text, FIELDS), FIELDS)
    for needed in ("customer_id", "sku"):
        if needed not in table.column_names:
            raise ConfigurationError(f"--map: say which column holds {needed}, as {needed}=COLUMN.")
    has_number, has_time = "basket_no" in table.column_names, "ordered_at" in table.column_names
    if not has_number and not has_time:
        raise ConfigurationError(
            "--map: say which column tells baskets apart, as basket_no=COLUMN or ordered_at=COLUMN."
        )
    moment = "try_cast(trim(ordered_at) as timestamp)" if has_time else "try_cast(trim(basket_no) as decimal(38, 6))"
    query = _BASKETS.format(
        basket="trim(basket_no)" if has_number else f"{moment}::varchar",
        moment=moment,
        bought="and coalesce(try_cast(quantity as double), 1) > 0" if "quantity" in table.column_names else "",
        day="date" if has_time else "decimal(38, 6)",
    )
    with duckdb.connect() as connection:
        connection.register("given", table)
        found = pl.DataFrame(connection.execute(query).to_arrow_table())
    if found.is_empty():
        what = "ordered_at as a date or time (ISO 8601)" if has_time else "basket_no as a number"
        raise ConfigurationError(f"--data: no line of {data.name} has a customer, a sku and {what}.")
    return found if has_time else found.with_columns(pl.lit(None, pl.Date).alias("day"))


def _purchases(known: pl.DataFrame) -> pl.DataFrame:
    """Lines as the model wants them. Without dates, the last basket is of `_LAST_DAY`, each a week before the next."""
    back = pl.col("back") - pl.col("back").min().over("customer_id")
    aligned = pl.lit(_LAST_DAY) - pl.duration(days=_DAYS_APART * back.clip(upper_bound=_MOST_BASKETS_BACK))
    return known.select(
        "customer_id",
        "sku",
        pl.coalesce("day", aligned.cast(pl.Date)).alias("ordered_on"),
        pl.lit(1.0).alias("quantity"),
    )


def _goods(lines: pl.DataFrame) -> pa.Table:
    return (
        lines.select("sku")
        .unique()
        .sort("sku")
        .select(
            "sku",
            pl.col("sku").alias("name"),
            pl.lit(None, pl.String).alias("category"),
            pl.lit(value=True).alias("is_sellable"),
        )
        .to_arrow()
    )
