"""What tests on the real mall share: connecting as omnilake does, shoppers, records to send."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipelines.connectors.protocol import Connector, Options
from pipelines.destinations.protocol import CouponIssue, Offer, Recipient, Tag, TagChange
from tests.peers.vendure_server import ADMIN, PASSWORD, Vendure

EVER = datetime(1970, 1, 1, tzinfo=UTC)
TODAY = date.today()


def options(mall: Vendure, **more: Any) -> Options:
    return Options("mall", {"url": mall.url, "username": ADMIN, **more}, {"password": PASSWORD})


def pulled(connector: Connector, feed: str, since: datetime = EVER) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for page in connector.pull(feed, since, datetime.now(UTC)):
        for name, more in page.records.items():
            rows[name] += [dict(row) for row in more]
    return rows


def by_id(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}


def total(rows: list[dict[str, Any]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def person(number: int) -> dict[str, str]:
    return {"email": f"shopper{number}@example.com", "phone": f"1391234{number:04d}"}


def guest(number: int) -> dict[str, str]:
    return {"emailAddress": f"guest{number}@example.com", "firstName": "客", "lastName": "李",
            "phoneNumber": f"1371234{number:04d}"}  # fmt: skip


def coupon(owner: str, code: str, kind: str = "amount_off", value: str = "30.00") -> CouponIssue:
    offer = Offer(kind, Decimal(value), Decimal("199.00"), "CNY")
    return CouponIssue(f"key-{code}", Recipient("c1", owner), owner, 1, TODAY, "recall", "1", code, offer,
                       TODAY - timedelta(days=1), TODAY + timedelta(days=30))  # fmt: skip


def segment(owner: str, add: str, remove: str | None = None) -> TagChange:
    gone = (Tag("segment", remove),) if remove else ()
    return TagChange(f"tag-{owner}-{add}", Recipient("c1", owner), owner, 1, TODAY, (Tag("segment", add),), gone)


def minor(amount: str | Decimal) -> int:
    """Yuan as the server counts them."""
    return int(Decimal(amount) * 100)
