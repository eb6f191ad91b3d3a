"""A server that answers as Vendure 3.7 does, in shapes recorded from a real one: GraphQL, refusals under HTTP 200,
unique keys. What it can't do is proven against the real server (tests/peers)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pipelines.connectors import vendure
from pipelines.connectors.protocol import Connector, Options
from pipelines.connectors.vendure_api import api_time, instant
from tests.support.platform_server import Answer, Call, PlatformServer, SignedWebhook, json_text

PASSWORD = "mall-password-9d21c0"
WEBHOOK_SECRET = "mall-hook-4be27a"
TOKEN = "mall-token-c0ffee5e5510"
DENIED = {"errors": [{"message": "13912345678", "path": ["orders"], "extensions": {"code": "FORBIDDEN"}}], "data": None}
CUSTOMER = {"firstName": "三", "lastName": "张", "phoneNumber": "13912345678", "emailAddress": "a@example.com",
            "addresses": []}  # fmt: skip

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "in": lambda value, wanted: value in wanted,
    "isNull": lambda value, wanted: (value is None) == wanted,
    "contains": lambda value, wanted: wanted in (value or ""),
    "before": lambda value, wanted: value < wanted,
    "between": lambda value, wanted: wanted["start"] <= value <= wanted["end"],
}


class MallServer(PlatformServer):
    secrets = (PASSWORD, WEBHOOK_SECRET, TOKEN)

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: set[str] = set()
        """Ids of orders of which the server can give no more than times."""
        self.lists: dict[str, dict[str, dict[str, Any]]] = {
            name: {} for name in ("customers", "customerGroups", "orders", "promotions", "productVariants",
                                  "stockLocations")
        }  # fmt: skip

    def connect(self, options: Options) -> Connector:
        return vendure.connect(options)

    def options(self) -> Options:
        secrets = {"password": PASSWORD, "webhook_secret": WEBHOOK_SECRET}
        return Options("mall", {"url": self.url, "username": "reader"}, secrets)

    def seed(self, count: int, at: datetime) -> list[str]:
        orders = self.lists["orders"]
        ids = [str(len(orders) + number + 1) for number in range(count)]
        for age, order_id in zip(range(count - 1, -1, -1), ids, strict=True):
            orders[order_id] = order(order_id, api_time(at - timedelta(seconds=age)))
        return ids

    def move(self, source_id: str, at: datetime) -> None:
        self.lists["orders"][source_id] |= {"updatedAt": api_time(at), "state": "Cancelled"}

    def refused(self) -> Answer:
        return Answer(DENIED)

    def expired(self) -> Answer:
        return Answer(DENIED, headers={"vendure-auth-token": "of-nobody"})

    def webhook(self, source_id: str) -> SignedWebhook:
        body = json_text({"id": f"n-{source_id}", "feed": "orders", "recordId": source_id})
        signature = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        return SignedWebhook({"x-vendure-signature": signature}, body)

    def person(self, customer_id: str) -> None:
        """A registered customer."""
        fields = {"omnilakeTags": ["vip"], "omnilakeRecommendations": None}
        self.lists["customers"][customer_id] = {"id": customer_id, "user": {"id": "1"}, **CUSTOMER,
                                                "createdAt": api_time(_DAWN), "updatedAt": api_time(_DAWN),
                                                "customFields": fields}  # fmt: skip

    def answer(self, call: Call) -> Answer:
        body = call.json()
        document, variables = body["query"], body["variables"]
        if "login(" in document:
            kind = "CurrentUser" if variables["password"] == PASSWORD else "InvalidCredentialsError"
            return Answer({"data": {"login": {"__typename": kind}}}, headers={"vendure-auth-token": TOKEN})
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refused()
        if found := re.search(r"(\w+)\(options: \$options\)", document):
            listed = self._listed(found[1], variables["options"])
            if "currencyCode" in document and any(node["id"] in self.unreadable for node in listed["items"]):
                error = {"message": 'Enum "CurrencyCode" cannot represent value: "?"', "path": [found[1], "items"]}
                return Answer({"errors": [error], "data": None})
            if "history" not in document and found[1] == "orders":
                times = ("id", "updatedAt", "orderPlacedAt")
                listed["items"] = [{name: node[name] for name in times} for node in listed["items"]]
            return Answer({"data": {found[1]: listed}})
        if document.startswith("mutation"):
            return self._changed(document, variables)
        channel = {"code": "mall", "defaultCurrencyCode": "CNY", "defaultLanguageCode": "zh", "pricesIncludeTax": True}
        settings = {"serverConfig": {"moneyStrategyPrecision": 2}}
        return Answer({"data": {"activeChannel": channel, "globalSettings": settings}})

    def _listed(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        rows = [node for node in self.lists[name].values() if _matches(node, options.get("filter", {}))]
        for field in reversed(options.get("sort", {})):
            rows.sort(key=lambda node: int(node["id"]) if field == "id" else node[field])
        skip = options.get("skip", 0)
        return {"totalItems": len(rows), "items": rows[skip : skip + options["take"]]}

    def _changed(self, document: str, variables: dict[str, Any]) -> Answer:
        data: dict[str, Any] = {}
        for alias, mutation in re.findall(r"(m\d+): (\w+)\(", document):
            place = alias[1:]
            given = variables.get(f"input{place}", {})
            match mutation:
                case "updateCustomer":
                    person = self.lists["customers"][given["id"]]
                    person["customFields"] |= given["customFields"]
                    data[alias] = {"id": given["id"]}
                case "addCustomersToGroup":
                    members = self.lists["customerGroups"][variables[f"customerGroupId{place}"]]["customers"]["items"]
                    members += [{"id": member} for member in variables[f"customerIds{place}"]]
                    data[alias] = {"id": variables[f"customerGroupId{place}"]}
                case "updatePromotion":
                    self.lists["promotions"][given["id"]] |= given
                    data[alias] = {"id": given["id"]}
                case "createCustomerGroup" | "createPromotion":
                    nodes = self.lists["customerGroups" if mutation == "createCustomerGroup" else "promotions"]
                    if any(node["customFields"] == given["customFields"] for node in nodes.values()):
                        message = 'duplicate key value violates unique constraint "UQ_b344e7a62e68b60e8e164b36850"'
                        return Answer({"errors": [{"message": message, "path": [alias]}], "data": None})
                    data[alias] = {**given, "id": str(len(nodes) + 1), "customers": {"items": []}}
                    nodes[data[alias]["id"]] = data[alias]
        return Answer({"data": data})


_DAWN = instant("2026-01-01T00:00:00+00:00")


def _matches(node: dict[str, Any], conditions: dict[str, Any]) -> bool:
    values = {**node, **node.get("customFields", {})}
    return all(
        _OPERATORS[operator](values[field], wanted)
        for field, operators in conditions.items()
        for operator, wanted in operators.items()
    )


def order(order_id: str, at: str) -> dict[str, Any]:
    """A paid order of a member, in the shape recorded from a server: one line, one payment, no refund."""
    line = {"id": f"{order_id}0", "quantity": 2, "orderPlacedQuantity": 2, "taxRate": 13, "unitPriceWithTax": 1230,
            "discountedLinePriceWithTax": 2460, "proratedLinePriceWithTax": 2460, "proratedUnitPriceWithTax": 1230,
            "productVariant": {"sku": "007"}}  # fmt: skip
    payment = {"id": order_id, "updatedAt": at, "method": "card", "state": "Settled", "amount": 2460, "refunds": []}
    event = {"type": "ORDER_STATE_TRANSITION", "createdAt": at, "data": {"from": "x", "to": "PaymentSettled"}}
    return {"id": order_id, "type": "Regular", "state": "PaymentSettled", "createdAt": at, "updatedAt": at,
            "orderPlacedAt": at, "currencyCode": "CNY", "total": 2177, "totalWithTax": 2460, "shippingWithTax": 0,
            "customer": {"id": "7", "user": {"id": "1"}, **CUSTOMER}, "promotions": [], "surcharges": [],
            "shippingLines": [], "lines": [line], "payments": [payment], "history": {"items": [event]}}  # fmt: skip
