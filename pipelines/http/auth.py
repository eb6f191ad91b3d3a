"""Credentials that expire: fetched when needed, renewed once for all threads, put where the platform wants them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.parameters import prepare_token_request  # type: ignore[import-untyped]

from pipelines.http.errors import CredentialsError, DoubtfulError, RefusedError, UnreachableError

if TYPE_CHECKING:
    from pipelines.http.client import Http

RENEW_BEFORE_SECONDS = 60.0
GENERATION = "omnilake.token"
"""Request extension: which token of a TokenAuth a request carries."""


@dataclass(frozen=True)
class Token:
    """A token and how long it holds; None: until it is refused."""

    value: str = field(repr=False)
    seconds: float | None = None


def in_header(name: str = "Authorization", prefix: str = "Bearer ") -> Callable[[httpx.Request, str], None]:
    """Puts the token into a header."""

    def put(request: httpx.Request, token: str) -> None:
        request.headers[name] = prefix + token

    return put


def in_query(name: str = "access_token") -> Callable[[httpx.Request, str], None]:
    """Puts the token into the query, for platforms that take it nowhere else. No text of ours shows a query."""

    def put(request: httpx.Request, token: str) -> None:
        request.url = request.url.copy_set_param(name, token)

    return put


class TokenAuth(httpx.Auth):
    """Logs in when there is no token, when it is about to expire, and once more when it is refused.

    login: makes one call and answers the token; it may raise any error of this package. Threads that need a token at
    the same time wait for one login.
    """

    def __init__(
        self,
        login: Callable[[], Token],
        put: Callable[[httpx.Request, str], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._login = login
        self._put = put or in_header()
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._expires_at = float("inf")
        self._generation = 0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Give the request the token."""
        token, request.extensions[GENERATION] = self._current()
        self._put(request, token)
        yield request

    def renew(self, generation: int) -> None:
        """Forget that token, which was refused; the next request logs in, unless another thread has done so."""
        with self._lock:
            if self._generation == generation:
                self._token = None

    def secrets(self) -> list[str]:
        """The token, so that no text quotes it."""
        token = self._token
        return [token.value] if token else []

    def _current(self) -> tuple[str, int]:
        with self._lock:
            if self._token is None or self._clock() >= self._expires_at:
                self._token = None
                self._token = self._logged_in()
                self._generation += 1
                self._expires_at = self._clock() + _usable(self._token.seconds)
            return self._token.value, self._generation

    def _logged_in(self) -> Token:
        try:
            return self._login()
        except DoubtfulError as error:
            # Whatever became of the login, the call that needed it was not sent.
            raise UnreachableError(f"No token: {error}") from None
        except RefusedError as error:
            raise CredentialsError(f"No token: {error}") from None


def _usable(seconds: float | None) -> float:
    """How long to use a token: some of its life is left for the calls that carry it."""
    if seconds is None:
        return float("inf")
    return max(seconds - min(RENEW_BEFORE_SECONDS, seconds / 10), 0.0)


def client_credentials(
    http: Http,
    path: str,
    client_id: str,
    client_secret: str,
    *,
    scope: str | None = None,
    method: str = "client_secret_basic",
) -> Callable[[], Token]:
    """A login by OAuth 2 client credentials (RFC 6749, 4.4). method: as OAuth names it; `client_secret_post` puts the
    id and the secret into the body."""

    def login() -> Token:
        more = {"scope": scope} if scope else {}
        body = prepare_token_request("client_credentials", **more)
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        client = ClientAuth(client_id, client_secret, method)
        address, headers, body = client.prepare("POST", path, headers, body)
        query = urlsplit(address).query
        reply = http.read("POST", path, params=query or None, data=body.encode(), headers=headers)
        answer = reply.json()
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise CredentialsError("The token endpoint answered without a token; check the client id and its rights.")
        seconds = answer.get("expires_in")
        return Token(token, float(seconds) if isinstance(seconds, int | str) and str(seconds).isdigit() else None)

    return login
