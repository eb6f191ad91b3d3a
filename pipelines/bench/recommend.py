"""Recommendations: item-item lists for every customer, beside implicit's BM25 on the same matrix.

Belongs here: a set with structure (tastes, popularity, repeats), what is timed, and that both find the held-out items
alike. Does not belong here: the recommender.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from models.recommend import RecommendSettings
from models.recommend.blend import Blend
from models.recommend.encoding import encode
from models.recommend.interactions import Interactions
from models.recommend.item_item import BM25_B, BM25_K1, ItemItem
from models.recommend.popularity import Popularity
from pipelines.bench.rounds import BASELINE, CANDIDATE
from pipelines.bench.timing import Case, Measured, read_resources
from pipelines.errors import PermanentError

ITEMS = 5_000
TASTES = 200
PAIRS_PER_CUSTOMER = 21
SHOWN = 10
NEIGHBOURS = 50
LEAST_RECALL_SHARE = 0.98
"""Of the peer's recall; below, a shorter time would be no gain."""

AS_OF = date(2026, 6, 30)
_FILE = "pairs.npz"
_RECALL_FILE = "recall.npy"


def prepare(place: Path, orders: int) -> None:
    """Customers (a fifth of the orders, 200,000 for a million) of one or two tastes each, 20 items known and one held
    out; and the recall of the peer, once."""
    rng = np.random.default_rng(20260630)
    n_customers = max(orders // 5, 500)
    taste_of_item = rng.integers(0, TASTES, ITEMS)
    popularity = 1 / np.arange(1, ITEMS + 1) ** 0.8
    by_taste = [np.flatnonzero(taste_of_item == taste) for taste in range(TASTES)]
    customer = np.repeat(np.arange(n_customers), PAIRS_PER_CUSTOMER)
    taste = rng.integers(0, TASTES, (n_customers, 2))[customer, rng.integers(0, 2, len(customer))]
    item = rng.choice(ITEMS, len(customer), p=popularity / popularity.sum())
    is_own = rng.random(len(customer)) < 0.85
    for number, items in enumerate(by_taste):
        chosen = np.flatnonzero(is_own & (taste == number))
        item[chosen] = rng.choice(items, len(chosen), p=popularity[items] / popularity[items].sum())
    is_last = np.arange(len(customer)) % PAIRS_PER_CUSTOMER == PAIRS_PER_CUSTOMER - 1
    known = np.unique(customer[~is_last] * ITEMS + item[~is_last])
    np.savez(place / _FILE, known=known, held=item[is_last], customers=n_customers)
    np.save(place / _RECALL_FILE, _recall(_peer_lists(place)[0], place))


def candidate(place: Path) -> Measured:
    """Fit and pick for everybody, from interactions that are encoded already, as implicit gets its matrix."""
    stored = np.load(place / _FILE)
    interactions = _encoded(stored["known"])
    settings = RecommendSettings(
        recent_days=None, max_repeat_share=0.0, neighbours=NEIGHBOURS, min_support=1,
        threads=read_resources(place.parent).threads,
    )  # fmt: skip
    measured = Measured()
    with measured.clock():
        blend = Blend([(ItemItem(settings), 1.0), (Popularity(), 1e-6)], interactions, settings)
        picks = blend.pick(np.arange(len(interactions.customers)), SHOWN)
    lists = np.full((int(stored["customers"]), SHOWN), -1, dtype=np.int64)
    customer = interactions.customers.cast(int).to_numpy()
    lists[customer[picks.position], picks.rank - 1] = interactions.catalogue.sku.cast(int).to_numpy()[picks.item]
    measured.outcome = _outcome(lists, place)
    return measured


def baseline(place: Path) -> Measured:
    """implicit's BM25Recommender with the same neighbours and constants."""
    lists, measured = _peer_lists(place)
    measured.outcome = _outcome(lists, place)
    return measured


def _peer_lists(place: Path) -> tuple[NDArray[np.int64], Measured]:
    from implicit.nearest_neighbours import BM25Recommender

    stored = np.load(place / _FILE)
    n_customers = int(stored["customers"])
    row, item = np.divmod(stored["known"], ITEMS)
    matrix = sp.csr_matrix((np.ones(len(row), dtype=np.float32), (row, item)), shape=(n_customers, ITEMS))
    threads = read_resources(place.parent).threads
    measured = Measured()
    with measured.clock():
        model = BM25Recommender(K=NEIGHBOURS, K1=BM25_K1, B=BM25_B, num_threads=threads)
        model.fit(matrix, show_progress=False)
        lists, _ = model.recommend(np.arange(n_customers), matrix, N=SHOWN, filter_already_liked_items=True)
    return np.asarray(lists, dtype=np.int64), measured


def _encoded(known: NDArray[np.int64]) -> Interactions:
    row, item = np.divmod(known, ITEMS)
    purchases = pa.table(
        {
            "customer_id": pa.array(row).cast(pa.string()),
            "sku": pa.array(item).cast(pa.string()),
            "ordered_on": pa.array(np.full(len(row), AS_OF - timedelta(days=1), dtype="datetime64[D]")),
            "quantity": pa.array(np.ones(len(row))),
        }
    )
    skus = [str(number) for number in range(ITEMS)]
    goods = pa.table({"sku": skus, "name": skus, "category": [""] * ITEMS, "is_sellable": [True] * ITEMS})
    return encode(purchases, goods, AS_OF, RecommendSettings())


def _recall(lists: NDArray[np.int64], place: Path) -> float:
    held = np.load(place / _FILE)["held"]
    return float((lists == held[:, None]).any(axis=1).mean())


def _outcome(lists: NDArray[np.int64], place: Path) -> dict[str, Any]:
    """What both sides agree on. Raises PermanentError where the held-out items are found worse than by the peer."""
    recall, least = _recall(lists, place), float(np.load(place / _RECALL_FILE)) * LEAST_RECALL_SHARE
    if recall < least:
        raise PermanentError(f"Recall at {SHOWN} is {recall:.4f}; by the peer's it must be {least:.4f}.")
    return {"customers": len(lists), "shown": SHOWN, "recall_is_the_peers": True}


RECOMMEND = Case(
    "recommend",
    "item-item lists of ten for every customer / implicit's BM25Recommender on the same matrix, at equal recall",
    "at most 1, below 700 MiB",
    prepare,
    {CANDIDATE: candidate, BASELINE: baseline},
)
