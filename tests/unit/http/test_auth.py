"""Tokens: one login for all threads, one renewal when refused, then a credentials error."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from pipelines.http import (
    CredentialsError,
    DoubtfulError,
    Http,
    RefusedError,
    Reply,
    Token,
    TokenAuth,
    UnreachableError,
    client_credentials,
    in_query,
)


class Shop:
    """Takes the newest token only; a token lives `life` seconds of a clock that the test moves."""

    def __init__(self, life: float | None = None, refuses_all: bool = False) -> None:
        self.logins = 0
        self.now = 0.0
        self.life = life
        self.refuses_all = refuses_all
        self.seen: list[str] = []

    def login(self) -> Token:
        self.logins += 1
        return Token(f"token-{self.logins}", self.life)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.headers.get("authorization") or request.url.params.get("access_token", ""))
        good = self.seen[-1].removeprefix("Bearer ") == f"token-{self.logins}" and not self.refuses_all
        return httpx.Response(200 if good else 401, json={"good": good})

    def client(self, **options: Any) -> Http:
        auth = TokenAuth(self.login, clock=lambda: self.now, **options)
        return Http("https://shop.example", auth=auth, transport=httpx.MockTransport(self.answer), sleep=lambda _: None)


def test_a_token_is_used_until_it_is_about_to_expire():
    shop = Shop(life=100)
    http = shop.client()

    for now in (0, 50, 89, 91, 92):
        shop.now = now
        http.read("GET", "/orders")

    assert shop.seen == ["Bearer token-1"] * 3 + ["Bearer token-2"] * 2


def test_a_token_that_the_server_forgot_is_renewed_and_the_call_goes_through():
    shop = Shop()
    http = shop.client()
    http.read("GET", "/orders")
    shop.logins += 1  # the server knows a newer token

    assert http.effect("POST", "/tags").json() == {"good": True}
    assert shop.seen == ["Bearer token-1", "Bearer token-1", "Bearer token-3"]


def test_a_token_that_is_refused_after_renewal_is_a_credentials_error():
    shop = Shop(refuses_all=True)

    with pytest.raises(CredentialsError):
        shop.client().read("GET", "/orders")

    assert shop.logins == 2


def test_a_refusal_inside_http_200_renews_the_token_too():
    answers = iter([{"errcode": 40001}, {"errcode": 0}])
    shop = Shop()

    def check(reply: Reply) -> None:
        if reply.json()["errcode"] == 40001:
            raise CredentialsError("errcode 40001")

    http = Http(
        "https://shop.example",
        auth=TokenAuth(shop.login, in_query()),
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers))),
    )

    assert http.read("GET", "/orders", check=check).json() == {"errcode": 0}
    assert shop.logins == 2


def test_threads_that_need_a_token_wait_for_one_login():
    shop = Shop()
    gate = threading.Event()
    login = shop.login

    def slow_login() -> Token:
        gate.wait(5)
        return login()

    http = Http(
        "https://shop.example", auth=TokenAuth(slow_login), transport=httpx.MockTransport(shop.answer), attempts=1
    )
    threads = [threading.Thread(target=http.read, args=("GET", "/orders")) for _ in range(6)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()

    assert shop.logins == 1
    assert shop.seen == ["Bearer token-1"] * 6


def test_a_token_in_the_query_stands_beside_the_other_parameters():
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    auth = TokenAuth(lambda: Token("t&1"), in_query())
    Http("https://shop.example", auth=auth, transport=httpx.MockTransport(answer)).read(
        "GET", "/orders", params={"page": 2}
    )

    assert dict(requests[0].url.params) == {"page": "2", "access_token": "t&1"}


@pytest.mark.parametrize(
    ("fault", "error"), [(DoubtfulError("timed out"), UnreachableError), (RefusedError("400"), CredentialsError)]
)
def test_a_login_that_fails_has_sent_no_effect(fault, error):
    sent: list[httpx.Request] = []

    def login() -> Token:
        raise fault

    http = Http(
        "https://shop.example",
        auth=TokenAuth(login),
        transport=httpx.MockTransport(lambda request: sent.append(request) or httpx.Response(200)),
        sleep=lambda _: None,
    )

    with pytest.raises(error):
        http.effect("POST", "/coupons")
    assert sent == []


def test_no_text_shows_a_renewed_token():
    def check(reply: Reply) -> None:
        raise RefusedError("The server says: token-1 may not do this.")

    with pytest.raises(RefusedError) as caught:
        Shop().client().read("GET", "/orders", check=check)

    assert "token-1" not in str(caught.value)
    assert "token-1" not in repr(Token("token-1"))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_client_credentials_are_those_of_oauth(method):
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"access_token": "abc", "expires_in": 3600, "token_type": "bearer"})

    http = Http("https://shop.example", transport=httpx.MockTransport(answer))
    token = client_credentials(http, "/oauth/token", "me", "secret", scope="read", method=method)()

    assert (token.value, token.seconds) == ("abc", 3600)
    body = requests[0].content.decode()
    assert "grant_type=client_credentials" in body
    assert "scope=read" in body
    assert ("client_secret=secret" in body) == (method == "client_secret_post")
    assert ("authorization" in requests[0].headers) == (method == "client_secret_basic")


def test_a_token_endpoint_without_a_token_is_a_credentials_error():
    http = Http("https://shop.example", transport=httpx.MockTransport(lambda _: httpx.Response(200, json=[])))

    with pytest.raises(CredentialsError):
        client_credentials(http, "/oauth/token", "me", "secret")()
