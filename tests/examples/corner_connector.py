"""Connector `corner`: the example of CONTRIBUTING. Sales by change, page by token; single sales; signed webhooks."""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import BadSignatureError, Capabilities, Check, FeedCapability, Options, Page
from pipelines.connectors.protocol import WebhookEvent as Event
from pipelines.connectors.rows import Rows, gather, translated
from pipelines.connectors.signatures import same
from pipelines.errors import OmnilakeError
from pipelines.http import Http, Rate, RefusedError, Reply, exact_json

STATUSES = {"open": "pending", "paid": "paid", "void": "cancelled"}
COLUMNS = {"number": "order_id", "changed": "updated_at", "placed": "placed_at", "total": "paid_amount"}
LINE_COLUMNS = {"pos": "line_id", "article": "sku", "count": "quantity", "price": "unit_price"}


def look(reply: Reply) -> None:
    """Corner answers HTTP 200 with a `problem`: nobody may take that for an empty page."""
    if problem := reply.json().get("problem"):
        raise RefusedError("Corner refused the call.", code=str(problem.get("code")))


def order(sale: Mapping[str, Any]) -> Rows:
    """A sale as a row of the landing contract; what the contract doesn't know goes along and is reported as drift."""
    row = {COLUMNS.get(name, name): value for name, value in sale.items() if name not in ("state", "buyer", "items")}
    buyer = sale["buyer"] or {}
    row |= {"status": STATUSES[sale["state"]], "member_id": buyer.get("ref"), "guest_phone": buyer.get("mobile")}
    row["lines"] = [{LINE_COLUMNS.get(name, name): value for name, value in item.items()} for item in sale["items"]]
    return {"orders": [row]}


def orders(sales: Sequence[Any]) -> Rows:
    """All of them: what can't be read as a sale goes as it is, for quarantine to show."""
    return gather(("orders",), [translated("orders", sale, order) for sale in sales])


class CornerConnector:
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
            yield Page(orders(page["items"]), state)
            if state is None:
                return

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        sales = []
        for number in source_ids:
            try:
                sales.append(self._http.read("GET", f"/v2/sales/{quote(number, safe='')}", check=look).json())
            except RefusedError as error:
                if error.status != 404:
                    raise
        return Page(orders(sales))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[Event]:
        wanted = hmac.digest(self._webhook_secret.encode(), body, "sha256").hex()
        if not self._webhook_secret or not same(wanted, headers.get("x-corner-signature", "")):
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
