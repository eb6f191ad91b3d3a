"""Stores near a store, and how often a key may ask."""

from __future__ import annotations

import pytest

from pipelines.nearby import NEARBY_STORES, Neighbour, Store, stores_near
from pipelines.serve.rates import Bucket


def _stores(*stores: Store) -> dict[str, Store]:
    return {store.store_id: store for store in stores}


def test_distance_is_along_the_great_circle() -> None:
    stores = _stores(
        Store("bund", "store", "Shanghai", 31.2400, 121.4900), Store("hongqiao", "store", "Shanghai", 31.1979, 121.3363)
    )
    own, other = stores_near(stores, "bund")
    assert own == Neighbour("bund", 0.0)
    assert other.store_id == "hongqiao"
    assert other.distance_km == pytest.approx(15.35, abs=0.1)


def test_stores_across_the_date_line_are_near() -> None:
    stores = _stores(Store("west", "store", None, 0.0, 179.95), Store("east", "store", None, 0.0, -179.95))
    assert [one.store_id for one in stores_near(stores, "west")] == ["west", "east"]


def test_a_store_without_coordinates_is_near_those_of_its_city() -> None:
    stores = _stores(Store("a", "store", "Wuhan"), Store("b", "store", "Wuhan"), Store("c", "store", "Beijing"))
    assert stores_near(stores, "a") == [Neighbour("a", 0.0), Neighbour("b", None)]


def test_stores_without_city_or_coordinates_are_near_nobody() -> None:
    stores = _stores(Store("a"), Store("b"))
    assert stores_near(stores, "a") == [Neighbour("a", 0.0)]
    assert stores_near(stores, "unheard of") == [Neighbour("unheard of", 0.0)]


def test_far_stores_and_warehouses_are_left_out_and_the_list_is_bounded() -> None:
    many = [Store(f"s{number:02}", "store", "X", 30.0, 120.0 + number / 1000) for number in range(20)]
    stores = _stores(*many, Store("far", "store", "X", 35.0, 120.0), Store("w", "warehouse", "X", 30.0, 120.0))
    near = [one.store_id for one in stores_near(stores, "s00")]
    assert near == [f"s{number:02}" for number in range(NEARBY_STORES + 1)]


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    at = 0.0
    bucket = Bucket(10, clock=lambda: at)
    assert [bucket.take() for _ in range(20)] == [0.0] * 20
    assert bucket.take() == pytest.approx(0.1)
    at = 0.35
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    at = 0.0
    bucket = Bucket(10, clock=lambda: at)
    at = 1000.0
    assert [bucket.take() > 0 for _ in range(21)].count(False) == 20
