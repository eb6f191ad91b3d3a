"""Webhooks: only what is signed, on disk before the answer, and every fault in the sender's terms."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines import inbox
from pipelines.connectors.protocol import WebhookEvent
from pipelines.feeds import hooks
from pipelines.settings import Settings
from tests.unit.serve.conftest import BODY_LIMIT, HOOK_SECRET, SECRET, sign


def notify(client: TestClient, content: object, channel: str = "mall", **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(f"/v1/webhooks/{channel}", content=body, headers={"X-Signature": sign(body, SECRET)} | headers)


def post_rows(
    client: TestClient, body: bytes, path: str = "pos/orders", signature: str | None = None
) -> httpx.Response:
    return client.post(
        f"/v1/webhooks/{path}",
        content=body,
        headers={"X-Omnilake-Signature": sign(body, HOOK_SECRET) if signature is None else signature},
    )


def assert_problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content["status"] == status
    return content["detail"]


def test_a_signed_notice_is_in_the_inbox_when_it_is_answered(client: TestClient, settings: Settings) -> None:
    response = notify(client, {"id": "O1", "event": "E1", "version": "3"})
    assert (response.status_code, response.json()) == (200, {"accepted": 1, "unreadable": 0})
    assert inbox.take(settings, "mall").events == (WebhookEvent("orders", "O1", "E1", "3"),)


@pytest.mark.parametrize("signature", ["", "wrong", sign(b"{}", SECRET), "中"])
def test_a_wrong_signature_is_401_and_keeps_nothing(client: TestClient, settings: Settings, signature: str) -> None:
    response = client.post(
        "/v1/webhooks/mall", content=b'{"id": "O1", "event": "E"}', headers={"X-Signature": signature.encode()}
    )
    assert_problem(response, 401)
    assert inbox.waiting_files(settings, "mall") == []


def test_a_body_that_was_changed_on_its_way_is_401(client: TestClient, settings: Settings) -> None:
    response = client.post(
        "/v1/webhooks/mall",
        content=b'{"id": "O2", "event": "E"}',
        headers={"X-Signature": sign(b'{"id": "O1", "event": "E"}', SECRET)},
    )
    assert_problem(response, 401)


def test_a_signed_body_that_nobody_understands_is_taken_and_told_in_the_log_without_its_content(
    client: TestClient, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        broken = notify(client, b'{"phone": "13912345678"')
        odd = notify(client, {"phone": "13912345678"})
    for response in (broken, odd):
        assert (response.status_code, response.json()) == (200, {"accepted": 0, "unreadable": 1})
    assert caplog.text.count("webhook of mall not understood") == 2
    assert "13912345678" not in caplog.text
    assert inbox.waiting_files(settings, "mall") == []


@pytest.mark.parametrize("channel", ["nowhere", "pos", "kiosk"])
def test_a_channel_without_a_platform_is_404(client: TestClient, channel: str) -> None:
    assert_problem(notify(client, {}, channel), 404)


def test_a_body_over_the_limit_is_413_declared_or_not(client: TestClient, settings: Settings) -> None:
    body = b'{"id": "' + b"x" * BODY_LIMIT + b'"}'
    signed = {"X-Signature": sign(body, SECRET)}

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 700):
            yield body[start : start + 700]

    assert_problem(client.post("/v1/webhooks/mall", content=body, headers=signed), 413)
    assert_problem(client.post("/v1/webhooks/mall", content=pieces(), headers=signed), 413)
    assert_problem(post_rows(client, body), 413)
    assert inbox.waiting_files(settings, "mall") == []


def test_a_body_at_the_limit_is_taken(client: TestClient) -> None:
    frame = len(b'{"id": "", "event": "e"}')
    assert notify(client, b'{"id": "' + b"x" * (BODY_LIMIT - frame) + b'", "event": "e"}').status_code == 200


def test_a_full_disk_is_503_and_the_next_notice_is_kept(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    response = notify(client, {"id": "O1", "event": "E1"})
    assert_problem(response, 503)
    assert response.headers["retry-after"] == "60"
    monkeypatch.undo()
    assert notify(client, {"id": "O2", "event": "E2"}).status_code == 200
    assert [event.source_id for event in inbox.take(settings, "mall").events] == ["O2"]


def test_replays_in_any_order_leave_one_record_to_read(client: TestClient, settings: Settings) -> None:
    for version in ("2", "1", "2", "1"):
        notify(client, {"id": "O1", "event": "E" + version, "version": version})
    assert [event.source_id for event in inbox.take(settings, "mall").events] == ["O1"]


def test_a_platform_gets_the_words_it_wants(client: TestClient) -> None:
    response = notify(client, {"id": "O1", "event": "E1"}, "talkative")
    assert (response.text, response.headers["content-type"]) == ("success", "text/plain; charset=utf-8")


def test_a_platform_that_asks_first_gets_its_echo_if_the_question_is_signed(client: TestClient) -> None:
    right = client.get("/v1/webhooks/talkative", params={"signature": "right", "echostr": "4711"})
    assert (right.status_code, right.text) == (200, "4711")
    assert_problem(client.get("/v1/webhooks/talkative", params={"signature": "x", "echostr": "4711"}), 401)
    assert_problem(client.get("/v1/webhooks/mall", params={"echostr": "4711"}), 401)
    assert_problem(client.get("/v1/webhooks/talkative", params={"signature": "right"}), 404)
    assert_problem(client.get("/v1/webhooks/pos", params={"echostr": "4711"}), 404)


def test_a_fault_of_a_connector_is_a_500_that_quotes_nothing(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        response = notify(client, {"id": "secret thing", "event": "a fault of the connector"})
    assert "secret thing" not in assert_problem(response, 500)
    assert "RuntimeError at " in caplog.text
    assert "secret thing" not in caplog.text


def test_the_log_names_the_route_and_neither_path_nor_query(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/v1/webhooks/talkative", params={"signature": "right", "echostr": "4711"})
        client.post("/v1/webhooks/13912345678?access_token=abc")
    lines = [record.getMessage() for record in caplog.records if record.name == "pipelines.serve.access"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        "GET /v1/webhooks/{channel} talkative 200",
        "POST /v1/webhooks/{channel} - 404",
    ]


def test_signed_rows_are_a_landing_file_as_soon_as_a_run_asks(client: TestClient, settings: Settings) -> None:
    assert post_rows(client, b'[{"order_id": "1"}, {"order_id": "2"}]').json() == {"accepted": 2, "unreadable": 0}
    assert post_rows(client, b'{"order_id": "3"}\n{"order_id": "4"').json() == {"accepted": 2, "unreadable": 0}
    hooks.seal_hooks(settings)
    (landed,) = (settings.landing / "pos" / "orders").glob("hook-*.jsonl")
    assert landed.read_text().splitlines() == [
        '{"order_id": "1"}', '{"order_id": "2"}', '{"order_id": "3"}', '{"order_id": "4"',
    ]  # fmt: skip


def test_a_signature_may_be_in_capitals_and_name_its_kind(client: TestClient) -> None:
    signature = sign(b"{}", HOOK_SECRET)
    assert post_rows(client, b"{}", signature=signature.upper()).status_code == 200
    assert post_rows(client, b"{}", signature=f"sha256={signature}").status_code == 200


@pytest.mark.parametrize("signature", ["", "sha256=", sign(b"{}", b""), sign(b"{}", SECRET), "é"])
def test_rows_with_a_wrong_signature_are_401(client: TestClient, settings: Settings, signature: str) -> None:
    response = client.post(
        "/v1/webhooks/pos/orders", content=b"{}", headers={"X-Omnilake-Signature": signature.encode()}
    )
    assert_problem(response, 401)
    assert not (settings.landing / "pos").exists()


def test_rows_for_nobody_are_404(client: TestClient) -> None:
    assert_problem(post_rows(client, b"{}", "pos/nonsense"), 404)
    assert_problem(post_rows(client, b"{}", "kiosk/orders", sign(b"{}", b"")), 404)
    assert_problem(post_rows(client, b"{}", "../orders"), 404)


def test_rows_in_another_encoding_are_400(client: TestClient, settings: Settings) -> None:
    assert_problem(post_rows(client, '{"name": "麦芽"}'.encode("gbk")), 400)
    assert not (settings.landing / "pos").exists()


def test_an_unknown_path_or_method_is_a_problem_too(client: TestClient) -> None:
    assert_problem(client.get("/v2/anything"), 404)
    refused = client.delete("/v1/webhooks/mall")
    assert_problem(refused, 405)
    assert refused.headers["allow"] == "GET, POST"
