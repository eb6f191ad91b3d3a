"""Odoo's external API (`POST /json/2/<model>/<method>`): calls, what refusals mean, and walking what changed.

Belongs here: what both sides need to speak to Odoo 19. Does not belong here: which records are feeds or effects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Check
from pipelines.connectors.tls import require_tls
from pipelines.errors import OmnilakeError
from pipelines.http import BusyError, CredentialsError, Http, RefusedError, Reply, quick_calls

Record = dict[str, Any]
Domain = list[Any]

LARGEST_ID = 2**31 - 1
_BUSY_SECONDS = 2.0
_NOT_FOUND = 404
_CONFLICT = 409


class OdooApi:
    """One database of one server, under one API key. Safe to share between threads."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def read(self, model: str, method: str, **arguments: Any) -> Any:
        """What a method that changes nothing answers. Errors are those of `pipelines.http`."""
        return self._answer(self._http.read, model, method, arguments)

    def effect(self, model: str, method: str, **arguments: Any) -> Any:
        """What a method that changes something answers. Odoo does all of a call or nothing of it."""
        return self._answer(self._http.effect, model, method, arguments)

    def search_read(
        self, model: str, domain: Domain, fields: Sequence[str], order: str = "id", limit: int | None = None
    ) -> list[Record]:
        """Records, archived ones too."""
        found: list[Record] = self.read(
            model,
            "search_read",
            domain=domain,
            fields=list(fields),
            order=order,
            limit=limit,
            context={"active_test": False},
        )
        return found

    def existing_fields(self, model: str, wanted: Sequence[str]) -> list[str]:
        """Those of `wanted` that the model has: modules add fields, and asking for a missing one is an error."""
        known = self.read(model, "fields_get", allfields=list(wanted), attributes=["type"])
        return [name for name in wanted if name in known]

    def search_read_if_installed(self, model: str, domain: Domain, fields: Sequence[str]) -> list[Record]:
        """As `search_read`; nothing where the module that brings the model is not installed."""
        try:
            return self.search_read(model, domain, fields)
        except RefusedError as error:
            if error.status == _NOT_FOUND:
                return []
            raise

    def check(self, models: Mapping[str, str]) -> list[Check]:
        """Whether the server answers, takes our key, and lets us read each of `models` (by what it is for)."""
        checks = []
        for model, purpose in models.items():
            try:
                with quick_calls():
                    self.read(model, "search_read", domain=[], fields=["id"], limit=1)
            except CredentialsError:
                remedy = f"Give the user of the API key the right to read {purpose} (docs/platforms/odoo.md)."
                checks.append(Check(model, False, "the API key is refused, or its user may not read this", remedy))
            except RefusedError as error:
                remedy = f"Check `url` and `database`, and that the module that brings {purpose} is installed."
                checks.append(Check(model, False, str(error), remedy))
            except OmnilakeError as error:
                checks.append(Check(model, False, str(error), "Check `url`, and that Odoo runs."))
            else:
                checks.append(Check(model, True, f"{purpose} can be read"))
        return checks

    def _answer(self, send: Any, model: str, method: str, arguments: Mapping[str, Any]) -> Any:
        try:
            return send("POST", f"json/2/{model}/{method}", json=arguments, check=Reply.json).json()
        except RefusedError as error:
            if error.status == _CONFLICT:  # a record was locked by somebody else: nothing was done
                raise BusyError(str(error), _BUSY_SECONDS) from None
            raise


def open_api(read: SettingsReader, channel: str) -> OdooApi:
    """The API of the server that the settings name: url, database, ca_file, api_key_env."""
    url = require_tls(read.url(), channel)
    database = read.text("database", "")
    key = read.secret("api_key")
    headers = {"Authorization": f"bearer {key}"} | ({"X-Odoo-Database": database} if database else {})
    return OdooApi(Http(url, headers=headers, secrets=[key], ca_file=read.ca_file()))


def id_of(value: Any) -> int | None:
    """The id of a many2one, which comes as [id, name], as id or, for nothing, as false."""
    if isinstance(value, list | tuple) and value:
        value = value[0]
    elif isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text_id(value: Any) -> str | None:
    """The id of a many2one, or an id, as text."""
    number = id_of(value)
    return None if number is None else str(number)


def ids_of(records: Sequence[Record], name: str) -> list[int]:
    """The ids that a many2one of the records names, each once, in order."""
    return sorted({number for record in records if (number := id_of(record.get(name))) is not None})


def grouped(records: Sequence[Record], name: str) -> dict[int, list[Record]]:
    """The records by the id that a many2one of theirs names."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        groups.setdefault(id_of(record[name]) or 0, []).append(record)
    return groups


def text_of(value: Any) -> str | None:
    """A text; Odoo says false for an empty one."""
    return value.strip() or None if isinstance(value, str) else None


def record_id(address: str) -> int | None:
    """The id that an address names; None if it can't be one."""
    return int(address) if address.isascii() and address.isdigit() and 0 < int(address) <= LARGEST_ID else None


def moment(text: Any) -> str | None:
    """Odoo's UTC text without offset as ISO text with one; what is no text is nothing."""
    return f"{text.replace(' ', 'T')}Z" if isinstance(text, str) else None


def stamp(at: datetime) -> str:
    """An instant as Odoo's domains take it, without the fraction."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def walk(
    api: OdooApi,
    model: str,
    domain: Domain,
    fields: Sequence[str],
    since: datetime,
    until: datetime,
    size: int,
    state: Mapping[str, Any] | None = None,
) -> Iterator[tuple[list[Record], dict[str, Any] | None]]:
    """Records whose write_date lies in [since, until], page by page, with the state from which to go on after it.

    Odoo stores microseconds and shows whole seconds, and one transaction gives thousands of records the same instant
    (closing a session moves the whole day). So the key is (second, id): a page ends with the last second that it holds
    whole, and a second that fills a page by itself is walked by id. A record that moves meanwhile has a later second.
    """
    at = str(state["second"]) if state else stamp(since)
    after = state.get("id") if state else None
    end = stamp(until + timedelta(seconds=1))
    wanted = [*fields, "write_date"] if "write_date" not in fields else list(fields)
    while at < end:
        if after is not None:
            beyond = _next_second(at)
            within = [["write_date", ">=", at], ["write_date", "<", min(beyond, end)], ["id", ">", after]]
            page = api.search_read(model, [*domain, *within], wanted, "id", size)
            at, after = (at, int(page[-1]["id"])) if len(page) == size else (beyond, None)
        else:
            within = [["write_date", ">=", at], ["write_date", "<", end]]
            page = api.search_read(model, [*domain, *within], wanted, "write_date, id", size)
            if len(page) < size:
                at = end
            else:
                last = str(page[-1]["write_date"])[:19]
                page = [record for record in page if str(record["write_date"])[:19] < last]
                at, after = last, None if page else 0
        following = {"second": at, "id": after} if at < end else None
        if page or following is None:
            yield page, following


def _next_second(second: str) -> str:
    return stamp(datetime.fromisoformat(second).replace(tzinfo=UTC) + timedelta(seconds=1))
