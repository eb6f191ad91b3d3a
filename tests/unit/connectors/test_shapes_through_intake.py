"""Every recorded shape of every platform, translated, against the intake that will read it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pipelines.connectors import shopify_rows, wechat_rows, woocommerce_rows, youzan_rows
from pipelines.connectors.rows import Rows, gather, translated
from tests.support.landed_rows import landed
from tests.support.shapes import shape

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def shopify() -> list[Rows]:
    orders = ("order", "order_partly_refunded", "order_tax_excluded", "order_edited")
    return [
        *(shopify_rows.order_rows(shape("shopify", name)) for name in orders),
        shopify_rows.member_rows(shape("shopify", "customer")),
        shopify_rows.product_rows(shape("shopify", "product"), "CNY"),
        shopify_rows.inventory_rows(shape("shopify", "inventory_item")),
        shopify_rows.store_rows(shape("shopify", "location")),
        shopify_rows.coupon_rows(shape("shopify", "discount")),
    ]


def woocommerce() -> list[Rows]:
    refunds = shape("woocommerce", "refunds")
    return [
        woocommerce_rows.order_rows(shape("woocommerce", "order"), [], {}),
        woocommerce_rows.order_rows(shape("woocommerce", "order_refunded"), refunds, {}),
        woocommerce_rows.order_rows(shape("woocommerce", "order_guest_failed"), [], {}),
        woocommerce_rows.member_rows(shape("woocommerce", "customer")),
        woocommerce_rows.product_rows(
            shape("woocommerce", "product"), shape("woocommerce", "variations"), "web", "CNY"
        ),
        woocommerce_rows.coupon_rows(shape("woocommerce", "coupon"), "CNY"),
    ]


def youzan() -> list[Rows]:
    orders = ("order", "order_partly_refunded", "order_guest_closed")
    return [
        *(youzan_rows.order_rows(shape("youzan", name)) for name in orders),
        youzan_rows.refund_rows(shape("youzan", "refund"), shape("youzan", "refund_detail")),
        youzan_rows.member_rows(shape("youzan", "customer"), NOW),
        youzan_rows.item_rows(shape("youzan", "item_detail"), "42", "2026-03-01T00:00:00Z"),
    ]


def wechat() -> list[Rows]:
    orders = ("order", "order_partly_refunded", "order_unpaid_cancelled")
    return [
        *(wechat_rows.order_rows(shape("wechat", name)) for name in orders),
        wechat_rows.refund_rows(shape("wechat", "after_sale")),
        wechat_rows.refund_rows(shape("wechat", "after_sale_open")),
        wechat_rows.member_rows(shape("wechat", "member"), NOW),
        wechat_rows.product_rows(shape("wechat", "product"), "online"),
    ]


def test_every_shape_is_accepted_without_drift_and_what_makes_no_sense_is_quarantined(tmp_path: Path):
    broken = translated("orders", {"order_id": "7", "status": "paid", "currency": "CNY"}, shopify_rows.order_rows)
    found = landed(tmp_path / "home", gather((), [*shopify(), *woocommerce(), *youzan(), *wechat(), broken]))

    assert [feed for feed, _, _ in found.quarantined] == ["orders"]
    assert found.drift == {"untranslated"}
    assert found.accepted == {
        "orders": 13, "refunds": 5, "members": 7, "products": 6, "prices": 6, "inventory": 5, "stores": 1, "coupons": 2,
    }  # fmt: skip
