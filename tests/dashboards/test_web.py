"""Signing in and out over HTTP, and what is served to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboards import web
from dashboards.visitor import COOKIE, state_of
from pipelines.accounts import passwords
from pipelines.accounts.store import add_account, disable
from pipelines.settings import load_settings

PASSWORD = "correct horse battery"
HTML = {"accept": "text/html"}


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"served {request.url.path}")


async def _stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("served")


@pytest.fixture
def client(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The routes and the guard before a stand-in for Streamlit."""
    monkeypatch.setenv("OMNILAKE_SIGN_IN", "accounts")
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(web, "_limiter", None)
    passwords._nobodys_hash.cache_clear()
    routes = [
        Route("/sign-in", web.show_sign_in, methods=["GET"]),
        Route("/sign-in", web.take_sign_in, methods=["POST"]),
        Route("/sign-out", web.leave, methods=["GET"]),
        Route("/{rest:path}", _page),
        WebSocketRoute("/_stcore/stream", _stream),
    ]
    served = Starlette(routes=routes, middleware=[Middleware(web.Guard)])
    with TestClient(served, follow_redirects=False) as opened:
        yield opened


@pytest.fixture
def ana(client: TestClient) -> str:
    settings = load_settings()
    return add_account(settings, state_of(settings), "ana", "analyst", (), PASSWORD, "cli").name


def post(client: TestClient, password: str = PASSWORD, name: str = "ana", **more: Any) -> Any:
    headers = more.pop("headers", {})
    return client.post("/sign-in", data={"name": name, "password": password, "next": "/health"} | more, headers=headers)


def test_without_a_session_nothing_is_served_but_the_form(client: TestClient) -> None:
    for path in ("/", "/health?lang=zh", "/media/abc.csv", "/_stcore/host-config", "/exports/1/a.csv"):
        assert client.get(path).status_code == 401
        sent = client.get(path, headers=HTML)
        assert sent.status_code == 303
        assert sent.headers["location"].startswith("/sign-in?next=%2F")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass
    assert client.get("/sign-in").status_code == 200


@pytest.mark.parametrize(
    "path", ["/sign-in/../media/a.csv", "//media/a.csv", "/media/../sign-in", "/SIGN-IN", "/sign-in%2f..%2fmedia"]
)
def test_a_crooked_path_does_not_serve_what_is_behind_the_guard(client: TestClient, path: str) -> None:
    assert "served /media" not in client.get(path).text


def test_a_session_opens_the_pages_and_signing_out_closes_them(client: TestClient, ana: str) -> None:
    answer = post(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/health")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"))
    assert "Secure" not in cookie
    assert client.get("/health").text == "served /health"
    assert client.get("/health").headers["x-frame-options"] == "DENY"
    with client.websocket_connect("/_stcore/stream") as socket:
        assert socket.receive_text() == "served"
    token = client.cookies[COOKIE]
    assert client.get("/sign-out").headers["location"] == "/sign-in"
    client.cookies.set(COOKIE, token)
    assert client.get("/health").status_code == 401


def test_behind_tls_the_cookie_is_for_tls_alone(client: TestClient, ana: str) -> None:
    assert "Secure" in post(client, headers={"x-forwarded-proto": "https"}).headers["set-cookie"]


def test_a_wrong_password_and_an_unknown_name_get_the_same_page(client: TestClient, ana: str) -> None:
    known, unknown = post(client, "wrong"), post(client, "wrong", "nobody")
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert known.status_code == 401
    assert "set-cookie" not in known.headers
    assert "ana" not in re.sub(r"(?s)<style>.*</style>", "", known.text)


def test_a_locked_account_gets_that_page_too(client: TestClient, ana: str) -> None:
    refused = [post(client, "wrong").text for _ in range(5)]
    assert {*refused, post(client).text} == {refused[0]}


def test_a_disabled_account_is_out_at_once(client: TestClient, ana: str) -> None:
    post(client)
    settings = load_settings()
    disable(settings, state_of(settings), ana, "cli")
    assert client.get("/health").status_code == 401


def test_before_the_first_account_the_form_says_how_to_make_one(client: TestClient) -> None:
    assert "omnilake users add NAME --role admin" in client.get("/sign-in").text


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil", "/sign-out"],
)
def test_nobody_is_sent_to_another_site_after_signing_in(client: TestClient, ana: str, target: str) -> None:
    assert post(client, next=target).headers["location"] == "/"


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}]
)
def test_another_site_can_neither_sign_anybody_in_nor_out(
    client: TestClient, ana: str, headers: dict[str, str]
) -> None:
    assert post(client, headers=headers).status_code == 403
    post(client)
    assert client.get("/sign-out", headers=headers).status_code == 403
    assert client.get("/health").status_code == 200


def test_what_is_typed_is_shown_nowhere_and_markup_stays_text(client: TestClient, ana: str) -> None:
    sly = '/"><script>alert(1)</script>'
    page = client.get("/sign-in", params={"next": sly}).text
    assert "<script>" not in page
    assert "<script>" not in post(client, "wrong", "<script>", next=sly).text


def test_a_form_that_is_too_large_is_refused(client: TestClient, ana: str) -> None:
    assert post(client, "x" * 20_000).status_code == 413


def test_the_form_speaks_the_language_of_the_page_behind_it(client: TestClient) -> None:
    assert "登录" in client.get("/sign-in", params={"next": "/health?lang=zh"}).text
    assert "登录" in client.get("/sign-in", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    assert "Sign in" in client.get("/sign-in").text


def test_where_sign_in_is_off_everything_is_served(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNILAKE_SIGN_IN", "off")
    assert client.get("/health").text == "served /health"
