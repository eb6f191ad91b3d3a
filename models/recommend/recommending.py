"""Recommendations for a list of customers: the entry point of the package.

Belongs here: putting encoding, strategies, blend and reasons together, and the tables that go in and out.
Does not belong here: I/O, where an item is in stock, what becomes of the recommendations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa

from models.recommend.blend import Blend
from models.recommend.context import Profiles
from models.recommend.encoding import encode
from models.recommend.interactions import Interactions
from models.recommend.lineup import strategies_of
from models.recommend.next_stage import StageSpan
from models.recommend.order import Order
from models.recommend.reasons import REASONS, write_reasons
from models.recommend.settings import RecommendSettings
from models.recommend.strategy import NOBODY

SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("rank", pa.int32()),
        ("sku", pa.string()),
        ("score", pa.float64()),
        ("strategy", pa.string()),
        ("reason", pa.string()),
        ("reason_sku", pa.string()),
        ("as_of", pa.date32()),
    ]
)
"""Columns of the result. strategy: personal, item_item or popular, the one that spoke most for the item.
reason_sku: the customer's own purchase behind the reason (the item itself for personal), null for popular."""

CUSTOMERS_PER_BATCH = 50_000


def recommend(
    purchases: pa.Table,
    customers: pa.Array | pa.ChunkedArray,
    products: pa.Table,
    as_of: date,
    k: int = 10,
    settings: RecommendSettings | None = None,
    language: str = "zh",
    profiles: Profiles | None = None,
    stages: Sequence[StageSpan] = (),
    order: Order | None = None,
) -> pa.Table:
    """Recommend k sellable items to each customer, as one table of SCHEMA sorted by customer_id and rank.

    See `iter_recommendations` for the arguments; use that where the result would not fit in memory.
    """
    batches = iter_recommendations(
        purchases, customers, products, as_of, k, settings, language, profiles, stages, order
    )
    return pa.Table.from_batches(list(batches), schema=SCHEMA)


def iter_recommendations(
    purchases: pa.Table,
    customers: pa.Array | pa.ChunkedArray,
    products: pa.Table,
    as_of: date,
    k: int = 10,
    settings: RecommendSettings | None = None,
    language: str = "zh",
    profiles: Profiles | None = None,
    stages: Sequence[StageSpan] = (),
    order: Order | None = None,
) -> Iterator[pa.RecordBatch]:
    """Recommend in batches of whole customers, in the order of customer_id.

    purchases: customer_id (null: unidentified), sku, ordered_on DATE, quantity (below zero: a return).
    customers: ids to serve; nulls and repetitions are dropped, customers without purchases get what is popular.
    products: sku, name, category, is_sellable; optional spu (variants of one product share it) and is_durable.
    as_of: the last day that counts; what happened later is ignored.
    language: of the reasons, zh or en.
    profiles: where customers shop, the age of their children, what lies where. stages: how long products for an age
      are right. order: of `learning.learn`, instead of the settings' weights.
    Every customer gets k items, without repetition, or all there are where fewer sellable ones remain after what was
    just bought. The score lies between 0 and 1 and never rises with rank. Equal input gives equal output.
    Raises ValueError, at once, for a missing column, a k below 1 or an unknown language.
    """
    settings = settings or RecommendSettings()
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least 1 recommendation a customer")
    if language not in REASONS:
        raise ValueError(f"no reasons in language {language!r}; choose one of {', '.join(REASONS)}")
    interactions = encode(purchases, products, as_of, settings, profiles)
    served = pl.Series("customer_id", customers, dtype=pl.String).drop_nulls().unique().sort()
    return _batches(interactions, served, as_of, k, settings, language, stages, order)


def _batches(
    interactions: Interactions,
    served: pl.Series,
    as_of: date,
    k: int,
    settings: RecommendSettings,
    language: str,
    stages: Sequence[StageSpan],
    order: Order | None,
) -> Iterator[pa.RecordBatch]:
    blend = Blend(strategies_of(settings, stages), interactions, settings, order)
    index = pl.DataFrame(
        {"customer_id": interactions.customers, "row": np.arange(len(interactions.customers), dtype=np.int64)}
    )
    sku = interactions.catalogue.sku.to_arrow().cast(pa.string())
    names = [strategy.name for strategy in blend.strategies]
    for start in range(0, len(served), CUSTOMERS_PER_BATCH):
        batch = served.slice(start, CUSTOMERS_PER_BATCH)
        rows = batch.to_frame().join(index, on="customer_id", how="left", maintain_order="left")["row"]
        row_of = rows.fill_null(NOBODY).to_numpy()
        picks = blend.pick(row_of, k)
        reasons = write_reasons(interactions, row_of[picks.position], picks, names, language)
        yield pa.RecordBatch.from_arrays(
            [
                batch.to_arrow().cast(pa.string()).take(pa.array(picks.position)),
                pa.array(picks.rank, pa.int32()),
                sku.take(pa.array(picks.item)),
                pa.array(picks.score.astype(np.float64)),
                pa.array(names, pa.string()).take(pa.array(picks.strategy)),
                pa.array(reasons, pa.string()),
                sku.take(pa.array(picks.evidence, mask=picks.evidence == NOBODY)),
                pa.array(np.full(len(picks.item), as_of, dtype="datetime64[D]")),
            ],
            schema=SCHEMA,
        )
