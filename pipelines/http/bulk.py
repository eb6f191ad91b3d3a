"""Very many small calls to one server: Python's own HTTP client on connections that stay open.

Belongs here: what `Http` does for an effect, at a sixth of its cost a call, for whoever sends records by the hundred
thousand. Every fault is one of the five errors. Left out: redirects, proxies, tokens that expire, compressed answers.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pipelines.errors import OmnilakeError
from pipelines.http.client import SHORTEST_SECRET, WHOLE_ANSWER, Reply, judge_status, shown_path
from pipelines.http.errors import BusyError, DoubtfulError, RefusedError, UnreachableError
from pipelines.http.guards import checked_headers, checked_url, tls_context
from pipelines.http.rate import Rate

MAX_ANSWER_BYTES = 16 * 1024 * 1024

Check = Callable[[Reply], None]


class BulkHttp:
    """One server. Synchronous, and safe to share between threads: each has a connection of its own.

    base_url, headers, secrets, ca_file, timeout, rate: as `Http` has them.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        ca_file: Path | None = None,
        timeout: float = 30,
        rate: Rate | None = None,
    ) -> None:
        url = checked_url(base_url)
        self._host, self._port = url.host, url.port
        self._shown = url.netloc.decode("ascii")
        self._base = url.raw_path.decode("ascii").rstrip("/")
        self._tls = tls_context(ca_file) if url.scheme == "https" else None
        self._headers = checked_headers(headers or {}, url.host)
        self._secrets = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
        self._timeout = timeout
        self._rate = rate
        self._own = threading.local()

    def effect(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        check: Check | None = None,
    ) -> Reply:
        """One attempt. path: beneath base_url, with its query, encoded. Raises the errors of this package."""
        shown = f"{method} {self._shown}{shown_path(path)}"
        if self._rate:
            self._rate.take()
        try:
            reply = self._exchange(shown, method, self._base + path, body, {**self._headers, **(headers or {})})
            judge_status(shown, reply)
            if check:
                check(reply)
        except OmnilakeError as error:
            if self._rate and isinstance(error, BusyError):
                self._rate.hold(error.seconds)
            text = str(error)
            for secret in self._secrets:
                text = text.replace(secret, "***")
            error.args = (text,)
            raise error from None
        return reply

    def _exchange(self, shown: str, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        connection = self._connected(shown)
        try:
            connection.request(method, target, body, dict(headers))
            deadline = time.monotonic() + WHOLE_ANSWER * self._timeout
            response = connection.getresponse()
            content = bytearray()
            while part := response.read(65_536):
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise DoubtfulError(f"{shown} answered more than {MAX_ANSWER_BYTES:,} bytes.")
                if time.monotonic() > deadline:
                    raise DoubtfulError(f"{shown} had not answered whole after {WHOLE_ANSWER * self._timeout:g} s.")
            if response.length:  # `read` by pieces says nothing of an end that came too early
                raise http.client.IncompleteRead(b"", response.length)
            if response.will_close:
                self._drop()
        except DoubtfulError:
            self._drop()
            raise
        except (ValueError, UnicodeError):
            self._drop()
            raise RefusedError(f"{shown} can't be sent: a header or the address can't be formed.") from None
        except TimeoutError:
            self._drop()
            raise DoubtfulError(f"{shown}: no answer within {self._timeout:g} s.") from None
        except (http.client.HTTPException, OSError) as error:
            self._drop()
            raise DoubtfulError(f"{shown}: the answer broke off ({type(error).__name__}).") from None
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, bytes(content))

    def _connected(self, shown: str) -> http.client.HTTPConnection:
        """This thread's connection: the one it has, unless the server has closed it meanwhile, else a new one."""
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is not None and connection.sock is not None and not _is_readable(connection.sock):
            return connection
        self._drop()
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ssl.SSLCertVerificationError as error:
            raise RefusedError(
                f"{shown}: the server's TLS certificate is not trusted ({error.verify_message}); if it is signed by a "
                "private CA, name the CA's file with `ca_file`.",
                code="certificate",
            ) from None
        except OSError as error:
            raise UnreachableError(f"{shown}: no connection ({type(error).__name__}).") from None
        self._own.connection = connection
        return connection

    def _drop(self) -> None:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
            self._own.connection = None


def _is_readable(connected: socket.socket) -> bool:
    """An idle connection with something to read is one that the server has closed."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))
