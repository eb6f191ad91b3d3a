"""Whatever a platform writes into whichever field: the record becomes rows or is kept whole, and nothing is raised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.connectors import shopify_rows, wechat_rows, woocommerce_rows, youzan_rows
from pipelines.connectors.rows import Rows, translated
from pipelines.feeds.contract import FEEDS
from pipelines.http import exact_json
from tests.support.shapes import shape

NOW = datetime(2026, 3, 31, tzinfo=UTC)
GARBAGE = [
    None, "", "x", " ", -1, 0, 10**40, Decimal("0.001"), Decimal("1e400"), True, [], {}, [None], {"a": 1}, "NaN",
    "Infinity", "1e999999", "2026-99-99", "9999-12-31T23:59:59+23:59", "gid://", "\x00", "\ud800", "１２３", "-5.00",
]  # fmt: skip


def woo_order(order: Any) -> Rows:
    return woocommerce_rows.order_rows(order, shape("woocommerce", "refunds"), {})


def woo_refund(refund: Any) -> Rows:
    return woocommerce_rows.order_rows(shape("woocommerce", "order_refunded"), [refund], {})


def woo_variation(variation: Any) -> Rows:
    return woocommerce_rows.product_rows(shape("woocommerce", "product"), [variation], "web", "CNY")


RECORDS: dict[str, tuple[str, Any, Callable[[Any], Rows]]] = {
    "shopify order": ("orders", shape("shopify", "order_partly_refunded"), shopify_rows.order_rows),
    "shopify edited order": ("orders", shape("shopify", "order_edited"), shopify_rows.order_rows),
    "shopify customer": ("members", shape("shopify", "customer"), shopify_rows.member_rows),
    "shopify product": ("products", shape("shopify", "product"), partial(shopify_rows.product_rows, currency="CNY")),
    "shopify stock": ("inventory", shape("shopify", "inventory_item"), shopify_rows.inventory_rows),
    "shopify discount": ("coupons", shape("shopify", "discount"), shopify_rows.coupon_rows),
    "woocommerce order": ("orders", shape("woocommerce", "order_refunded"), woo_order),
    "woocommerce refund": ("orders", shape("woocommerce", "refunds")[0], woo_refund),
    "woocommerce customer": ("members", shape("woocommerce", "customer"), woocommerce_rows.member_rows),
    "woocommerce variation": ("products", shape("woocommerce", "variations")[0], woo_variation),
    "woocommerce coupon": (
        "coupons", shape("woocommerce", "coupon"), partial(woocommerce_rows.coupon_rows, currency="CNY"),
    ),
    "youzan order": ("orders", shape("youzan", "order"), youzan_rows.order_rows),
    "youzan refund": (
        "refunds", shape("youzan", "refund"), partial(youzan_rows.refund_rows, detail=shape("youzan", "refund_detail")),
    ),
    "youzan customer": ("members", shape("youzan", "customer"), partial(youzan_rows.member_rows, seen_at=NOW)),
    "youzan item": (
        "products", shape("youzan", "item_detail"),
        partial(youzan_rows.item_rows, store_id="42", updated_at="2026-03-01T00:00:00Z"),
    ),
    "wechat order": ("orders", shape("wechat", "order"), wechat_rows.order_rows),
    "wechat refund": ("refunds", shape("wechat", "after_sale"), wechat_rows.refund_rows),
    "wechat member": ("members", shape("wechat", "member"), partial(wechat_rows.member_rows, seen_at=NOW)),
    "wechat product": ("products", shape("wechat", "product"), partial(wechat_rows.product_rows, store_id="online")),
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


def damaged(value: Any, path: tuple[Any, ...], garbage: Any) -> Any:
    """A copy with garbage at one place."""
    if not path:
        return garbage
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = damaged(value[path[0]], path[1:], garbage)
    return copy


def assert_kept(feed: str, record: Any, translate: Callable[[Any], Rows]) -> None:
    made = translated(feed, record, translate)
    assert made.keys() <= FEEDS.keys()
    for rows in made.values():
        for row in rows:
            assert set(row) == {"untranslated"} or isinstance(exact_json.dumps(row), str)


@pytest.mark.parametrize("name", RECORDS)
def test_garbage_in_any_one_place_raises_nothing(name: str):
    feed, record, translate = RECORDS[name]
    for path in places(record):
        for garbage in GARBAGE:
            assert_kept(feed, damaged(record, path, garbage), translate)


@given(name=st.sampled_from(sorted(RECORDS)), data=st.data())
def test_garbage_in_several_places_raises_nothing(name: str, data: st.DataObject):
    feed, record, translate = RECORDS[name]
    for _ in range(data.draw(st.integers(1, 4))):
        record = damaged(record, data.draw(st.sampled_from(places(record))), data.draw(st.sampled_from(GARBAGE)))

    assert_kept(feed, record, translate)
