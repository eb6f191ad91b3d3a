"""A server that speaks like WooCommerce's REST API, version 3, where omnilake calls it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.connectors import woocommerce
from pipelines.connectors.protocol import Connector, Options
from tests.support.platform_server import Answer, Call, PlatformServer, SignedWebhook, json_text
from tests.support.shapes import shape

KEY, SECRET = "ck_test_2fd1a9", "cs_test_77e0b3"
WEBHOOK_SECRET = "woo-hook-secret-31"
ROOT = "/wp-json/wc/v3"


class WooCommerceServer(PlatformServer):
    secrets = (KEY, SECRET, WEBHOOK_SECRET)

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, Any]] = {}
        self.customers: dict[str, dict[str, Any]] = {}
        self.products: dict[str, dict[str, Any]] = {}
        self.coupons: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, list[Any]] = {}

    def connect(self, options: Options) -> Connector:
        return woocommerce.connect(options)

    def options(self) -> Options:
        secrets = {"consumer_key": KEY, "consumer_secret": SECRET, "webhook_secret": WEBHOOK_SECRET}
        return Options("mall", {"url": self.url, "store_id": "web"}, secrets)

    def seed(self, count: int, at: datetime) -> list[str]:
        first = 1000 + len(self.orders)
        for age, number in zip(range(count - 1, -1, -1), range(first, first + count), strict=True):
            order = shape("woocommerce", "order_refunded" if number % 7 == 0 else "order")
            self.orders[str(number)] = order | {"id": number, "date_modified_gmt": _gmt(at - timedelta(seconds=age))}
            if order["refunds"]:
                self.refunds[str(number)] = [shape("woocommerce", "refunds")[0] | {"id": 90_000 + number}]
        self.customers["25"] = shape("woocommerce", "customer")
        self.products["93"] = shape("woocommerce", "product") | {"date_modified_gmt": _gmt(at)}
        self.coupons["719"] = shape("woocommerce", "coupon") | {"date_modified_gmt": _gmt(at)}
        return [str(number) for number in range(first, first + count)]

    def move(self, source_id: str, at: datetime) -> None:
        self.orders[source_id] |= {"date_modified_gmt": _gmt(at), "status": "on-hold"}

    def add_customer(self, number: str) -> None:
        self.customers[number] = shape("woocommerce", "customer") | {"id": number, "email": f"{number}@example.com"}

    def refused(self) -> Answer:
        return Answer({"code": "rest_no_route", "message": "No route for 13912345678", "data": {"status": 404}})

    def expired(self) -> Answer:
        return Answer({"code": "woocommerce_rest_cannot_view", "message": "Sorry", "data": {"status": 401}}, 401)

    def webhook(self, source_id: str) -> SignedWebhook:
        body = json_text({"id": int(source_id), "date_modified_gmt": "2026-03-01T03:00:00", "billing": {"phone": "1"}})
        signature = base64.b64encode(hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()).decode()
        headers = {
            "x-wc-webhook-signature": signature,
            "x-wc-webhook-topic": "order.updated",
            "x-wc-webhook-delivery-id": "4711",
        }
        return SignedWebhook(headers, body)

    def answer(self, call: Call) -> Answer:
        credentials = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if call.headers.get("authorization") != f"Basic {credentials}":
            return self.expired()
        path = call.path.removeprefix(ROOT)
        match call.method, path.strip("/").split("/"):
            case "GET", ["data", "currencies", "current"]:
                return Answer({"code": "CNY", "name": "Chinese yuan", "symbol": "&yen;"})
            case "GET", ["orders", number, "refunds"]:
                return _paged(self.refunds.get(number, []), call)
            case "GET", ["products", _, "variations"]:
                return _paged(shape("woocommerce", "variations"), call)
            case "GET", ["orders" | "customers" | "products" | "coupons" as name]:
                return self._listed(name, call)
            case "POST", ["customers", "batch"]:
                return Answer({"update": [self._update(change) for change in call.json()["update"]]})
            case "POST", ["coupons", "batch"]:
                return Answer({"create": [self._create(coupon) for coupon in call.json()["create"]]})
        return Answer({"code": "rest_no_route", "message": "No route", "data": {"status": 404}}, 404)

    def _listed(self, name: str, call: Call) -> Answer:
        query, found = call.query, list(getattr(self, name).values())
        if "modified_after" in query:
            assert query["dates_are_gmt"] == "true"
            found = [r for r in found if query["modified_after"] < r["date_modified_gmt"] < query["modified_before"]]
        if "include" in query:
            wanted = query["include"].split(",")
            found = [record for record in found if str(record["id"]) in wanted]
        if "code" in query:
            found = [record for record in found if record["code"] == query["code"].lower()]
        return _paged(sorted(found, key=lambda record: str(record["id"])), call)

    def _update(self, change: dict[str, Any]) -> dict[str, Any]:
        customer = self.customers.get(str(change["id"]))
        if customer is None:
            error = {"code": "woocommerce_rest_invalid_id", "message": "Invalid ID.", "data": {"status": 400}}
            return {"id": change["id"], "error": error}
        meta = {entry["key"]: entry["value"] for entry in customer["meta_data"]}
        meta |= {entry["key"]: entry["value"] for entry in change["meta_data"]}
        customer["meta_data"] = [
            {"id": number, "key": key, "value": value}
            for number, (key, value) in enumerate(meta.items())
            if value is not None
        ]
        return customer

    def _create(self, coupon: dict[str, Any]) -> dict[str, Any]:
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", coupon["date_expires"])
        code = coupon["code"].lower()
        if any(held["code"] == code for held in self.coupons.values()):
            error = {"code": "woocommerce_rest_coupon_code_already_exists", "message": "", "data": {"status": 400}}
            return {"id": 0, "error": error}
        made = coupon | {"id": 10_000 + len(self.coupons), "code": code}
        self.coupons[str(made["id"])] = made
        return made


def _paged(found: list[Any], call: Call) -> Answer:
    size, page = int(call.query.get("per_page", 10)), int(call.query.get("page", 1))
    if size > 100:
        return Answer({"code": "rest_invalid_param", "message": "per_page", "data": {"status": 400}}, 400)
    pages = math.ceil(len(found) / size)
    if page > max(pages, 1):
        return Answer({"code": "rest_post_invalid_page_number", "message": "", "data": {"status": 400}}, 400)
    headers = {"x-wp-total": str(len(found)), "x-wp-totalpages": str(pages)}
    return Answer(found[(page - 1) * size : page * size], 200, headers)


def _gmt(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
