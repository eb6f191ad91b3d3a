"""A server that speaks like Shopify's Admin API where omnilake calls it: GraphQL by operation name, a cost bucket.

It reads no GraphQL: operations are told apart by their names and aliases, selections are answered whole.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from datetime import datetime, timedelta
from typing import Any

from pipelines.connectors import shopify
from pipelines.connectors.protocol import Connector, Options
from tests.support.platform_server import Answer, Call, PlatformServer, SignedWebhook, json_text
from tests.support.shapes import shape

CLIENT_SECRET = "shpss-client-secret-81a2"
WEBHOOK_SECRET = "shopify-hook-secret-44"
TOKEN = "shpat-token-90f1"
LARGEST_PAGE = 250


class ShopifyServer(PlatformServer):
    secrets = (CLIENT_SECRET, WEBHOOK_SECRET, TOKEN)

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[str, dict[str, dict[str, Any]]] = {
            "orders": {}, "customers": {}, "products": {}, "inventoryItems": {}, "codeDiscountNodes": {},
        }  # fmt: skip
        self.tags: dict[str, list[str]] = {}
        self.metafields: dict[tuple[str, str, str], str] = {}
        self.discounts: dict[str, dict[str, Any]] = {}
        self.bucket, self.restores, self.available = 2000.0, 1000.0, 2000.0
        self.dearest = 1000.0
        self._filled_at = time.monotonic()

    def connect(self, options: Options) -> Connector:
        return shopify.connect(options)

    def options(self) -> Options:
        return Options(
            "mall",
            {"url": self.url, "client_id": "app-1"},
            {"client_secret": CLIENT_SECRET, "webhook_secret": WEBHOOK_SECRET},
        )

    def seed(self, count: int, at: datetime) -> list[str]:
        first = 5_000_000_000_001 + len(self.nodes["orders"])
        for age, number in zip(range(count - 1, -1, -1), range(first, first + count), strict=True):
            order = shape("shopify", "order")
            order |= {"id": f"gid://shopify/Order/{number}", "legacyResourceId": str(number)}
            order["updatedAt"] = _text(at - timedelta(seconds=age))
            order["phone"] = "13912345678"
            self.nodes["orders"][order["id"]] = order
        for listing, name in (("customers", "customer"), ("products", "product"), ("inventoryItems", "inventory_item"),
                              ("codeDiscountNodes", "discount")):  # fmt: skip
            node = shape("shopify", name)
            node["updatedAt"] = _text(at)
            self.nodes[listing][node["id"]] = node
        return [str(number) for number in range(first, first + count)]

    def move(self, source_id: str, at: datetime) -> None:
        self.nodes["orders"][f"gid://shopify/Order/{source_id}"] |= {"updatedAt": _text(at), "closedAt": _text(at)}

    def add_customer(self, number: str) -> None:
        self.tags[f"gid://shopify/Customer/{number}"] = ["their own"]

    def refused(self) -> Answer:
        return Answer(
            {"errors": [{"message": "Access denied for 13912345678", "extensions": {"code": "ACCESS_DENIED"}}]}
        )

    def expired(self) -> Answer:
        return Answer({"errors": "[API] Invalid API key or access token"}, 401)

    def webhook(self, source_id: str) -> SignedWebhook:
        body = json_text({"id": int(source_id), "email": "mei@example.com"})
        signature = base64.b64encode(hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).digest()).decode()
        return SignedWebhook(
            {
                "x-shopify-hmac-sha256": signature,
                "x-shopify-topic": "orders/updated",
                "x-shopify-event-id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
                "x-shopify-triggered-at": "2026-03-02T08:30:01.000000Z",
            },
            body,
        )

    def answer(self, call: Call) -> Answer:
        if call.path == "/admin/oauth/access_token":
            return Answer({"access_token": TOKEN, "scope": "read_orders", "expires_in": 86399})
        if call.headers.get("x-shopify-access-token") != TOKEN:
            return self.expired()
        if call.method != "POST" or not re.fullmatch(r"/admin/api/\d{4}-\d{2}/graphql\.json", call.path):
            return Answer({"errors": "Not Found"}, 404)
        document, variables = call.json()["query"], call.json()["variables"]
        cost = self._cost_of(variables)
        if cost > self.dearest:
            return self._answered(None, cost, "MAX_COST_EXCEEDED")
        now = time.monotonic()
        self.available = min(self.bucket, self.available + (now - self._filled_at) * self.restores)
        self._filled_at = now
        if cost > self.available:
            return self._answered(None, cost, "THROTTLED")
        self.available -= cost
        return self._answered(self._data(document, variables), cost)

    def _cost_of(self, variables: dict[str, Any]) -> float:
        return 2.0 + variables.get("first", 0) + 10.0 * sum(name[0] in "rac" for name in variables if name != "after")

    def _answered(self, data: Any, cost: float, code: str | None = None) -> Answer:
        status = {
            "maximumAvailable": self.bucket, "currentlyAvailable": self.available, "restoreRate": self.restores,
        }  # fmt: skip
        body: dict[str, Any] = {"extensions": {"cost": {"requestedQueryCost": cost, "throttleStatus": status}}}
        if code:
            body["errors"] = [{"message": code.title(), "extensions": {"code": code}}]
        else:
            body["data"] = data
        return Answer(body)

    def _data(self, document: str, variables: dict[str, Any]) -> Any:
        name = re.match(r"\s*(?:query|mutation) (\w+)", document).group(1)
        match name:
            case "shop":
                return {"shop": {"currencyCode": "CNY", "ianaTimezone": "Asia/Shanghai"}}
            case "locations":
                nodes = [shape("shopify", "location")]
                return {"locations": {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}}
            case "nodes":
                known = {key: node for nodes in self.nodes.values() for key, node in nodes.items()}
                return {"nodes": [known.get(key) for key in variables["ids"]]}
            case "customers" if "ids" in variables:
                return {"nodes": [self._customer(key, document) for key in variables["ids"]]}
            case "tags":
                return self._tags(document, variables)
            case "coupons":
                return {alias: self._create(discount) for alias, discount in variables.items()}
            case "codes":
                return {alias: self._by_code(code) for alias, code in variables.items()}
            case "lists":
                return {"metafieldsSet": self._set(variables["metafields"])}
        return {name: self._page(name, **variables)}

    def _page(self, name: str, first: int, after: str | None, query: str) -> dict[str, Any]:
        assert first <= LARGEST_PAGE
        earliest, latest = (datetime.fromisoformat(text) for text in re.findall(r"'([^']+)'", query))
        behind = tuple(base64.b64decode(after).decode().split("|")) if after else ("", "")
        found = sorted(
            (node["updatedAt"], key)
            for key, node in self.nodes[name].items()
            if earliest <= datetime.fromisoformat(node["updatedAt"]) <= latest and (node["updatedAt"], key) > behind
        )
        page = found[:first]
        more = len(found) > first
        cursor = base64.b64encode("|".join(page[-1]).encode()).decode() if page else None
        return {
            "nodes": [self.nodes[name][key] for _, key in page],
            "pageInfo": {"hasNextPage": more, "endCursor": cursor},
        }

    def _customer(self, key: str, document: str) -> Any:
        if key not in self.tags:
            return None
        names = re.search(r'namespace: "([^"]+)", key: "([^"]+)"', document)
        value = self.metafields.get((key, *names.groups())) if names else None
        return {"id": key, "tags": self.tags[key], "metafield": {"value": value} if value else None}

    def _tags(self, document: str, variables: dict[str, Any]) -> Any:
        answers = {}
        for alias, mutation, letter, index in re.findall(
            r"((?:r|a)\d+): (\w+)\(id: \$id\d+, tags: \$(r|a)(\d+)", document
        ):
            key, given = variables[f"id{index}"], variables[f"{letter}{index}"]
            if key not in self.tags:
                answers[alias] = {"userErrors": [{"field": ["id"], "message": f"{key} does not exist"}]}
                continue
            assert all("," not in tag and len(tag) <= 255 for tag in given)
            kept = [tag for tag in self.tags[key] if tag not in given]
            self.tags[key] = kept + (given if mutation == "tagsAdd" else [])
            answers[alias] = {"userErrors": []}
        return answers

    def _create(self, discount: dict[str, Any]) -> dict[str, Any]:
        if discount["code"].upper() in self.discounts:
            error = {"field": ["basicCodeDiscount", "code"], "code": "TAKEN", "message": "Code must be unique."}
            return {"codeDiscountNode": None, "userErrors": [error]}
        if any(key not in self.tags for key in discount["context"]["customers"]["add"]):
            error = {"field": ["basicCodeDiscount", "context"], "code": "INVALID", "message": "Customer is invalid"}
            return {"codeDiscountNode": None, "userErrors": [error]}
        self.discounts[discount["code"].upper()] = discount
        return {"codeDiscountNode": {"id": "gid://shopify/DiscountCodeNode/1"}, "userErrors": []}

    def _by_code(self, code: str) -> Any:
        found = self.discounts.get(code.upper())
        return {"codeDiscount": {"title": found["title"]}} if found else None

    def _set(self, metafields: list[dict[str, Any]]) -> dict[str, Any]:
        assert len(metafields) <= 25
        errors = [
            {"field": ["metafields", str(index), "ownerId"], "code": "INVALID", "message": "Owner does not exist"}
            for index, metafield in enumerate(metafields)
            if metafield["ownerId"] not in self.tags
        ]
        if not errors:
            for metafield in metafields:
                place = (metafield["ownerId"], metafield["namespace"], metafield["key"])
                self.metafields[place] = metafield["value"]
        return {"metafields": [], "userErrors": errors}


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
