"""WeChat 微信: one token for shop and official account alike, and errors by `errcode` inside HTTP 200.

Belongs here: what the connector and the destination both need. Does not belong here: which records are read or
written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.tls import require_tls
from pipelines.http import (
    BusyError,
    CredentialsError,
    DoubtfulError,
    Http,
    RefusedError,
    Reply,
    Token,
    TokenAuth,
    in_query,
)

URL = "https://api.weixin.qq.com"

_TOKEN_CODES = {40001, 40014, 42001, 41001}
_SYSTEM_BUSY = -1
_BUSY_SECONDS = {45009: 3600.0, 45011: 60.0}
"""45009: the day's allowance is spent; what is asked again within this run is refused again."""
_HINTS = {
    40164: "; add this machine's address to the IP allow list",
    48001: "; the account has no right to this call",
    40013: "; check app_id",
    40125: "; check the app secret",
}


def open_account(read: SettingsReader, channel: str) -> WeChat:
    """The account that a channel's settings name. Raises ConfigurationError naming the channel and the setting.

    Settings: app_id and app_secret_env; url, ca_file.
    """
    url, ca_file = require_tls(read.url("url", URL), channel), read.ca_file()
    app_id, secret = read.text("app_id"), read.secret("app_secret")
    login = Http(url, secrets=[secret], ca_file=ca_file)
    auth = TokenAuth(_stable_token(login, app_id, secret), in_query())
    return WeChat(Http(url, auth=auth, secrets=[secret], ca_file=ca_file))


class WeChat:
    """One shop or official account. Safe to share between threads."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a call that reads. Raises the errors of pipelines.http."""
        return dict(self._http.read("POST", path, json=dict(body), check=_check).json())

    def get(self, path: str) -> dict[str, Any]:
        """The answer of a call that reads and takes nothing."""
        return dict(self._http.read("GET", path, check=_check).json())

    def change(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a call that has an effect, sent once."""
        return dict(self._http.effect("POST", path, json=dict(body), check=_check).json())

    def keys(
        self, path: str, body: Mapping[str, Any], name: str, next_key: str | None
    ) -> Iterator[tuple[list[str], str | None]]:
        """Pages of the ids of a list, each with the key of the next page. name: of the list in the answer."""
        while True:
            answer = self.ask(path, {**body, "next_key": next_key or ""})
            more = answer.get("has_more") and answer.get("next_key")
            next_key = str(answer["next_key"]) if more else None
            yield [str(one) for one in answer.get(name) or []], next_key
            if next_key is None:
                return


def concerns_us(error: RefusedError) -> bool:
    """Whether a refusal is about us, and would meet every record: an address or a right that we lack."""
    return error.code is None or error.code in map(str, _HINTS)


def _stable_token(http: Http, app_id: str, secret: str) -> Callable[[], Token]:
    logins = 0

    def login() -> Token:
        """`stable_token` gives all clients of the account the same token, so that none of them ends another's. One that
        was refused is not asked for a second time: `force_refresh`."""
        nonlocal logins
        body = {
            "grant_type": "client_credential", "appid": app_id, "secret": secret, "force_refresh": logins > 0,
        }  # fmt: skip
        answer = http.read("POST", "/cgi-bin/stable_token", json=body, check=_login_check).json()
        logins += 1
        return Token(str(answer["access_token"]), float(answer["expires_in"]))

    return login


def _login_check(reply: Reply) -> None:
    body = _object(reply)
    code = _code(body)
    if code in _BUSY_SECONDS:
        raise BusyError(f"WeChat limits logins ({code}).", _BUSY_SECONDS[code])
    if code and code != _SYSTEM_BUSY:
        raise CredentialsError(f"WeChat refuses the login ({code}{_HINTS.get(code, '')}).")
    if not body.get("access_token") or not isinstance(body.get("expires_in"), int):
        raise DoubtfulError("WeChat's login answered no token.")


def _check(reply: Reply) -> None:
    # `errmsg` is not quoted: it may repeat what was sent.
    code = _code(_object(reply))
    if not code:
        return
    if code in _TOKEN_CODES:
        raise CredentialsError(f"WeChat refuses the token ({code}).")
    if code in _BUSY_SECONDS:
        raise BusyError(f"WeChat limits the calls ({code}).", _BUSY_SECONDS[code])
    if code == _SYSTEM_BUSY:
        raise DoubtfulError("WeChat is busy and says nothing of the call.")
    raise RefusedError(f"WeChat refuses the call ({code}{_HINTS.get(code, '')}).", code=str(code))


def _object(reply: Reply) -> dict[str, Any]:
    body = reply.json()
    if not isinstance(body, dict):
        raise DoubtfulError("WeChat's answer is no JSON object.")
    return body


def _code(body: Mapping[str, Any]) -> int:
    code = body.get("errcode", 0)
    if isinstance(code, bool) or not isinstance(code, int):
        raise DoubtfulError("WeChat's answer has no readable errcode.")
    return code
