"""Connector `youzan`: windows that hold too much, notices, and answers that look like success."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.connectors import youzan, youzan_api
from pipelines.connectors.protocol import BadSignatureError
from pipelines.connectors.youzan_api import Endpoint
from pipelines.http import BusyError, CredentialsError, DoubtfulError, RefusedError, waiting
from tests.support.platform_server import Answer
from tests.support.youzan_server import CLIENT_ID, CLIENT_SECRET, YouzanServer

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[YouzanServer]:
    monkeypatch.setattr(waiting, "sleep", waits.append)
    with YouzanServer() as running:
        yield running


@pytest.fixture
def connector(server: YouzanServer) -> youzan.YouzanConnector:
    return youzan.connect(server.options())


def pulled(connector, state=None) -> list[str]:
    pages = connector.pull("orders", NOW - HOUR, NOW, state)
    return [row["order_id"] for page in pages for row in page.records["orders"]]


def test_a_window_with_more_orders_than_paging_reaches_is_halved_until_it_fits(server, connector, monkeypatch):
    monkeypatch.setattr(youzan_api, "ORDERS", Endpoint("youzan.trades.sold.get", "4.0.4", 10, 40))
    server.listed_orders = 40
    ids = server.seed(300, NOW)

    assert sorted(set(pulled(connector))) == ids


def test_a_halved_window_goes_on_where_it_was_left(server, connector, monkeypatch):
    monkeypatch.setattr(youzan_api, "ORDERS", Endpoint("youzan.trades.sold.get", "4.0.4", 10, 40))
    ids = server.seed(100, NOW)
    pages = connector.pull("orders", NOW - HOUR, NOW)
    first = [next(pages) for _ in range(3)]
    state = json.loads(json.dumps(first[-1].state))
    seen = {row["order_id"] for page in first for row in page.records["orders"]}

    assert seen | set(pulled(connector, state)) == set(ids)


def test_more_than_paging_reaches_in_one_second_is_told_and_not_passed_over(server, connector, monkeypatch):
    monkeypatch.setattr(youzan_api, "ORDERS", Endpoint("youzan.trades.sold.get", "4.0.4", 10, 40))
    for tid in server.seed(50, NOW):
        server.move(tid, NOW)

    with pytest.raises(RefusedError, match="one second"):
        pulled(connector)


def test_a_limit_is_waited_for_as_youzan_wants(server, connector, waits):
    server.seed(1, NOW)
    pulled(connector)
    limited = Answer({"code": 123000042, "success": False, "message": "请求被限流"})
    whole, answers = server.answer, iter([limited] * 5)
    server.answer = lambda call: next(answers, None) or whole(call)
    pulled(connector)

    assert [round(wait - wait % 1.5) for wait in waits] == [3, 6, 12, 24, 48]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"gw_err_resp": {"err_code": 4203, "err_msg": "x"}}, CredentialsError),
        ({"gw_err_resp": {"err_code": 4204, "err_msg": "x"}}, RefusedError),
        ({"gw_err_resp": {"err_code": 4101, "err_msg": "x"}}, BusyError),
        ({"code": 5000, "success": False, "data": {"full_order_info_list": []}}, RefusedError),
        ({"code": 106000001, "success": False, "data": {"full_order_info_list": []}}, DoubtfulError),
        ({"code": 200, "success": True, "data": {"is_success": "false"}}, RefusedError),
        ({"code": 200, "success": True, "data": {"full_order_info_list": []}}, DoubtfulError),
        ({"something": "else"}, DoubtfulError),
        ([], DoubtfulError),
    ],
)
def test_an_answer_that_is_no_success_is_never_an_empty_list(server, connector, monkeypatch, body, error):
    pulled(connector)
    whole = server.answer
    server.answer = lambda call: whole(call) if call.path == "/auth/token" else Answer(body)

    with pytest.raises(error):
        pulled(connector)


def signed(notice) -> tuple[dict[str, str], bytes]:
    body = json.dumps(notice, ensure_ascii=False).encode()
    digest = hashlib.md5(CLIENT_ID.encode() + body + CLIENT_SECRET.encode(), usedforsecurity=False).hexdigest()
    return {"event-sign": digest.upper()}, body


@pytest.mark.parametrize(
    ("notice", "about"),
    [
        ({"type": "trade_TradeClose", "id": "E1", "msg": "%7B%22tid%22%3A%22E1%22%7D"}, [("orders", "E1")]),
        (
            {"type": "youzan_trade_RefundSuccess", "id": "E1", "msg": {"tid": "E1", "refund_id": "R1"}},
            [("refunds", "R1"), ("orders", "E1")],
        ),
        ({"type": "SCRM_CUSTOMER_EVENT", "id": "9", "msg": {"yz_open_id": "yz1", "mobile": "1"}}, [("members", "yz1")]),
        ({"type": "ITEM_STATE", "id": "101", "msg": {"data": {}}}, [("products", "101")]),
        ({"type": "POINTS", "id": "1", "msg": {}}, []),
        ({"type": "trade_TradeClose", "id": "E1", "msg": {}, "test": True}, []),
        ({"type": "trade_TradeClose", "id": "E1", "msg": {}, "kdt_id": 43}, []),
    ],
)
def test_a_notice_names_the_records_to_read_again(connector, notice, about):
    events = connector.verify_webhook(*signed({"msg_id": "m1", "version": 7, **notice}), {})

    assert [(event.feed, event.source_id) for event in events] == about
    assert all((event.event_id, event.version) == ("m1", "7") for event in events)


def test_a_notice_that_makes_no_sense_is_told_without_quoting_it(connector):
    headers, body = signed({"type": "trade_TradeClose", "msg": "%7Bbroken 13912345678"})

    with pytest.raises(ValueError, match="can't be read") as caught:
        connector.verify_webhook(headers, body, {})
    assert "139" not in str(caught.value)
    with pytest.raises(BadSignatureError):
        connector.verify_webhook({"event-sign": ""}, body, {})


def test_unknown_ids_are_left_out(server, connector):
    ids = server.seed(1, NOW)

    assert [row["order_id"] for row in connector.fetch("orders", [*ids, "E-none"]).records["orders"]] == ids
