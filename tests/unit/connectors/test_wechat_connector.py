"""Connector `wechat`: sealed messages, tokens, limits, and single records that are refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.connectors import wechat
from pipelines.connectors.protocol import BadSignatureError
from pipelines.errors import ConfigurationError
from pipelines.http import BusyError, CredentialsError, DoubtfulError, RefusedError, waiting
from tests.support.platform_server import Answer
from tests.support.wechat_server import MESSAGE_TOKEN, WeChatServer, seal

NOW = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMES = {"timestamp": "1662480000", "nonce": "n1"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeChatServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with WeChatServer() as running:
        yield running


@pytest.fixture
def connector(server: WeChatServer) -> wechat.WeChatConnector:
    return wechat.connect(server.options())


def pulled(connector, feed="orders"):
    return [row for page in connector.pull(feed, NOW - HOUR, NOW) for row in page.records[feed]]


def sealed(message: bytes, app_id: str | None = None) -> tuple[bytes, dict[str, str]]:
    text = seal(message, app_id) if app_id else seal(message)
    signature = hashlib.sha1("".join(sorted([MESSAGE_TOKEN, *TIMES.values(), text])).encode(), usedforsecurity=False)
    body = json.dumps({"ToUserName": "gh_1", "Encrypt": text}).encode()
    return body, {**TIMES, "msg_signature": signature.hexdigest()}


def opened(connector, message) -> list[tuple[str, str]]:
    body, query = sealed(json.dumps(message).encode())
    return [(event.feed, event.source_id) for event in connector.verify_webhook({}, body, query)]


@pytest.mark.parametrize(
    ("message", "about"),
    [
        ({"Event": "channels_ec_order_pay", "order_info": {"order_id": 7}}, [("orders", "7")]),
        (
            {"finder_shop_aftersale_status_update": {"after_sale_order_id": "9", "order_id": "7"}},
            [("orders", "7"), ("refunds", "9")],
        ),
        ({"Event": "product_spu_audit", "ProductSpuAudit": {"product_id": "3", "status": 3}}, [("products", "3")]),
        ({"Event": "channels_ec_coupon_create"}, []),
    ],
)
def test_a_sealed_message_names_the_records_to_read_again(connector, message, about):
    assert opened(connector, message) == about


def test_the_greeting_that_tries_the_address_is_taken_with_its_signature_alone(connector):
    signature = hashlib.sha1("".join(sorted([MESSAGE_TOKEN, *TIMES.values()])).encode(), usedforsecurity=False)
    query = {**TIMES, "echostr": "42", "signature": signature.hexdigest()}

    assert connector.verify_webhook({}, b"", query) == []
    with pytest.raises(BadSignatureError):
        connector.verify_webhook({}, b"", query | {"nonce": "n2"})


def test_a_message_for_another_account_is_refused(connector):
    body, query = sealed(b"{}", app_id="wx9999999999999999")

    with pytest.raises(BadSignatureError):
        connector.verify_webhook({}, body, query)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"Encrypt": 3}', b"<xml/>", b"\xff", json.dumps({"Encrypt": "no base64!"}).encode()],
)
def test_what_is_no_sealed_message_is_refused(connector, body):
    text = json.loads(body)["Encrypt"] if b"base64" in body else ""
    signature = hashlib.sha1("".join(sorted([MESSAGE_TOKEN, *TIMES.values(), text])).encode(), usedforsecurity=False)

    with pytest.raises(BadSignatureError):
        connector.verify_webhook({}, body, {**TIMES, "msg_signature": signature.hexdigest()})


def test_a_plain_message_is_refused_for_its_signature_says_nothing_of_its_body(connector):
    signature = hashlib.sha1("".join(sorted([MESSAGE_TOKEN, *TIMES.values()])).encode(), usedforsecurity=False)
    body = json.dumps({"order_info": {"order_id": 7}}).encode()

    with pytest.raises(BadSignatureError):
        connector.verify_webhook({}, body, {**TIMES, "signature": signature.hexdigest()})


def test_a_sealed_message_that_is_no_json_is_told_without_quoting_it(connector):
    body, query = sealed(b"<xml>13912345678</xml>")

    with pytest.raises(ValueError, match="JSON") as caught:
        connector.verify_webhook({}, body, query)
    assert "139" not in str(caught.value)


def test_a_key_that_is_none_is_found_at_start(server):
    options = server.options()
    for key in ("short", "!" * 43, base64.b64encode(b"x" * 48).decode()):
        with pytest.raises(ConfigurationError, match=r"'mall'.*encoding_aes_key"):
            wechat.connect(replace(options, secrets={**options.secrets, "encoding_aes_key": key}))


def test_a_token_that_another_client_ended_is_renewed_by_force_once(server, connector):
    server.seed(1, NOW)
    pulled(connector)
    server.token = "ended"

    assert len(pulled(connector)) == 1
    assert server.logins == 2


@pytest.mark.parametrize(
    ("code", "error"),
    [(40001, CredentialsError), (45009, BusyError), (45011, BusyError), (-1, DoubtfulError), (48001, RefusedError),
     (10020003, RefusedError)],
)  # fmt: skip
def test_an_errcode_is_never_an_empty_list(server, connector, code, error):
    pulled(connector)
    whole = server.answer
    failure = Answer({"errcode": code, "errmsg": "x", "order_id_list": [], "has_more": False})
    server.answer = lambda call: whole(call) if "token" in call.path else failure

    with pytest.raises(error):
        pulled(connector)


def test_a_listed_order_that_is_refused_singly_is_kept_by_its_id_and_stops_nothing(server, connector, monkeypatch):
    ids = server.seed(3, NOW)
    whole = server.answer

    def refusing(call):
        if ids[1].encode() in call.body:
            return Answer({"errcode": 10020099, "errmsg": "x"})
        return whole(call)

    monkeypatch.setattr(server, "answer", refusing)
    rows = pulled(connector)

    assert [row.get("order_id") for row in rows] == [ids[0], None, ids[2]]
    assert rows[1]["untranslated"] == {"id": ids[1], "errcode": "10020099"}


def test_a_fetched_id_that_the_shop_doesnt_know_is_left_out_and_a_lacking_right_is_told(server, connector, monkeypatch):
    ids = server.seed(1, NOW)
    assert [row["order_id"] for row in connector.fetch("orders", [*ids, "404"]).records["orders"]] == ids

    monkeypatch.setattr(server, "_listed", server.refused)
    whole = server.answer
    monkeypatch.setattr(server, "answer", lambda call: server.refused() if "order/get" in call.path else whole(call))
    with pytest.raises(RefusedError):
        connector.fetch("orders", ids)


def test_members_are_read_page_by_page(server, connector, monkeypatch):
    everybody = [{"openid": f"o{number}"} for number in range(450)]
    whole = server.answer

    def listing(call):
        if call.path != "/channels/ec/vip/user/list/get":
            return whole(call)
        start = (call.json()["page_num"] - 1) * call.json()["page_size"]
        return Answer({"errcode": 0, "list": everybody[start : start + call.json()["page_size"]], "total_num": 450})

    monkeypatch.setattr(server, "answer", listing)
    pages = list(connector.pull("members", NOW - HOUR, NOW))

    assert [len(page.records["members"]) for page in pages] == [200, 200, 50]
    assert [page.state for page in pages] == [{"page": 2}, {"page": 3}, None]
    rest = list(connector.pull("members", NOW - HOUR, NOW, pages[1].state))
    assert [row["member_id"] for row in rest[0].records["members"]] == [f"o{number}" for number in range(400, 450)]


def test_days_before_there_were_such_shops_are_not_asked_for(server, connector):
    early = datetime(2010, 1, 1, tzinfo=UTC)

    assert [page.records["refunds"] for page in connector.pull("refunds", early, early + HOUR)] == [[]]
    assert server.calls == []


def test_a_listed_order_that_comes_back_empty_is_kept_by_its_id(server, connector, monkeypatch):
    (order_id,) = server.seed(1, NOW)
    whole = server.answer
    empty = Answer({"errcode": 0, "errmsg": "ok"})
    monkeypatch.setattr(server, "answer", lambda call: empty if call.path.endswith("order/get") else whole(call))

    assert pulled(connector) == [{"untranslated": {"id": order_id, "errcode": None}}]
    assert connector.fetch("orders", [order_id]).records["orders"] == []
