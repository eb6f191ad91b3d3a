"""Youzan 有赞: calls by name and version, a token in the query, and errors inside HTTP 200.

Belongs here: what the connector and the destination both need. Does not belong here: which records are read or
written. Youzan answers in two forms, one of its gateway (`gw_err_resp`) and one of its services (`success`, `code`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

from pipelines.connectors.backwards import pages_backwards
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.tls import require_tls
from pipelines.http import (
    BusyError,
    CredentialsError,
    DoubtfulError,
    Http,
    Rate,
    RefusedError,
    Reply,
    Token,
    TokenAuth,
    in_query,
)

URL = "https://open.youzanyun.com"
FIRST_BACK_OFF_SECONDS = 3.0
"""Youzan wants 3, 6, 12, 24 and 48 seconds between the attempts at a call that it limits."""
ATTEMPTS = 6
EFFECT_WAIT_SECONDS = 12.0
"""An effect that is limited goes back to its queue for so long."""
TAG_CALLS_PER_SECOND = 5.0

_TOKEN_CODES = {"4201", "4202", "4203"}
_BUSY_CODES = {"4101", "500100004", "123000042", "141500203"}
_TIMEOUT_CODES = {"106000001", "106100118", "5003"}
_HINTS = {
    "4007": "; if the machine's address is not on the app's IP allow list, add it there",
    "4204": "; the app lacks the capability package of this call",
}


@dataclass(frozen=True)
class Endpoint:
    """One call. deepest: records that paging can reach in all; a window with more is halved."""

    name: str
    version: str
    page_size: int = 1
    deepest: int = 0

    @property
    def path(self) -> str:
        return f"/api/{self.name}/{self.version}"


ORDERS = Endpoint("youzan.trades.sold.get", "4.0.4", 100, 100 * 100)
ORDER = Endpoint("youzan.trade.get", "4.0.2")
REFUNDS = Endpoint("youzan.trade.refund.search", "3.0.1", 100, 3000)
REFUND = Endpoint("youzan.trade.refund.get", "3.0.1")
CUSTOMERS = Endpoint("youzan.scrm.customer.list", "1.0.0", 50, 10_000)
CUSTOMER = Endpoint("youzan.scrm.customer.detail.get", "1.0.1")
ITEMS = Endpoint("youzan.item.base.search", "1.0.0", 50, 5000)
ITEM = Endpoint("youzan.item.itemdetail.get", "1.0.0")
ADD_TAGS = Endpoint("youzan.scrm.tag.relation.add", "4.0.0", 20)
DELETE_TAGS = Endpoint("youzan.scrm.tag.relation.delete", "4.0.0", 20)
GET_TAGS = Endpoint("youzan.scrm.tag.relation.get", "4.0.0")
SEND_VOUCHER = Endpoint("youzan.ump.voucheractivity.send", "3.0.1")
VOUCHERS = Endpoint("youzan.ump.voucher.query", "3.0.0", 200)

ABSENT = {
    ORDER: {"5000", "106000004", "106100110"},
    REFUND: {"103011024", "103010052"},
    CUSTOMER: {"141001107", "141502108", "144100000", "144100001"},
    ITEM: {"122001001"},
}
"""Codes that say that there is no such record."""


def open_shop(read: SettingsReader, channel: str) -> Youzan:
    """The shop that a channel's settings name. Raises ConfigurationError naming the channel and the setting.

    Settings: client_id, client_secret_env and grant_id (the shop's kdt_id) of an app for own use; url, ca_file.
    """
    url, ca_file = require_tls(read.url("url", URL), channel), read.ca_file()
    client_id, grant_id = read.text("client_id"), read.text("grant_id", example="the shop's kdt_id")
    secret = read.secret("client_secret")
    login = Http(url, secrets=[secret], ca_file=ca_file)
    http = Http(
        url,
        auth=TokenAuth(_silent_login(login, client_id, secret, grant_id), in_query()),
        secrets=[secret],
        ca_file=ca_file,
        attempts=ATTEMPTS,
        backoff=FIRST_BACK_OFF_SECONDS,
    )
    return Youzan(http, grant_id)


class Youzan:
    """One shop. Safe to share between threads."""

    def __init__(self, http: Http, kdt_id: str, tag_rate: Rate | None = None) -> None:
        self.kdt_id = kdt_id
        self._http = http
        self._tag_rate = tag_rate or Rate(TAG_CALLS_PER_SECOND)

    def ask(self, endpoint: Endpoint, body: Mapping[str, Any]) -> Any:
        """The whole answer of a call that reads. Raises the errors of pipelines.http."""
        self._pace(endpoint)
        return self._http.read("POST", endpoint.path, json=dict(body), check=_check(FIRST_BACK_OFF_SECONDS)).json()

    def change(self, endpoint: Endpoint, body: Mapping[str, Any]) -> Any:
        """`data` of a call that has an effect, sent once."""
        self._pace(endpoint)
        check = _check(EFFECT_WAIT_SECONDS)
        return self._http.effect("POST", endpoint.path, json=dict(body), check=check).json().get("data")

    def record(self, endpoint: Endpoint, body: Mapping[str, Any]) -> Any:
        """`data` of a call that reads one record; None if there is no such record."""
        try:
            return self.ask(endpoint, body).get("data")
        except RefusedError as error:
            if error.code in ABSENT[endpoint]:
                return None
            raise

    def windows(
        self,
        endpoint: Endpoint,
        body_of: Callable[[int, int], Mapping[str, Any]],
        rows_of: Callable[[Any], tuple[list[Any], Any]],
        first: int,
        last: int,
        state: Mapping[str, Any] | None,
    ) -> Iterator[tuple[list[Any], dict[str, Any] | None]]:
        """Pages of the records of [first, last], in seconds since 1970, each with the state to go on with.

        body_of: the call for a window. rows_of: the records of `data`, and how many there are in all. A window with
        more records than paging can reach is halved.
        """
        todo = [list(window) for window in (state or {}).get("todo") or [[first, last]]]
        at_page = (state or {}).get("page")
        while todo:
            ask = partial(self._page, endpoint, body_of(*todo[0]), rows_of)
            try:
                for rows, page in pages_backwards(ask, at_page):
                    rest = todo if page else todo[1:]
                    yield rows, ({"todo": rest, "page": page} if rest else None)
                todo = todo[1:]
            except _TooManyError:
                todo = [*_halves(endpoint, *todo[0]), *todo[1:]]
            at_page = None

    def _page(
        self,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        rows_of: Callable[[Any], tuple[list[Any], Any]],
        number: int,
    ) -> tuple[list[Any], int]:
        data = self.ask(endpoint, {**body, "page_no": number, "page_size": endpoint.page_size}).get("data") or {}
        rows, total = rows_of(data)
        if not isinstance(total, int):
            raise DoubtfulError(f"{endpoint.name} doesn't say how many records there are.")
        if total > endpoint.deepest:
            raise _TooManyError
        return rows, ceil(total / endpoint.page_size)

    def _pace(self, endpoint: Endpoint) -> None:
        if endpoint in (ADD_TAGS, DELETE_TAGS):
            self._tag_rate.take()


class _TooManyError(Exception):
    """The window holds more than paging can reach."""


def _halves(endpoint: Endpoint, first: int, last: int) -> Sequence[list[int]]:
    if last <= first:
        raise RefusedError(f"{endpoint.name} has more than {endpoint.deepest} records in one second.")
    middle = (first + last) // 2
    return [[first, middle], [middle + 1, last]]


def _silent_login(http: Http, client_id: str, secret: str, grant_id: str) -> Callable[[], Token]:
    """A login for an app of the shop's own. A token that was refused is not asked for a second time: `refresh`."""
    logins = 0

    def login() -> Token:
        nonlocal logins
        body = {
            "client_id": client_id,
            "client_secret": secret,
            "authorize_type": "silent",
            "grant_id": grant_id,
            "refresh": logins > 0,
        }
        answer = http.read("POST", "/auth/token", json=body, check=_login_check).json()["data"]
        logins += 1
        # `expires` is an instant, in milliseconds.
        return Token(str(answer["access_token"]), max(int(answer["expires"]) / 1000 - time.time(), 0.0))

    return login


def _login_check(reply: Reply) -> None:
    body = reply.json()
    if not isinstance(body, dict):
        raise DoubtfulError("Youzan's answer is no JSON object.")
    if body.get("success") is not True:
        code = str(body.get("code"))
        if code in _BUSY_CODES:
            raise BusyError("Youzan limits logins.", FIRST_BACK_OFF_SECONDS)
        raise CredentialsError(f"Youzan refuses the login ({code[:20]}); check client_id, its secret and grant_id.")
    data = body.get("data")
    if not isinstance(data, dict) or not data.get("access_token") or not isinstance(data.get("expires"), int):
        raise DoubtfulError("Youzan's login answered no token.")


def _check(busy_seconds: float) -> Callable[[Reply], None]:
    def check(reply: Reply) -> None:
        body = reply.json()
        if not isinstance(body, dict):
            raise DoubtfulError("Youzan's answer is no JSON object.")
        gateway = body.get("gw_err_resp") or body.get("error_response")
        if isinstance(gateway, dict):
            _raise(str(gateway.get("err_code", gateway.get("code"))), busy_seconds)
        code, data = str(body.get("code")), body.get("data")
        if body.get("success") is False or code not in ("200", "None"):
            _raise(code, busy_seconds)
        if isinstance(data, dict) and str(data.get("is_success")).lower() == "false":
            _raise("is_success=false", busy_seconds)
        if "success" not in body and "code" not in body:
            raise DoubtfulError("Youzan's answer says neither success nor failure.")

    return check


def _raise(code: str, busy_seconds: float) -> None:
    # Messages are not quoted: they may repeat what was sent.
    if code in _TOKEN_CODES:
        raise CredentialsError(f"Youzan refuses the token ({code}); is the app still authorised by the shop?")
    if code in _BUSY_CODES:
        raise BusyError(f"Youzan limits the calls ({code}).", busy_seconds)
    if code in _TIMEOUT_CODES:
        raise DoubtfulError(f"Youzan had a time-out of its own ({code}).")
    raise RefusedError(f"Youzan refuses the call ({code[:20]}{_HINTS.get(code, '')}).", code=code)
