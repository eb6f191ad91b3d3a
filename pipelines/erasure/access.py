"""Everything that is known of a person, for that person: profile, identifiers, orders, consents, what was sent, why.

Belongs here: gathering it and writing it as JSON or as a page. Does not belong here: who may ask; each answer is
entered in the audit log with its purpose before the first value is revealed.
"""

from __future__ import annotations

import html
import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from pipelines import audit
from pipelines.activation.export_log import export_log
from pipelines.activation.tables import deliveries
from pipelines.erasure.subject import find_subject
from pipelines.errors import ConfigurationError, PermanentError
from pipelines.feeds.erasure_order import ErasureOrder
from pipelines.feeds.sql import literal, quoted
from pipelines.keys import ensure_keys
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.vault import Vault, member_person
from pipelines.warehouse import NothingPublishedError, open_snapshot

Section = list[dict[str, Any]]

_MARTS = (
    "customers", "golden_record", "customer_consents", "customer_identities", "customer_merges", "customer_blocks",
    "orders", "order_events", "customer_rfm", "customer_scores", "customer_tags", "segment_members",
    "recommendations", "campaign_coupons",
)  # fmt: skip
"""Marts with a customer_id, in the order of the answer; others that have one follow."""

_OF_MEMBERS = {
    "points": "occurred_at",
    "coupons": "updated_at",
    "events": "occurred_at",
    "reviews": "created_at",
}
"""Feeds whose rows name a membership, and their time: no mart shows them row by row."""


def answer_access(
    settings: Settings, kind: str, value: str, out: Path, *, as_json: bool, purpose: str, actor: str = "cli"
) -> str:
    """Write what is known of the person to `out`, readable by its owner alone; a line about it, without values.

    Raises as `find_subject` does, and ConfigurationError for a folder that isn't there.
    """
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ConfigurationError(f"--out {out} can't be written; name a file in a folder that exists.")
    with state(settings) as engine, Vault.open(settings, ensure_keys(settings)) as vault:
        subject = find_subject(settings, vault, kind, value)
        for customer in subject.order.customers or ("(not published)",):
            about = audit.subject(settings, "customer", customer)
            audit.record(settings, actor, "person.access", about, {"purpose": purpose, "file": str(out)}, engine=engine)
        sections = gather(settings, engine, vault, subject.order)
    write = json.dumps(_plain(sections), ensure_ascii=False, indent=1) if as_json else _page(sections)
    _write_private(out, write)
    rows = sum(map(len, sections.values()))
    return f"{rows} rows in {len(sections)} sections about {len(subject.order.members)} membership(s) written to {out}"


def gather(settings: Settings, engine: sa.Engine, vault: Vault, order: ErasureOrder) -> dict[str, Section]:
    """Every section that has rows, by name."""
    sections: dict[str, Section] = {
        "profiles": vault.reveal_members(order.members).to_pylist(),
        "identifiers": _identifiers(vault, order),
        "further_texts": vault.reveal_documents(
            [*(member_person(*member) for member in order.members), *(f"identity:{one.token}" for one in order.tokens)]
        ),
    }
    try:
        with open_snapshot(settings) as connection:
            sections |= _of_marts(connection, order.customers)
    except NothingPublishedError:
        pass  # nothing of them is published; raw rows and the vault are shown
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for feed, time in _OF_MEMBERS.items():
            sections[feed] = _of_feed(settings, connection, feed, time, order)
    sections |= _of_state(engine, order)
    return {name: rows for name, rows in sections.items() if rows}


def _identifiers(vault: Vault, order: ErasureOrder) -> Section:
    plain = vault.reveal_identities([one.token for one in order.tokens])
    return [
        {"kind": one.kind, "channel": one.channel, "value": plain.get(one.token, "(not kept)")} for one in order.tokens
    ]


def _of_marts(connection: duckdb.DuckDBPyConnection, customers: tuple[str, ...]) -> dict[str, Section]:
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts' ORDER BY table_name"
    ).fetchall():
        if column.endswith("customer_id"):
            columns.setdefault(table, []).append(column)
    sections: dict[str, Section] = {}
    chosen = ", ".join(map(literal, customers)) or "NULL"
    for table in [*(name for name in _MARTS if name in columns), *(name for name in columns if name not in _MARTS)]:
        where = " OR ".join(f"{quoted(column)} IN ({chosen})" for column in columns[table])
        sections[table] = _rows(connection, f"SELECT * FROM marts.{quoted(table)} WHERE {where} ORDER BY ALL")
    return sections


def _of_feed(
    settings: Settings, connection: duckdb.DuckDBPyConnection, feed: str, time: str, order: ErasureOrder
) -> Section:
    if not any((settings.raw / feed).glob("*.parquet")) or not order.members:
        return []
    members = ", ".join(f"({literal(channel)}, {literal(member_id)})" for channel, member_id in order.members)
    source = f"read_parquet({literal(str(settings.raw / feed / '*.parquet'))}, union_by_name = TRUE)"
    return _rows(
        connection,
        f"SELECT * FROM {source} WHERE (channel, member_id) IN (VALUES {members}) ORDER BY {time}, _arrival",
    )


def _of_state(engine: sa.Engine, order: ErasureOrder) -> dict[str, Section]:
    """What was decided and sent, and exports with personal data: any of them may have held the person."""
    sent = (
        sa.select(deliveries)
        .where(deliveries.c.customer_id.in_(order.customers))
        .order_by(deliveries.c.decided_at, deliveries.c.delivery_id)
    )
    exported = (
        sa.select(
            export_log.c.started_at, export_log.c.actor, export_log.c.segment, export_log.c.fields,
            export_log.c.purpose, export_log.c.file,
        ).order_by(export_log.c.started_at)
    )  # fmt: skip
    with engine.begin() as transaction:
        return {
            "deliveries": [dict(row) for row in transaction.execute(sent).mappings()],
            "exports_that_may_hold_them": [dict(row) for row in transaction.execute(exported).mappings()],
        }


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> Section:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat() + ("Z" if value.tzinfo is None else "")
        case date():
            return value.isoformat()
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return str(value)


def _page(sections: dict[str, Section]) -> str:
    """A page that needs nothing but itself."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<title>What is known of you / 关于您的全部数据</title>"
        "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:0 0 2em}"
        "td,th{border:1px solid #ccc;padding:3px 6px;text-align:left;vertical-align:top}</style></head><body>"
        f"<h1>What is known of you / 关于您的全部数据</h1><p>{datetime.now(UTC):%Y-%m-%d %H:%M} UTC</p>"
    ]
    for name, rows in sections.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        parts.append(f"<h2>{html.escape(name)} ({len(rows)})</h2><table><tr>")
        parts += [f"<th>{html.escape(column)}</th>" for column in columns]
        parts.append("</tr>")
        for row in rows:
            cells = "".join(f"<td>{_cell(row.get(column))}</td>" for column in columns)
            parts.append(f"<tr>{cells}</tr>")
        parts.append("</table>")
    return "".join([*parts, "</body></html>\n"])


def _cell(value: Any) -> str:
    plain = _plain(value)
    text = json.dumps(plain, ensure_ascii=False) if isinstance(plain, (dict, list)) else plain
    return "" if text is None else html.escape(str(text))


def _write_private(out: Path, text: str) -> None:
    part = out.with_name(f"{out.name}.part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PermanentError(f"Cannot write {out}: {error.strerror}; choose another file.") from error
    part.replace(out)
