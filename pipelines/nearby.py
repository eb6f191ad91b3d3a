"""Which stores are near which: by great-circle distance, else by city, else only the store itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

NEARBY_STORES = 10
NEARBY_KM = 50.0
_EARTH_KM = 6371.0088


@dataclass(frozen=True)
class Store:
    """Where a store is. kind: store or warehouse."""

    store_id: str
    kind: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class Neighbour:
    """A store near another. distance_km: None where a store has no coordinates."""

    store_id: str
    distance_km: float | None


def stores_near(stores: Mapping[str, Store], store_id: str) -> list[Neighbour]:
    """The store itself, then at most `NEARBY_STORES` within `NEARBY_KM`, nearest first; those of its city without
    coordinates come last, by id. Warehouses are nowhere to go to, so they are left out."""
    own = stores.get(store_id)
    here = [Neighbour(store_id, 0.0)]
    if own is None:
        return here
    others = [store for store in stores.values() if store.store_id != store_id and store.kind != "warehouse"]
    measured = [Neighbour(other.store_id, distance) for other in others if (distance := _km(own, other)) is not None]
    near = sorted(
        (one for one in measured if (one.distance_km or 0) <= NEARBY_KM), key=lambda one: one.distance_km or 0
    )
    known = {one.store_id for one in measured}
    same_city = [
        Neighbour(other.store_id, None)
        for other in others
        if other.store_id not in known and own.city is not None and other.city == own.city
    ]
    return [*here, *[*near, *sorted(same_city, key=lambda one: one.store_id)][:NEARBY_STORES]]


def _km(one: Store, other: Store) -> float | None:
    """Haversine."""
    if None in (one.latitude, one.longitude, other.latitude, other.longitude):
        return None
    latitude, other_latitude = math.radians(one.latitude or 0), math.radians(other.latitude or 0)
    step = math.radians((other.longitude or 0) - (one.longitude or 0))
    half = (
        math.sin((other_latitude - latitude) / 2) ** 2
        + math.cos(latitude) * math.cos(other_latitude) * math.sin(step / 2) ** 2
    )
    return round(2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half))), 2)
