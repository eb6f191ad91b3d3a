"""The client: which faults become which errors, what is repeated, and that nothing secret is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.errors import ConfigurationError
from pipelines.http import (
    BusyError,
    CredentialsError,
    DoubtfulError,
    Http,
    Rate,
    RefusedError,
    Reply,
    UnreachableError,
    quick_calls,
)
from tests.support.awkward_server import awkward_server

SECRET = "s3cr3t&/value"
Handler = Callable[[httpx.Request], httpx.Response]


def client(*answers: httpx.Response | Exception, **options: Any) -> tuple[Http, list[httpx.Request], list[float]]:
    """A client whose server gives these answers in turn, the last one again and again."""
    requests: list[httpx.Request] = []
    waits: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        given = answers[min(len(requests), len(answers)) - 1]
        if isinstance(given, Exception):
            raise given
        return httpx.Response(given.status_code, headers=given.headers, content=given.content)

    http = Http("https://shop.example/api", transport=httpx.MockTransport(answer), sleep=waits.append, **options)
    return http, requests, waits


def test_a_read_answers_with_exact_numbers():
    http, requests, _ = client(httpx.Response(200, content=b'{"price": 0.1, "big": 12345678901234567890.12, "n": 7}'))

    reply = http.read("GET", "/orders", params={"page": 2})

    assert reply.json() == {"price": Decimal("0.1"), "big": Decimal("12345678901234567890.12"), "n": 7}
    assert str(requests[0].url) == "https://shop.example/api/orders?page=2"


def test_a_decimal_goes_out_as_a_plain_number():
    http, requests, _ = client(httpx.Response(200))

    http.effect("POST", "/coupons", json={"value": Decimal("30.00"), "text": '"30.00"', "list": [Decimal("1E+2")]})

    assert requests[0].content == b'{"value":30.00,"text":"\\"30.00\\"","list":[100]}'
    assert requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(408),
        httpx.Response(429),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("short"),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b'{"orders": [{"id'),
    ],
)
def test_a_read_is_repeated_until_the_fault_has_passed(fault):
    http, requests, waits = client(fault, fault, httpx.Response(200, json={"ok": True}))

    assert http.read("GET", "/orders").json() == {"ok": True}
    assert len(requests) == 3
    assert len(waits) == 2
    assert waits[0] < waits[1]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (httpx.Response(500), DoubtfulError),
        (httpx.Response(503, headers={"retry-after": "1"}), DoubtfulError),
        (httpx.ReadTimeout("slow"), DoubtfulError),
        (httpx.WriteError("reset"), DoubtfulError),
        (httpx.Response(200, headers={"content-type": "application/json"}, content=b'{"id'), DoubtfulError),
        (httpx.Response(400), RefusedError),
        (httpx.Response(401), CredentialsError),
        (httpx.Response(429, headers={"retry-after": "60"}), BusyError),
    ],
)
def test_an_effect_that_may_be_there_or_is_refused_is_sent_once(fault, error):
    http, requests, _ = client(fault)

    with pytest.raises(error):
        http.effect("POST", "/coupons", json={})

    assert len(requests) == 1


@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.Response(429, headers={"retry-after": "1"})])
def test_an_effect_that_cannot_have_arrived_is_sent_again(fault):
    http, requests, _ = client(fault, httpx.Response(201))

    assert http.effect("POST", "/coupons").status == 201
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("status", "error"), [(404, RefusedError), (422, RefusedError), (302, RefusedError), (403, CredentialsError)]
)
def test_what_no_repetition_mends_is_asked_once(status, error):
    http, requests, _ = client(httpx.Response(status, headers={"location": "https://other.example/"}))

    with pytest.raises(error):
        http.read("GET", "/orders")

    assert len(requests) == 1


def test_a_refusal_tells_its_status():
    http, _, _ = client(httpx.Response(422))

    with pytest.raises(RefusedError) as caught:
        http.read("GET", "/orders")

    assert caught.value.status == 422


def test_a_refusal_keeps_its_answer_for_who_must_look_and_shows_it_to_nobody():
    http, _, _ = client(httpx.Response(409, json={"code": "taken", "phone": "13912345678"}))

    with pytest.raises(RefusedError) as caught:
        http.effect("POST", "/coupons")

    assert caught.value.reply is not None
    assert caught.value.reply.json()["code"] == "taken"
    assert "139" not in str(caught.value) + repr(caught.value) + repr(caught.value.reply)


def test_retry_after_is_waited_for():
    http, _, waits = client(httpx.Response(429, headers={"retry-after": "17"}), httpx.Response(200))

    http.read("GET", "/orders")

    assert waits == [17]


def test_a_wait_of_hours_is_left_to_a_later_run():
    http, requests, waits = client(httpx.Response(429, headers={"retry-after": "7200"}))

    with pytest.raises(BusyError) as caught:
        http.read("GET", "/orders")

    assert (caught.value.seconds, len(requests), waits) == (7200, 1, [])


def test_a_refusal_inside_http_200_is_no_success():
    def check(reply: Reply) -> None:
        if reply.json().get("errors"):
            raise RefusedError("The query was refused.", code="FORBIDDEN")

    http, requests, _ = client(httpx.Response(200, json={"errors": [{"message": "no"}], "data": None}))

    with pytest.raises(RefusedError) as caught:
        http.read("POST", "/graphql", check=check)

    assert (caught.value.code, len(requests)) == ("FORBIDDEN", 1)


def test_a_busy_body_is_repeated_with_the_wait_it_asks_for():
    def check(reply: Reply) -> None:
        if reply.json()["code"] == 4203:
            raise BusyError("Too many calls.", 3)

    http, _, waits = client(httpx.Response(200, json={"code": 4203}), httpx.Response(200, json={"code": 0}))

    assert http.read("GET", "/trades", check=check).json() == {"code": 0}
    assert waits == [3]


def test_an_error_page_with_http_200_is_no_empty_success():
    http, _, _ = client(httpx.Response(200, headers={"content-type": "text/html"}, content=b"<h1>Maintenance</h1>"))

    with pytest.raises(DoubtfulError):
        http.read("GET", "/orders", check=lambda reply: reply.json())


def test_a_body_that_cannot_be_unpacked_or_has_no_end_is_doubtful(monkeypatch):
    monkeypatch.setattr("pipelines.http.client.MAX_BODY_BYTES", 1000)
    for headers, content in [({"content-encoding": "gzip"}, b"no gzip"), ({}, b"x" * 2000)]:
        with awkward_server("answer", headers, content) as url, pytest.raises(DoubtfulError):
            Http(url, attempts=1).read("GET", "/orders")


def test_no_text_holds_a_secret_a_query_or_a_body(caplog):
    def check(reply: Reply) -> None:
        raise RefusedError(f"Wrong token {SECRET} or s3cr3t%26%2Fvalue.")

    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore.http11"):
        caplog.set_level(logging.DEBUG, logger=name)
    texts = []
    for fault, looked in [
        (httpx.Response(500, content=b"13912345678"), None),
        (httpx.Response(403), None),
        (httpx.ReadError(f"reset with {SECRET}"), None),
        (httpx.ConnectError(f"{SECRET}"), None),
        (httpx.Response(200), check),
    ]:
        http, _, _ = client(fault, headers={"x-key": SECRET}, secrets=[SECRET])
        with pytest.raises(Exception) as caught:
            http.read("GET", "/customers/13912345678?phone=13912345678", params={"access_token": SECRET}, check=looked)
        texts += [str(caught.value), repr(caught.value), repr(http), caplog.text]
    together = " ".join(texts)

    assert "GET shop.example/customers/… answered 500" in together
    for hidden in ("s3cr3t", "13912345678", "access_token", "phone="):
        assert hidden not in together


def test_the_repr_of_a_reply_shows_no_body():
    assert "139" not in repr(Reply(200, {"set-cookie": "139"}, b"13912345678"))


def test_credentials_go_to_no_other_server():
    http, requests, _ = client(httpx.Response(200), headers={"authorization": SECRET})

    for address in ("https://evil.example/next", "http://shop.example/api/next", "https://shop.example:8443/next"):
        with pytest.raises(RefusedError, match="another server"):
            http.read("GET", address)
    http.read("GET", "https://shop.example/api/next?page=2")

    assert [str(request.url) for request in requests] == ["https://shop.example/api/next?page=2"]


def test_cookies_of_one_call_are_not_sent_with_the_next():
    http, requests, _ = client(httpx.Response(200, headers={"set-cookie": "session=1; Path=/"}))

    http.read("GET", "/a")
    http.read("GET", "/b")

    assert "cookie" not in requests[1].headers


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("shop.example", "https://"),
        ("ftp://shop.example", "https://"),
        ("https://u:p@shop.example", "_env"),
        ("", "https://"),
    ],
)
def test_a_wrong_url_is_found_at_start_and_its_credentials_are_not_shown(url, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        Http(url)

    assert "u:p" not in str(caught.value)


def test_a_secret_that_no_header_can_carry_is_found_at_start():
    with pytest.raises(ConfigurationError, match="x-key") as caught:
        Http("https://shop.example", headers={"x-key": "abc\ndef"})

    assert "abc" not in str(caught.value)


def test_a_ca_file_that_is_none_is_found_at_start(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("no certificate")

    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(ConfigurationError, match=name):
            Http("https://shop.example", ca_file=tmp_path / name)


def test_a_quick_look_is_tried_once():
    http, requests, _ = client(httpx.Response(500))

    with quick_calls(), pytest.raises(DoubtfulError):
        http.read("GET", "/ping")

    assert len(requests) == 1
    assert requests[0].extensions["timeout"]["read"] == 5.0


def test_one_busy_answer_holds_every_thread():
    waits: list[float] = []
    rate = Rate(1000, 1000, clock=lambda: 0.0, sleep=waits.append)
    http, _, _ = client(httpx.Response(429, headers={"retry-after": "4"}), httpx.Response(200), rate=rate)

    http.read("GET", "/orders")

    assert waits == [4.0]


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("refuse", UnreachableError),
        ("reset", DoubtfulError),
        ("close", DoubtfulError),
        ("short_body", DoubtfulError),
        ("silent", DoubtfulError),
        ("trickle", DoubtfulError),
        ("garbage", DoubtfulError),
    ],
)
def test_every_way_a_connection_breaks_has_its_error(behaviour, error):
    with awkward_server(behaviour) as url:
        http = Http(url, timeout=0.15, attempts=1)

        with pytest.raises(error) as caught:
            http.effect("POST", "/coupons", json={"a": 1})

    assert "127.0.0.1" in str(caught.value)


def test_the_environment_names_no_proxy_for_this_machine(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with awkward_server("answer") as url:
        assert Http(url, attempts=1).read("GET", "/x").json() == {"ok": True}


def test_threads_share_one_client():
    with awkward_server("answer") as url:
        http = Http(url)
        seen: list[int] = []
        threads = [threading.Thread(target=lambda: seen.append(http.read("GET", "/x").status)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen == [200] * 8
