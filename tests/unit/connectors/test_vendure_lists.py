"""A record that the server can't give holds up no neighbour, and is not passed over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.connectors.vendure_api import FieldError
from pipelines.http import waiting
from tests.support.mall_server import MallServer

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MallServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with MallServer() as running:
        yield running


def pulled(server: MallServer) -> list[dict[str, Any]]:
    connector = server.connect(server.options())
    pages = connector.pull("orders", NOW - timedelta(hours=1), NOW)
    return [dict(row) for page in pages for row in page.records.get("orders", ())]


def test_an_unreadable_order_comes_with_what_is_known_of_it_and_its_neighbours_whole(server: MallServer) -> None:
    ids = server.seed(130, NOW)
    server.unreadable = {ids[0], ids[57], ids[129]}
    rows = pulled(server)
    whole = [row["order_id"] for row in rows if "order_id" in row]
    broken = [row for row in rows if "order_id" not in row]

    assert sorted(whole, key=int) == [order_id for order_id in ids if order_id not in server.unreadable]
    assert {row["id"] for row in broken} == server.unreadable
    assert all("13912345678" not in str(row) and row["unreadable"] for row in broken)


def test_a_server_that_can_read_none_of_its_orders_is_a_fault_of_the_server(server: MallServer) -> None:
    server.unreadable = set(server.seed(20, NOW))

    with pytest.raises(FieldError):
        pulled(server)
