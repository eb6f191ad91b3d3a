"""How good ranked lists are against what was bought next.

Belongs here: recall, NDCG, PHR of lists. Does not belong here: splitting data, making the lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class RankingQuality:
    """Means over the customers with anything relevant.

    recall: hits among the first k / relevant items.
    ndcg: Σ 1/log2(rank + 1) of the hits / the same sum for all relevant items ranked first, not only k of them.
    phr: share of customers with at least one hit (personal hit ratio).
    """

    customers: int
    recall: float
    ndcg: float
    phr: float


def ranking_quality(recommended: pl.DataFrame, relevant: pl.DataFrame, k: int = 10) -> RankingQuality:
    """Compare lists with the truth.

    recommended: customer_id, rank (from 1), sku. relevant: customer_id, sku; its customers are those who count, and
    one without a list counts as missed. Raises ValueError where nothing is relevant.
    """
    truth = relevant.select("customer_id", "sku").unique()
    if truth.is_empty():
        raise ValueError("nothing is relevant: the held-out part has no purchases")
    gain = 1 / (pl.col("rank") + 1).log(2)
    hits = (
        recommended.filter(pl.col("rank") <= k)
        .join(truth, on=["customer_id", "sku"])
        .group_by("customer_id")
        .agg(pl.len().alias("hits"), gain.sum().alias("gained"))
    )
    per_customer = (
        truth.group_by("customer_id")
        .agg(pl.len().alias("relevant"))
        .with_columns(
            pl.int_ranges(1, pl.col("relevant") + 1).list.eval(1 / (pl.element() + 1).log(2)).list.sum().alias("ideal")
        )
        .join(hits, on="customer_id", how="left")
        .with_columns(pl.col("hits", "gained").fill_null(0))
    )
    recall, ndcg, phr = per_customer.select(
        (pl.col("hits") / pl.col("relevant")).mean(),
        (pl.col("gained") / pl.col("ideal")).mean(),
        (pl.col("hits") > 0).mean().alias("phr"),
    ).row(0)
    return RankingQuality(per_customer.height, recall, ndcg, phr)
