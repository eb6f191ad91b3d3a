"""Speaking to a Vendure server's admin API: GraphQL over one POST, credentials, errors inside HTTP 200, money.

Belongs here: what the connector and the destination both need. Does not belong here: which records are read or
written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from pipelines.connectors.options import SettingsReader
from pipelines.http import BusyError, CredentialsError, DoubtfulError, Http, RefusedError, Reply, Token, TokenAuth

Node = Mapping[str, Any]

LARGEST_PAGE = 1000
"""The server's `adminListQueryLimit` unless it was configured otherwise."""

_LARGEST_ID = 2**31 - 1
_NO_ACCESS = {"FORBIDDEN", "UNAUTHORIZED", "UNAUTHENTICATED"}
_BUSY = {"TOO_MANY_REQUESTS", "RATE_LIMITED", "THROTTLED"}
_REFUSALS = {
    "USER_INPUT_ERROR", "BAD_USER_INPUT", "ENTITY_NOT_FOUND", "CHANNEL_NOT_FOUND", "ILLEGAL_OPERATION",
    "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED",
}  # fmt: skip

_LOGIN = """
mutation ($username: String!, $password: String!) {
  login(username: $username, password: $password, rememberMe: true) { __typename }
}
"""


class FieldError(DoubtfulError):
    """The server could not resolve some field of some record, and answered none of them."""


@dataclass(frozen=True)
class Answer:
    """What a mutation answered: `data` by alias, and the error codes the server gave (empty: all went through)."""

    data: Mapping[str, Any]
    errors: tuple[str, ...] = ()


class VendureApi:
    """The admin API of one Vendure channel. Faults are those of `pipelines.http`."""

    def __init__(self, http: Http, path: str) -> None:
        self._http = http
        self._path = path
        self._digits: int | None = None

    def query(self, document: str, **variables: Any) -> Mapping[str, Any]:
        """The data of a query, which may be repeated; never partial: an answer with errors is an error."""
        body = {"query": document, "variables": variables}
        try:
            data: Mapping[str, Any] = self._http.read("POST", self._path, json=body, check=_whole).json()["data"]
        except RefusedError as error:
            raise _explained(error) from None
        return data

    def change(self, document: str, **variables: Any) -> Answer:
        """One attempt at a mutation. Errors of its fields are told, not raised: their neighbours went through."""
        body = {"query": document, "variables": variables}
        try:
            answer = self._http.effect("POST", self._path, json=body, check=_admitted).json()
        except RefusedError as error:
            raise _explained(error) from None
        return Answer(answer.get("data") or {}, _codes(answer))

    def money_digits(self) -> int:
        """How many digits of the server's integers are the fraction of an amount; 2 unless its strategy says so."""
        if self._digits is None:
            data = self.query("{ globalSettings { serverConfig { moneyStrategyPrecision } } }")
            self._digits = int(data["globalSettings"]["serverConfig"]["moneyStrategyPrecision"])
        return self._digits


def open_api(read: SettingsReader) -> VendureApi:
    """The API that a channel's settings name. Raises ConfigurationError naming the channel, the setting and the remedy.

    Settings: url, ca_file, timeout (seconds, 30), admin_api (path, /admin-api), channel_token (of one of several
    Vendure channels), and api_key_env, or username and password_env.
    """
    reach = partial(Http, read.url(), ca_file=read.ca_file(), timeout=read.whole("timeout", 30, most=600))
    path = read.text("admin_api", "/admin-api")
    channel_token = read.text("channel_token", None)
    headers = {"vendure-token": channel_token} if channel_token else {}
    username = read.text("username", None)
    # Without a user name, the missing key is what the error names.
    key = read.secret("api_key", None) if username else read.secret("api_key")
    password = read.secret("password", None) if key else read.secret("password")
    if key:
        return VendureApi(reach(headers={**headers, "vendure-api-key": key}, secrets=[key]), path)
    door = reach(secrets=[password])

    def login() -> Token:
        body = {"query": _LOGIN, "variables": {"username": username, "password": password}}
        reply = door.read("POST", path, json=body, check=_whole)
        if reply.json()["data"]["login"].get("__typename") != "CurrentUser":
            raise CredentialsError("Vendure refuses the user name or the password.")
        token = reply.headers.get("vendure-auth-token")
        if not token:
            raise RefusedError(
                "Vendure logs us in without a vendure-auth-token; its authOptions.tokenMethod must include 'bearer'."
            )
        return Token(token)

    return VendureApi(reach(headers=headers, auth=TokenAuth(login), secrets=[password]), path)


def _explained(error: RefusedError) -> RefusedError:
    if error.status != 400:
        return error
    return RefusedError(
        f"{error} Vendure answers so where a field is missing: add the custom fields of docs/platforms/vendure.md, and "
        "use Vendure 3.7 or later.",
        status=400,
    )


def _whole(reply: Reply) -> None:
    """A refusal comes as HTTP 200 with `errors` and `data: null`: reading the status alone would call it empty."""
    _admitted(reply)
    answer = reply.json()
    if codes := _codes(answer):
        if set(codes) <= _REFUSALS:
            raise RefusedError(f"Vendure refused the query ({', '.join(codes)}).", code=codes[0])
        raise FieldError(f"Vendure answered with errors ({', '.join(sorted(set(codes)))}).")
    if not isinstance(answer.get("data"), dict) or any(value is None for value in answer["data"].values()):
        raise DoubtfulError("Vendure answered without data.")


def _admitted(reply: Reply) -> None:
    answer = reply.json()
    if not isinstance(answer, dict) or not ({"data", "errors"} & set(answer)):
        raise DoubtfulError("Vendure answered something that is no GraphQL.")
    codes = set(_codes(answer))
    if codes & _NO_ACCESS:
        raise CredentialsError("Vendure refuses our credentials, or their role lacks a permission that is needed.")
    if codes & _BUSY and not any((answer.get("data") or {}).values()):
        raise BusyError("Vendure asks us to slow down.", 1.0)


def _codes(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes alone: messages may quote what was sent."""
    errors = answer.get("errors")
    if not errors:
        return ()
    if not isinstance(errors, list):
        return ("UNKNOWN",)
    codes = [(error.get("extensions") or {}).get("code") if isinstance(error, dict) else None for error in errors]
    return tuple(str(code)[:40] if isinstance(code, str) else "UNKNOWN" for code in codes)


def major(minor: int | Decimal, digits: int) -> str:
    """An amount of the server's integers as decimal text: 1999 with two digits is 19.99."""
    return format(Decimal(minor).scaleb(-digits), "f")


def minor(amount: Decimal, digits: int) -> int:
    """The server's integer of an amount. Raises ValueError if it has more digits than the server keeps."""
    value = amount.scaleb(digits)
    if value != value.to_integral_value():
        raise ValueError(f"the amount has more than {digits} decimals")
    return int(value)


def is_id(text: str) -> bool:
    """Whether a text can be a record's id: a keyed token, or a number beyond the database's, makes a whole query
    fail."""
    return bool(re.fullmatch(r"[0-9A-Za-z-]{1,64}", text)) and not (text.isdigit() and int(text) > _LARGEST_ID)


def instant(text: str) -> datetime:
    """A time of the API as an aware datetime."""
    return datetime.fromisoformat(text)


def api_time(moment: datetime) -> str:
    """A time as the API reads it: UTC, whole milliseconds, which is all it knows."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
