"""The client: reads that may be repeated, effects that are sent once, and every fault as one of five errors.

Belongs here: sending, waiting, repeating, judging a status. Does not belong here: what a body means (`check`, given by
the platform's file).
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import tenacity

from pipelines.errors import OmnilakeError
from pipelines.http import exact_json, waiting
from pipelines.http.auth import GENERATION, TokenAuth
from pipelines.http.clock import note_date
from pipelines.http.errors import BusyError, CredentialsError, DoubtfulError, RefusedError, UnreachableError
from pipelines.http.guards import checked_headers, checked_url, is_loopback, silence_libraries, tls_context
from pipelines.http.rate import Rate
from pipelines.http.waiting import retry_after

MAX_BODY_BYTES = 128 * 1024 * 1024
WHOLE_ANSWER = 4
"""An answer that trickles in has so many time-outs to be whole."""
LONGEST_WAIT_SECONDS = 120.0
"""Whoever asks for a longer wait is asked again by a later run."""
LONGEST_EFFECT_WAIT_SECONDS = 5.0
"""An effect that must wait longer goes back to its queue."""
SHORTEST_SECRET = 4

_QUICK: ContextVar[float | None] = ContextVar("quick", default=None)
_PERSONAL = re.compile(r"[^/]*(?:@|%40|\d{7})[^/]*", re.IGNORECASE)

Check = Callable[["Reply"], None]


@contextmanager
def quick_calls(seconds: float = 5.0) -> Iterator[None]:
    """Within: every call of this thread is tried once and has `seconds` at each step, for a look and not for work."""
    token = _QUICK.set(seconds)
    try:
        yield
    finally:
        _QUICK.reset(token)


@dataclass(frozen=True)
class Reply:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @cached_property
    def _value(self) -> Any:
        return exact_json.loads(self.body)

    def json(self) -> Any:
        """The body's value; numbers with a fraction are Decimal. Raises DoubtfulError if it is no JSON."""
        try:
            return self._value
        except ValueError:  # without its context, which quotes the body
            raise DoubtfulError(f"The answer (HTTP {self.status}, {len(self.body)} bytes) is no whole JSON.") from None


class Http:
    """One platform's server. Synchronous, and safe to share between threads.

    base_url: http or https, without credentials. headers, auth: sent with every call. secrets: values that no text may
    show, beyond those of `auth`. ca_file: PEM file of a private CA, trusted beside the public ones. timeout: seconds to
    connect, and at most between two bytes. rate: shared by whoever spends the same allowance. attempts: of a read.
    backoff: seconds before the second attempt, doubled before each later one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        secrets: Iterable[str] = (),
        ca_file: Path | None = None,
        timeout: float = 30,
        rate: Rate | None = None,
        attempts: int = 5,
        backoff: float = 1.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = waiting.pause,
    ) -> None:
        url = checked_url(base_url)
        self._origin = (url.scheme, url.host, url.port)
        self._host = url.netloc.decode("ascii")
        self._auth = auth
        self._secrets = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
        self._timeout = timeout
        self._rate = rate
        self._attempts = attempts
        self._wait = tenacity.wait_exponential(backoff, max=60 * backoff) + tenacity.wait_random(0, backoff / 2)
        self._sleep = sleep
        silence_libraries()
        self._client = httpx.Client(
            base_url=url,
            headers=checked_headers(headers or {}, url.host),
            auth=auth,
            verify=tls_context(ca_file),
            timeout=timeout,
            follow_redirects=False,
            # A proxy of the environment stands between us and the world, never between us and ourselves.
            trust_env=not is_loopback(url.host),
            # Sessions by cookie would make one thread's call depend on another's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            transport=transport,
        )

    def read(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        check: Check | None = None,
        cost: float = 1.0,
    ) -> Reply:
        """A call that may be repeated: waits and tries again where that may help, honouring Retry-After.

        path: beneath base_url, or a whole address of the same server (a link to the next page). params: mapping, pairs
        or a text. data: a mapping is sent as a form, bytes as they are. check: the platform's look at the answer;
        raises an error of this package. cost: what the call takes from the rate.
        """
        build = self._builder(method, path, params, json, data, headers)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(1 if _QUICK.get() else self._attempts),
            retry=tenacity.retry_if_exception(_is_worth_repeating),
            wait=self._pause,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._once, build, check, cost)

    def effect(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        check: Check | None = None,
        cost: float = 1.0,
    ) -> Reply:
        """A call that changes something, as `read`, but sent again only where nothing can have arrived: no connection,
        a short wait that was asked for, or a token that was refused."""
        build = self._builder(method, path, params, json, data, headers)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(1 if _QUICK.get() else self._attempts),
            retry=tenacity.retry_if_exception(_has_surely_no_effect),
            wait=self._pause,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._once, build, check, cost)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _builder(
        self, method: str, path: str, params: Any, json: Any, data: Any, headers: Mapping[str, str] | None
    ) -> Callable[[], httpx.Request]:
        shown = f"{method} {self._host}{shown_path(path)}"
        content: dict[str, Any] = {"content": data} if isinstance(data, bytes | str) else {"data": data}
        sent = dict(headers or {})
        if json is not None:
            content = {"content": exact_json.encode(json)}
            sent.setdefault("content-type", "application/json")

        def build() -> httpx.Request:
            try:
                request = self._client.build_request(method, path, params=params, headers=sent, **content)
            except (httpx.InvalidURL, ValueError, TypeError):
                raise RefusedError(f"{shown} can't be sent: its address or a header can't be formed.") from None
            if (request.url.scheme, request.url.host, request.url.port) != self._origin:
                # Our credentials go to no other server, whatever a link to the next page says.
                raise RefusedError(f"{method} {self._host} was pointed at another server, {request.url.host}.")
            seconds = _QUICK.get() or self._timeout
            request.extensions = {**request.extensions, "timeout": httpx.Timeout(seconds).as_dict(), "shown": shown}
            return request

        return build

    def _once(self, build: Callable[[], httpx.Request], check: Check | None, cost: float) -> Reply:
        """One attempt; a second one with a new token if the first was refused."""
        request = build()
        try:
            return self._answered(request, check, cost)
        except CredentialsError as error:
            generation = request.extensions.get(GENERATION)
            if not isinstance(self._auth, TokenAuth) or generation is None:
                raise self._without_secrets(error) from None
            self._auth.renew(generation)
        except OmnilakeError as error:
            raise self._without_secrets(error) from None
        try:
            return self._answered(build(), check, cost)
        except OmnilakeError as error:
            raise self._without_secrets(error) from None

    def _answered(self, request: httpx.Request, check: Check | None, cost: float) -> Reply:
        if self._rate:
            self._rate.take(cost)
        try:
            reply = self._exchange(request)
            judge_status(request.extensions["shown"], reply)
            if reply.body and "json" in reply.headers.get("content-type", ""):
                reply.json()  # a truncated body is found here, where it can still be asked for again
            if check:
                check(reply)
        except BusyError as error:
            if self._rate:
                self._rate.hold(min(error.seconds, LONGEST_WAIT_SECONDS))
            raise
        return reply

    def _exchange(self, request: httpx.Request) -> Reply:
        """Send, and read the whole answer."""
        shown = request.extensions["shown"]
        seconds = request.extensions["timeout"]["read"]
        deadline = time.monotonic() + WHOLE_ANSWER * seconds
        try:
            response = self._client.send(request, stream=True)
            try:
                body = bytearray()
                for part in response.iter_bytes():
                    body += part
                    if len(body) > MAX_BODY_BYTES:
                        raise DoubtfulError(f"{shown} answered more than {MAX_BODY_BYTES:,} bytes.")
                    if time.monotonic() > deadline:
                        raise DoubtfulError(f"{shown} had not answered whole after {WHOLE_ANSWER * seconds:g} s.")
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            if _is_distrust(error):
                raise RefusedError(
                    f"{shown}: the server's TLS certificate is not trusted ({_distrust(error)}); if it is signed by a "
                    "private CA, name the CA's file with `ca_file`.",
                    code="certificate",
                ) from None
            raise UnreachableError(f"{shown}: no connection ({type(error).__name__}).") from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, UnicodeError):
            raise RefusedError(f"{shown} can't be sent: a header or the address can't be formed.") from None
        except httpx.TimeoutException:
            raise DoubtfulError(f"{shown}: no answer within {seconds:g} s.") from None
        except (httpx.RequestError, httpx.StreamError, ssl.SSLError) as error:
            raise DoubtfulError(f"{shown}: the answer broke off ({type(error).__name__}).") from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        note_date(headers)
        return Reply(response.status_code, headers, bytes(body))

    def _pause(self, attempt: tenacity.RetryCallState) -> float:
        error = attempt.outcome.exception() if attempt.outcome else None
        return max(float(self._wait(attempt)), getattr(error, "seconds", 0.0))

    def _without_secrets(self, error: OmnilakeError) -> OmnilakeError:
        """The same error, its text without any secret that a check may have quoted."""
        text = str(error)
        renewed = self._auth.secrets() if isinstance(self._auth, TokenAuth) else []
        for secret in (*self._secrets, *renewed):
            for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
                text = text.replace(form, "***")
        error.args = (text,)
        return error


def judge_status(shown: str, reply: Reply) -> None:
    """Raise the error that the answer's status stands for, unless it is success. shown: the call, as texts name it."""
    status = reply.status
    if 200 <= status < 300:
        return
    asked = retry_after(reply.headers)
    if status in (425, 429):
        raise BusyError(f"{shown} answered {status}: too many calls.", 1.0 if asked is None else asked)
    if status in (401, 403):
        raise CredentialsError(f"{shown} answered {status}: our credentials are refused, or lack this right.")
    if 300 <= status < 400:
        raise RefusedError(f"{shown} answered {status}, a redirect; give the final address as `url`.", status=status)
    if 400 <= status < 500 and status != 408:
        raise RefusedError(f"{shown} answered {status}.", status=status, reply=reply)
    raise DoubtfulError(f"{shown} answered {status}.", asked or 0.0, status=status)


def _is_worth_repeating(error: BaseException) -> bool:
    if not isinstance(error, BusyError | UnreachableError | DoubtfulError):
        return False
    return getattr(error, "seconds", 0.0) <= LONGEST_WAIT_SECONDS


def _has_surely_no_effect(error: BaseException) -> bool:
    if isinstance(error, BusyError):
        return error.seconds <= LONGEST_EFFECT_WAIT_SECONDS
    return isinstance(error, UnreachableError)


def shown_path(path: str) -> str:
    """The path without its query, and without parts that look like a phone number or an address."""
    bare = re.sub(r"^https?://[^/]*", "", path).split("?")[0].split("#")[0]
    return _PERSONAL.sub("…", bare if bare.startswith("/") or not bare else "/" + bare)[:120]


def _is_distrust(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)) or (
        "CERTIFICATE_VERIFY_FAILED" in str(error)
    )


def _distrust(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
    return "it can't be verified"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
