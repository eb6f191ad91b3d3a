"""What the vault gets of accepted rows: the values behind their tokens, members' profiles, texts nobody may see.

Belongs here: the queries over accepted rows, a vault transaction a part. Does not belong here: how the vault seals
(vault.py), and what counts as PII (contract.py, validate.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.feeds.contract import Column, Feed
from pipelines.feeds.identifiers import kind_of
from pipelines.feeds.zones import utc_of
from pipelines.vault import Vault

FETCHED_ROWS = 5_000


@dataclass(frozen=True)
class Sealer:
    """Seals for one load. zone: what its channel's local times are in."""

    connection: duckdb.DuckDBPyConnection
    vault: Vault
    feed: Feed
    zone: str

    def seal(self, accepted: pa.Table, part: int) -> None:
        """Seal what these rows hold, all or nothing. The same rows as the same part again change nothing."""
        queries = [query for column in self.feed.columns if (query := _identities(column, accepted))]
        documents = _has_values(accepted, "_document")
        profiles = self.feed.name == "members"
        if not (queries or documents or profiles):
            return
        self.connection.register("accepted", accepted)
        try:
            with self.vault.transaction():
                for query in queries:
                    self.vault.seal_identities(self._rows(query))
                if profiles:
                    self.vault.seal_profiles(self._rows(self._profiles()))
                if documents:
                    self.vault.seal_documents(self.feed.name, part, self._rows(_DOCUMENTS))
        finally:
            self.connection.unregister("accepted")

    def _profiles(self) -> str:
        instant = (
            f"CASE WHEN list_contains(_local_times, 'updated_at') THEN {utc_of('updated_at', self.zone)} "
            "ELSE updated_at END"
        )
        return f"""
            SELECT channel, member_id, epoch_us({instant}), _arrival, _profile
            FROM accepted
            WHERE member_id IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY channel, member_id ORDER BY {instant} DESC, _arrival DESC) = 1
        """

    def _rows(self, query: str) -> Iterator[Any]:
        cursor = self.connection.execute(query)
        while rows := cursor.fetchmany(FETCHED_ROWS):
            yield from rows


_DOCUMENTS = """
    SELECT coalesce(_person, 'batch:' || _batch_id) AS person, _batch_id,
        '[' || string_agg(_document, ',' ORDER BY _arrival) || ']'
    FROM accepted WHERE _document IS NOT NULL GROUP BY person, _batch_id ORDER BY person, _batch_id
"""


def _has_values(rows: pa.Table, name: str) -> bool:
    return name in rows.column_names and rows[name].null_count < len(rows)


def _identities(column: Column, accepted: pa.Table) -> str | None:
    """Distinct (token, kind, plain value) of an identifier column; None if no row has one."""
    plain = f"_plain_{column.name}"
    if not _has_values(accepted, plain):
        return None
    token, kind = next(iter(column.raw_columns())), f"'{kind_of(column)}'"
    match column.pii:
        case "phone" | "email" | "token":
            pass
        case "member_id":
            kind = f"CASE WHEN contains({plain}, '@') THEN 'email' ELSE 'phone' END"
        case "token_list":
            token, plain = f"unnest({token})", f"unnest({plain})"
        case _:
            return None
    # In token order: neighbouring rows go to neighbouring pages of the vault.
    return f"""
        SELECT token, min(kind), min(plain)
        FROM (SELECT {token} AS token, {kind} AS kind, {plain} AS plain FROM accepted)
        WHERE plain IS NOT NULL GROUP BY token ORDER BY token
    """
