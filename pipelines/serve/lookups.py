"""Look-ups out: what the newest snapshot knows of a member, for the channel that asks.

Belongs here: the queries and the shape of their answers. Does not belong here: keys, rates and HTTP (lookup_routes), or
the layout that makes the queries short (pipelines/lookup_tables). Nothing here is personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from pydantic import BaseModel, Field

from pipelines.feeds.identifiers import stored_member_id
from pipelines.keys import Keys
from pipelines.lookup_tables import lookup_key
from pipelines.serve.reader import Reading

POPULAR = "popular"


class Availability(BaseModel):
    """Where an article lies."""

    store_id: str = Field(examples=["S01"])
    available: float = Field(description="Units that can be sold, by the newest count.", examples=[4.0])
    distance_km: float | None = Field(description="From the store asked about; null: same city, place unknown.")


class Recommendation(BaseModel):
    """One article to offer."""

    rank: int = Field(examples=[1])
    sku: str = Field(examples=["SKU0042"])
    name: str | None = Field(examples=["Milk powder, stage 2"])
    score: float = Field(examples=[0.93])
    reason: str | None = Field(description="Why, in the shoppers' language.")
    strategy: str | None = Field(examples=["item_item"])
    available_at: list[Availability] | None = Field(
        description="Stores nearby that have it, nearest first; null: no store to start from, or no stock is delivered."
    )


class Recommendations(BaseModel):
    """What to offer a member."""

    customer_id: str | None = Field(description="Ours; null: we don't know this member.")
    is_fallback: bool = Field(
        description="True: nothing is known of the person, these are the articles that sell best."
    )
    store_id: str | None = Field(description="The store that `available_at` is seen from.")
    items: list[Recommendation]
    snapshot_id: str = Field(examples=["20260630T013000-1a2b3c4d"])


class Tag(BaseModel):
    """A tag with its value."""

    tag: str = Field(examples=["segment"])
    value: str | None = Field(examples=["champions"])
    since: date | None = Field(description="Since when it has held without a break.")


class Customer(BaseModel):
    """What a channel may know of its own member, over all channels."""

    customer_id: str = Field(description="Ours, stable.", examples=["c1f0a9b3c4d5e6f708192"])
    segment: str | None = Field(examples=["champions"])
    lifecycle: str | None = Field(examples=["active"])
    level: str | None = Field(examples=["gold"])
    consent_marketing: bool | None = Field(description="Null: nobody asked.")
    is_staff: bool
    home_store_id: str | None
    preferred_store_id: str | None
    preferred_category: str | None
    first_order_at: datetime | None = Field(description="UTC.")
    last_order_at: datetime | None = Field(description="UTC.")
    tags: list[Tag]
    recommendations: list[Recommendation]
    snapshot_id: str


def find_customer(
    reading: Reading, keys: Keys, channel: str, member_id: str, store_id: str | None, limit: int
) -> Customer | None:
    """The customer behind a member id of the channel; None if there is none."""
    found = reading.rows(_MEMBER, *_member(keys, channel, member_id))
    if not found:
        return None
    customer_id, level, consent, is_staff, home, preferred, category, first, last, listed = found[0]
    tags = [Tag(**tag) for tag in listed]
    values = {tag.tag: tag.value for tag in tags}
    return Customer(
        customer_id=customer_id,
        segment=values.get("segment"),
        lifecycle=values.get("lifecycle"),
        level=level,
        consent_marketing=consent,
        is_staff=bool(is_staff),
        home_store_id=home,
        preferred_store_id=preferred,
        preferred_category=category,
        first_order_at=_in_utc(first),
        last_order_at=_in_utc(last),
        tags=tags,
        recommendations=_in_stock(reading, _own_items(reading, customer_id, limit), store_id or preferred or home),
        snapshot_id=reading.snapshot_id,
    )


def find_recommendations(
    reading: Reading, keys: Keys, channel: str, member_id: str, store_id: str | None, limit: int, only_in_stock: bool
) -> Recommendations:
    """What to offer a member; what sells best where nothing is known of them."""
    found = reading.rows(_WHO_AND_WHERE, *_member(keys, channel, member_id))
    customer_id, own_place = found[0] if found else (None, None)
    place = store_id or own_place
    items = [] if customer_id is None else _own_items(reading, customer_id, limit)
    is_fallback = not items
    if is_fallback:
        items = _popular_items(reading, limit)
    items = _in_stock(reading, items, place)
    if only_in_stock:
        items = [item for item in items if item.available_at]
    return Recommendations(
        customer_id=customer_id,
        is_fallback=is_fallback,
        store_id=place,
        items=items,
        snapshot_id=reading.snapshot_id,
    )


# A key without its type would be compared as a wider number, and no row group could be skipped.
_KEY = "?::UBIGINT"
_MEMBER = f"""
    SELECT
        customer_id, level, consent_marketing, is_staff, home_store_id, preferred_store_id, preferred_category,
        first_order_at, last_order_at, tags
    FROM lookup.members
    WHERE key = {_KEY} AND channel = ? AND member_id = ?
"""
_WHO_AND_WHERE = f"""
    SELECT customer_id, coalesce(preferred_store_id, home_store_id)
    FROM lookup.members
    WHERE key = {_KEY} AND channel = ? AND member_id = ?
"""
# Sorted here: DuckDB's top-N would look at the whole table.
_ITEMS = "SELECT rank, sku, score, reason, strategy FROM marts.recommendations WHERE customer_id = ?"
_POPULAR = "SELECT rank, sku, name, units / max(units) OVER () FROM lookup.popular ORDER BY rank LIMIT ?"


def _in_utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=UTC)


def _member(keys: Keys, channel: str, member_id: str) -> tuple[int, str, str]:
    stored = stored_member_id(keys, member_id)
    return lookup_key(channel, stored), channel, stored


def _own_items(reading: Reading, customer_id: str, limit: int) -> list[Recommendation]:
    if "recommendations" not in reading.tables:
        return []
    rows = sorted(reading.rows(_ITEMS, customer_id))[:limit]
    names = reading.names([row[1] for row in rows])
    return [
        Recommendation(
            rank=rank,
            sku=sku,
            name=names[sku],
            score=score,
            reason=reason,
            strategy=strategy,
            available_at=None,
        )
        for rank, sku, score, reason, strategy in rows
    ]


def _popular_items(reading: Reading, limit: int) -> list[Recommendation]:
    return [
        Recommendation(rank=rank, sku=sku, name=name, score=score, reason=None, strategy=POPULAR, available_at=None)
        for rank, sku, name, score in reading.rows(_POPULAR, limit)
    ]


def _in_stock(reading: Reading, items: Sequence[Recommendation], place: str | None) -> list[Recommendation]:
    """The items with where they lie near `place`; those that can be had there come first."""
    if place is None or not items or "stock" not in reading.tables:
        return list(items)
    near = reading.near(place)
    available = reading.available([item.sku for item in items], [neighbour.store_id for neighbour in near])
    for item in items:
        stores = available[item.sku]
        item.available_at = [
            Availability(
                store_id=neighbour.store_id, available=stores[neighbour.store_id], distance_km=neighbour.distance_km
            )
            for neighbour in near
            if neighbour.store_id in stores
        ]
    return sorted(items, key=lambda item: not item.available_at)
