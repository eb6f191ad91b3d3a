"""Rows of erased persons: kept out when they come again, and blanked in the raw lake.

Belongs here: which rows are an erased person's, what is left of them, and the two places where that is done. Does not
belong here: who a person is, and everything else that erasing one means (pipelines.erasure).

A person is a set of *keys*: `m`, channel, member id; or `t`, scope, token (scope: the channel, for identifiers that
mean something in one channel only, else empty), joined by U+001F. A row of `members` that shows an erased member or a
linking identifier of an erased person is theirs: nothing but its place stays. A row of another feed is theirs if it
names an erased member, or no member and an erased identifier: it stays, as nobody's, so that sums don't change. In
anybody else's row an erased identifier is taken out alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from pipelines.feeds.contract import FEEDS, META_COLUMNS, Feed
from pipelines.feeds.identifiers import kind_of
from pipelines.feeds.raw import write_part
from pipelines.feeds.sql import literal, quoted
from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.vault import Vault

SEPARATOR = "\x1f"
LOCAL_KINDS = ("wechat_openid", "qq_openid")
"""Kinds that mean something within one channel only."""

TRACES = ("session_id", "page", "properties", "attributes")
"""Columns of a person's rows that could lead back to them, besides identifiers."""


def member_key(channel: str, member_id: str) -> str:
    """The key of a membership, by the member id that ingest stores."""
    return SEPARATOR.join(("m", channel, member_id))


def token_key(kind: str, channel: str | None, token: str) -> str:
    """The key of an identifier's token; kinds are those of tokens (feeds/identifiers.py)."""
    return SEPARATOR.join(("t", (channel or "") if kind in LOCAL_KINDS else "", token))


@dataclass(frozen=True)
class TokenColumn:
    """A raw column that holds tokens. links: whether it can say whose a row is; issue: the column beside it."""

    name: str
    kind: str
    is_list: bool
    issue: str | None
    plain: str

    @property
    def links(self) -> bool:
        return self.kind != "device"

    def key(self, token: str) -> str:
        """SQL: the key of that token."""
        scope = "channel" if self.kind in LOCAL_KINDS else "''"
        return f"'t' || chr(31) || {scope} || chr(31) || {token}"


def token_columns(feed: Feed) -> list[TokenColumn]:
    """The feed's columns that hold tokens of identifiers (not of names and birthdays)."""
    found = []
    for column in feed.columns:
        if column.pii in ("phone", "email", "token", "token_list"):
            name, *issue = column.raw_columns()
            plain = f"_plain_{column.name}"
            is_list = column.pii == "token_list"
            found.append(TokenColumn(name, kind_of(column), is_list, issue[0] if issue else None, plain))
    return found


def may_name_persons(feed: Feed) -> bool:
    """Whether rows of the feed can be somebody's."""
    return any(column.pii for column in feed.columns if column.pii not in ("sealed", "attributes"))


def install(connection: duckdb.DuckDBPyConnection, keys: Keys) -> None:
    """Define tombstone(key) on this connection: `Keys.tombstone` in SQL."""
    inner, outer = keys.tombstone_blocks()
    connection.execute("SET VARIABLE tombstone_inner = ?", [inner])
    connection.execute("SET VARIABLE tombstone_outer = ?", [outer])
    connection.execute(
        """
        CREATE OR REPLACE MACRO tombstone(plain) AS sha256(
            getvariable('tombstone_outer') || unhex(sha256(getvariable('tombstone_inner') || encode(plain)))
        )
        """
    )


class Gate:
    """Lets accepted rows through without what erased persons must not leave behind.

    found: memberships that nobody knew yet and that show an erased person's identifier, as (channel, member id).
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, vault: Vault, feed: Feed) -> None:
        self.found: set[tuple[str, str]] = set()
        self._connection, self._feed = connection, feed
        marks = vault.tombstones() if may_name_persons(feed) else []
        self.is_open = not marks
        if marks:
            install(connection, vault.keys)
            connection.register("marks", pa.table({"mark": pa.array(marks, pa.string())}))
            connection.execute("CREATE OR REPLACE TEMP TABLE tombstones AS SELECT mark FROM marks")
            connection.unregister("marks")

    def clean(self, rows: pa.Table) -> pa.Table:
        """The rows, as many and in whatever order, with erased persons' taken out."""
        if self.is_open or not rows.num_rows:
            return rows
        self._connection.register("accepted", rows)
        try:
            known = keys_in(self._feed, "accepted", rows.column_names)
            found = self._connection.execute(
                f"SELECT key FROM ({known}) WHERE tombstone(key) IN (SELECT mark FROM tombstones)"
            ).fetchall()
            if not found:
                return rows
            use_keys(self._connection, (key for (key,) in found))
            if self._feed.name == "members":
                # A membership that shows an erased value is theirs, wherever else it turns up.
                newly = self._connection.execute(
                    f"SELECT DISTINCT channel, member_id FROM ({_judged(self._feed, 'accepted', rows.column_names)}) "
                    f"WHERE is_theirs AND {_member_key('member_id')} NOT IN (SELECT key FROM erased_keys)"
                ).fetchall()
                self.found |= {(str(channel), str(member_id)) for channel, member_id in newly}
            cleaned = blanked(self._feed, "accepted", rows.column_names)
            return self._connection.execute(cleaned).to_arrow_table().select(rows.column_names)
        finally:
            self._connection.unregister("accepted")


def use_keys(connection: duckdb.DuckDBPyConnection, keys: Iterable[str]) -> None:
    """Make the temporary table `erased_keys`, and the variable of that name for lists, that the SQL here asks."""
    chosen = sorted(set(keys))
    connection.register("new_keys", pa.table({"key": pa.array(chosen, pa.string())}))
    connection.execute("CREATE OR REPLACE TEMP TABLE erased_keys AS SELECT key FROM new_keys")
    connection.unregister("new_keys")
    connection.execute("SET VARIABLE erased_keys = ?", [chosen])


def keys_in(feed: Feed, source: str, present: Collection[str]) -> str:
    """SQL: the distinct keys (column `key`) that rows of `source` show."""
    selects = [
        f"SELECT {column.key('token')} AS key FROM (SELECT channel, "
        f"{f'unnest({column.name})' if column.is_list else column.name} AS token FROM {source})"
        for column in token_columns(feed)
        if column.name in present
    ]
    if "member_id" in present and "member_id" in feed.names:
        selects.append(f"SELECT {_member_key('member_id')} AS key FROM {source}")
    return f"SELECT DISTINCT key FROM ({' UNION ALL '.join(selects)}) WHERE key IS NOT NULL"


def blanked(feed: Feed, source: str, present: Collection[str]) -> str:
    """SQL: the rows of `source` (columns `present`) without what the erased keys stand for."""
    tokens = {column.name: column for column in token_columns(feed)}
    issues = {column.issue: column for column in tokens.values() if column.issue}
    plains = {column.plain: column for column in tokens.values()}
    columns = []
    for name in present:
        value = quoted(name)
        if name in tokens:
            value = _without(tokens[name])
        elif name in issues or name in plains:
            column = issues.get(name) or plains[name]
            if not column.is_list and column.name in present:
                value = f"CASE WHEN {_is_erased(column)} THEN NULL ELSE {value} END"
        columns.append(
            f"CASE WHEN is_theirs THEN NULL ELSE {value} END AS {quoted(name)}"
            if _goes(feed, name)
            else (f"{value} AS {quoted(name)}")
        )
    return f"SELECT {', '.join(columns)} FROM ({_judged(feed, source, present)})"


def touches(feed: Feed, source: str, present: Collection[str]) -> str:
    """SQL condition over rows of `source`: an erased key stands in the row."""
    conditions = [_is_erased(column) for column in token_columns(feed) if column.name in present]
    if "member_id" in present:
        conditions.append(f"coalesce({_member_key('member_id')} IN (SELECT key FROM erased_keys), FALSE)")
    return f"({' OR '.join(conditions)})" if conditions else "FALSE"


def erase_from_raw(settings: Settings, connection: duckdb.DuckDBPyConnection, keys: Iterable[str]) -> int:
    """Write the raw parts anew in which these keys stand; the number of parts.

    Each part is replaced at once, and blanked rows hold no key: killed at any instant, it goes on where it was.
    """
    use_keys(connection, keys)
    changed = 0
    for feed in FEEDS.values():
        for path in sorted((settings.raw / feed.name).glob("*.parquet")) if may_name_persons(feed) else ():
            changed += _erase_from_part(connection, feed, path)
    return changed


def _erase_from_part(connection: duckdb.DuckDBPyConnection, feed: Feed, path: Path) -> bool:
    source = f"read_parquet({literal(str(path))})"
    schema = pyarrow.parquet.read_schema(path)
    if not connection.execute(f"SELECT 1 FROM {source} WHERE {touches(feed, source, schema.names)} LIMIT 1").fetchone():
        return False
    rows = connection.execute(f"{blanked(feed, source, schema.names)} ORDER BY _arrival").to_arrow_table()
    part = path.with_name(f"{path.name}.part")
    write_part(rows.select(schema.names).cast(schema), part)
    part.replace(path)
    return True


def _judged(feed: Feed, source: str, present: Collection[str]) -> str:
    """SQL: the rows with `is_theirs`."""
    deciding = [_is_erased(column) for column in token_columns(feed) if column.links and column.name in present]
    by_value = " OR ".join(deciding) or "FALSE"
    if "member_id" in feed.names and "member_id" in present:
        by_member = f"coalesce({_member_key('member_id')} IN (SELECT key FROM erased_keys), FALSE)"
        theirs = f"{by_member} OR ({by_value})"
        if feed.name != "members":
            theirs = f"{by_member} OR (member_id IS NULL AND ({by_value}))"
    else:
        theirs = by_value
    return f"SELECT *, ({theirs}) AS is_theirs FROM {source}"


def _goes(feed: Feed, name: str) -> bool:
    """Whether the column of a person's own row is emptied."""
    if name == "channel" or (name in META_COLUMNS and name != "_local_times"):
        return False
    if feed.name == "members":
        return name not in ("_file_no", "_identifiers_dropped")
    if name in TRACES or name == "member_id" or name in ("_document", "_person", "_profile"):
        return True
    named = {column.name for column in token_columns(feed)}
    named |= {column.issue or "" for column in token_columns(feed)}
    return name in named or name.startswith("_plain_") or (feed.name == "staff" and name == "name_token")


def _is_erased(column: TokenColumn) -> str:
    if column.is_list:
        keys = f"list_transform({column.name}, lambda item: {column.key('item')})"
        return f"coalesce(list_has_any({keys}, getvariable('erased_keys')), FALSE)"
    return f"coalesce({column.key(column.name)} IN (SELECT key FROM erased_keys), FALSE)"


def _without(column: TokenColumn) -> str:
    if column.is_list:
        kept = f"NOT list_contains(getvariable('erased_keys'), {column.key('item')})"
        return f"list_filter({column.name}, lambda item: {kept})"
    return f"CASE WHEN {_is_erased(column)} THEN NULL ELSE {column.name} END"


def _member_key(member_id: str) -> str:
    return f"'m' || chr(31) || channel || chr(31) || {member_id}"
