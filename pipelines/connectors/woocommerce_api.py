"""WooCommerce's REST API, version 3: credentials, pages by number, and errors.

Belongs here: what the connector and the destination both need. Does not belong here: which records are read or
written.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.tls import require_tls
from pipelines.http import DoubtfulError, Http, RefusedError, Reply

PAGE_SIZE = 100
"""The API's largest page, and its largest batch."""

DECIMALS = 4
"""As many as the landing contract takes: amounts without tax don't come out even in cents."""


def open_shop(read: SettingsReader, channel: str) -> WooCommerce:
    """The shop that a channel's settings name. Raises ConfigurationError naming the channel and the setting.

    Settings: url (of the site), ca_file; consumer_key_env, consumer_secret_env; webhook_secret_env.
    """
    url = require_tls(read.url(), channel)
    key, secret = read.secret("consumer_key"), read.secret("consumer_secret")
    secrets = [one for one in (key, secret, read.secret("webhook_secret", None)) if one]
    http = Http(f"{url}/wp-json/wc/v3", auth=httpx.BasicAuth(key, secret), secrets=secrets, ca_file=read.ca_file())
    return WooCommerce(http)


class WooCommerce:
    """One shop. Safe to share between threads."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._currency: str | None = None

    def page(self, path: str, params: Mapping[str, Any], number: int = 1) -> tuple[list[Any], int]:
        """The records of a page, and how many pages there are. A page that is no more is empty."""
        asked = {"per_page": PAGE_SIZE, "page": number, **params}
        try:
            reply = self._http.read("GET", path, params=asked, check=_is_list)
        except RefusedError as error:
            if error.status == 400 and number > 1:
                return [], 0
            raise
        records, pages = reply.json(), reply.headers.get("x-wp-totalpages", "")
        if pages.isdigit():
            return records, int(pages)
        if len(records) < int(asked["per_page"]):
            return records, 1
        raise RefusedError(
            "WooCommerce's answer lacks the header X-WP-TotalPages, so nobody can tell how much there is; let the "
            "proxy or plug-in that takes it off leave it."
        )

    def currency(self) -> str:
        """The currency of the shop's prices."""
        with self._lock:
            if self._currency is None:
                answer = self._http.read("GET", "/data/currencies/current", check=_is_object).json()
                self._currency = str(answer.get("code", ""))
            return self._currency

    def all(self, path: str, params: Mapping[str, Any]) -> list[Any]:
        """Every record of a short list."""
        records, pages = self.page(path, params)
        for number in range(2, pages + 1):
            records = records + self.page(path, params, number)[0]
        return records

    def batch(self, path: str, verb: str, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create or update (`verb`) at most PAGE_SIZE records; an answer per record, in their order, which has `error`
        where it was refused. Raises DoubtfulError if the answers don't fit the records."""
        reply = self._http.effect("POST", f"{path}/batch", json={verb: list(records)}, check=_is_object)
        answers = reply.json().get(verb)
        if not isinstance(answers, list) or len(answers) != len(records):
            raise DoubtfulError("WooCommerce's answer doesn't fit the batch.")
        return [answer if isinstance(answer, dict) else {} for answer in answers]


def error_code(answer: Mapping[str, Any]) -> str | None:
    """Why a record of a batch was refused; None if it was taken."""
    error = answer.get("error")
    if error is None:
        return None
    return str(error.get("code", "refused")) if isinstance(error, dict) else "refused"


def _is_list(reply: Reply) -> None:
    _refuse_errors(reply)
    if not isinstance(reply.json(), list):
        raise DoubtfulError("WooCommerce answered no list.")


def _is_object(reply: Reply) -> None:
    _refuse_errors(reply)
    if not isinstance(reply.json(), dict):
        raise DoubtfulError("WooCommerce answered no object.")


def _refuse_errors(reply: Reply) -> None:
    """Plug-ins and caches give errors the status 200."""
    body = reply.json()
    if isinstance(body, dict) and isinstance(body.get("code"), str) and "message" in body:
        raise RefusedError(f"WooCommerce refuses the call ({body['code'][:60]}).", code=body["code"])
