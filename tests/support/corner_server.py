"""A server of the invented platform `corner`: REST, next page by an opaque token, effects by a request id."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from pipelines.connectors.protocol import Connector, Options
from tests.examples import corner_connector
from tests.support.platform_server import Answer, Call, PlatformServer, SignedWebhook, json_text

KEY = "corner-key-5ee5a1"
WEBHOOK_SECRET = "corner-hook-77c1d0"
PAGE = 50


class CornerServer(PlatformServer):
    secrets = (KEY, WEBHOOK_SECRET)

    def __init__(self) -> None:
        super().__init__()
        self.sales: dict[str, dict[str, Any]] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.vouchers: dict[str, dict[str, Any]] = {}

    def connect(self, options: Options) -> Connector:
        return corner_connector.connect(options)

    def options(self) -> Options:
        return Options("mall", {"url": self.url}, {"api_key": KEY, "webhook_secret": WEBHOOK_SECRET})

    def seed(self, count: int, at: datetime) -> list[str]:
        numbers = [f"S-{len(self.sales) + number:05d}" for number in range(count)]
        for age, number in zip(range(count - 1, -1, -1), numbers, strict=True):
            changed = at - timedelta(seconds=age)
            self.sales[number] = {
                "number": number,
                "changed": changed.isoformat(),
                "placed": changed.isoformat(),
                "state": "paid",
                "currency": "CNY",
                "total": Decimal("12.30"),
                "buyer": {"ref": f"B{number}", "mobile": f"139{age:08d}"},
                "items": [{"pos": 1, "article": "007", "count": 1, "price": Decimal("12.30")}],
                "gift_wrap": True,
            }
        return numbers

    def move(self, source_id: str, at: datetime) -> None:
        self.sales[source_id] |= {"changed": at.isoformat(), "state": "void"}

    def refused(self) -> Answer:
        return Answer({"problem": {"code": "X12", "text": f"Not with key {KEY}, 13912345678."}})

    def expired(self) -> Answer:
        return Answer({"problem": {"code": "X1"}}, 401)

    def webhook(self, source_id: str) -> SignedWebhook:
        body = json_text({"id": f"n-{source_id}", "sale": source_id, "revision": 3, "buyer": "13912345678"})
        return SignedWebhook(
            {"x-corner-signature": hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()}, body
        )

    def answer(self, call: Call) -> Answer:
        if call.headers.get("x-corner-key") != KEY:
            return self.expired()
        match [call.method, *map(unquote, call.path.strip("/").split("/"))]:
            case ["GET", "v2", "shop"]:
                return Answer({"name": "Corner"})
            case ["GET", "v2", "sales"]:
                return self._sales(call)
            case ["GET", "v2", "sales", number] if number in self.sales:
                return Answer(self.sales[number])
            case ["PUT" | "DELETE", "v2", "buyers", buyer, "labels", label]:
                self.labels.setdefault(buyer, {}).pop(label, None)
                if call.method == "PUT":
                    self.labels[buyer][label] = call.json()["value"]
                return Answer({"done": True})
            case ["GET", "v2", "buyers", buyer]:
                return Answer({"ref": buyer, "labels": self.labels.get(buyer, {})})
            case ["POST", "v2", "vouchers"]:
                # A request id that was seen before is answered as it was then; a code may be taken twice by two ids.
                made = self.vouchers.setdefault(call.headers["request-id"], call.json())
                return Answer(made, 201)
            case ["GET", "v2", "vouchers"]:
                return Answer({"found": call.query["request_id"] in self.vouchers})
        return Answer({"problem": {"code": "X404"}}, 404)

    def _sales(self, call: Call) -> Answer:
        """By (changed, number): a token names the last one given, so that what moves meanwhile is given again later."""
        after = json.loads(base64.b64decode(call.query["after"])) if "after" in call.query else ["", ""]
        found = sorted(
            (sale["changed"], sale["number"])
            for sale in self.sales.values()
            if call.query["changed_from"] <= sale["changed"] <= call.query["changed_to"]
            and [sale["changed"], sale["number"]] > after
        )
        page = found[:PAGE]
        token = base64.b64encode(json.dumps(page[-1]).encode()).decode() if len(found) > PAGE else None
        return Answer({"items": [self.sales[number] for _, number in page], "next": token})
