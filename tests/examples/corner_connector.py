"""Connector `corner`: the example that CONTRIBUTING explains. An invented REST platform, its pull side.

GET /v2/sales by change, the next page by an opaque token; GET /v2/sales/<number>; signed webhooks.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import BadSignatureError, Capabilities, Check, FeedCapability, Options, Page
from pipelines.connectors.protocol import WebhookEvent as Event
from pipelines.errors import OmnilakeError
from pipelines.http import Http, Rate, RefusedError, Reply, exact_json

STATUSES = {"open": "pending", "paid": "paid", "void": "cancelled"}
COLUMNS = {"number": "order_id", "changed": "updated_at", "placed": "placed_at", "total": "paid_amount"}
LINE_COLUMNS = {"pos": "line_id", "article": "sku", "count": "quantity", "price": "unit_price"}


def look(reply: Reply) -> None:
    """Corner answers HTTP 200 with a `problem`: nobody may take that for an empty page."""
    if problem := reply.json().get("problem"):
        raise RefusedError("Corner refused the call.", code=str(problem.get("code")))


def order(sale: Mapping[str, Any]) -> dict[str, Any]:
    """A sale as a row of the landing contract; what the contract doesn't know goes along and is reported as drift."""
    row = {COLUMNS.get(name, name): value for name, value in sale.items() if name not in ("state", "buyer", "items")}
    buyer, state = sale.get("buyer") or {}, sale.get("state")
    row |= {
        "status": STATUSES.get(str(state), state),
        "member_id": buyer.get("ref"),
        "guest_phone": buyer.get("mobile"),
    }
    row["lines"] = [{LINE_COLUMNS.get(k, k): v for k, v in item.items()} for item in sale.get("items") or []]
    return row


class CornerConnector:
    """Sales of one shop as orders."""

    def __init__(self, channel: str, http: Http, webhook_secret: str) -> None:
        self.channel, self._http, self._webhook_secret = channel, http, webhook_secret

    def capabilities(self) -> Capabilities:
        orders = FeedCapability(widest_window=timedelta(days=31), page_size=50)
        return Capabilities({"orders": orders}, fetches=frozenset({"orders"}), has_webhooks=True)

    def pull(self, feed: str, since: datetime, until: datetime, state: Any = None) -> Iterator[Page]:
        window = {"changed_from": since.isoformat(), "changed_to": until.isoformat()}
        while True:
            page = self._http.read("GET", "/v2/sales", params=window | (state or {}), check=look).json()
            state = {"after": page["next"]} if page["next"] else None
            yield Page({"orders": [order(sale) for sale in page["items"]]}, state)
            if state is None:
                return

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        rows = []
        for number in source_ids:
            try:
                rows.append(order(self._http.read("GET", f"/v2/sales/{quote(number, safe='')}", check=look).json()))
            except RefusedError as error:
                if error.status != 404:
                    raise
        return Page({"orders": rows})

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[Event]:
        wanted = hmac.new(self._webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        given = headers.get("x-corner-signature", "")
        if not self._webhook_secret or not hmac.compare_digest(wanted.encode(), given.encode()):
            raise BadSignatureError("X-Corner-Signature is not that of our secret.")
        try:
            said = exact_json.loads(body)
            return [Event("orders", str(said["sale"]), str(said["id"]), str(said["revision"]))]
        except (ValueError, KeyError, TypeError):
            raise ValueError("The webhook is not of the shape we know.") from None

    def check(self) -> list[Check]:
        try:
            self._http.read("GET", "/v2/shop", check=look)
        except OmnilakeError as error:
            return [Check("credentials", False, "refused or out of reach", str(error))]
        return [Check("credentials", True, "taken")]


def http_of(read: SettingsReader) -> Http:
    """The client, which the destination shares: url, api_key_env, ca_file."""
    url, key, ca_file = read.url(), read.secret("api_key"), read.ca_file()
    return Http(url, headers={"X-Corner-Key": key}, secrets=[key], ca_file=ca_file, rate=Rate(50, burst=100))


def connect(options: Options) -> CornerConnector:
    """From checked settings; webhook_secret_env where webhooks are taken."""
    read = SettingsReader(options)
    connector = CornerConnector(options.channel, http_of(read), read.secret("webhook_secret", ""))
    read.end()
    return connector
