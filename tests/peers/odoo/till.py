"""What the tests against a real Odoo share: the shop's server, and how its connector and destination are asked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipelines.connectors.protocol import Connector, Options
from tests.peers.odoo.server import Odoo
from tests.peers.odoo.shop import Shop

EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Till:
    """The server with a shop in it."""

    server: Odoo
    shop: Shop

    def options(self, **more: Any) -> Options:
        """Settings of a channel "till", with the key of the user who has the documented rights and no more."""
        settings = {"url": self.server.url, "database": self.server.database, **more}
        return Options("till", settings, {"api_key": self.server.keys.omnilake})


def pulled(connector: Connector, feed: str, since: datetime = EVER) -> dict[str, list[dict[str, Any]]]:
    """All rows of a pull until now, by feed."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for page in connector.pull(feed, since, datetime.now(UTC) + timedelta(seconds=1)):
        for name, more in page.records.items():
            rows[name] += [dict(row) for row in more]
    return rows


def total(rows: list[dict[str, Any]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def goods(row: dict[str, Any]) -> Decimal:
    """What an order's goods cost after all discounts."""
    return sum(
        (line["unit_price"] * line["quantity"] - line["discount_amount"] for line in row["lines"]), Decimal(0)
    ) - Decimal(row["discount_amount"])
