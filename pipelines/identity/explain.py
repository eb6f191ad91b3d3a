"""Why a customer is one person, in words: memberships, what links them, what was blocked, what was merged when.

Belongs here: wording. It reads the published marts `customer_identities` and `customer_merges` (and, where it is
published, `customer_blocks`: who holds a blocked value; `customer_links`: decided and probable links; `households`), so
it answers from a snapshot while a run writes. Tokens are shortened: they are for telling values apart, not for reading.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from pipelines.errors import PermanentError

KIND_WORDS = {
    "phone": "phone",
    "email": "e-mail",
    "wechat_unionid": "WeChat union id",
    "wechat_openid": "WeChat open id",
    "alipay_uid": "Alipay id",
    "qq_openid": "QQ open id",
    "card_no": "member card",
    "device_id": "device",
}
MAX_LISTED = 20
BLOCKS = "customer_blocks"
LINKS = "customer_links"
HOUSEHOLDS = "households"
DECISION_WORDS = {
    "linkage": "probably one person",
    "merge": "merged by a person",
    "accept": "accepted in review",
    "split": "split by a person",
    "reject": "rejected in review",
}


def explain_customer(connection: duckdb.DuckDBPyConnection, customer_id: str) -> str:
    """The explanation, several lines of plain text.

    `connection` is a snapshot or a warehouse with schema `marts`. Raises PermanentError if neither the identities nor
    the log know the customer.
    """
    identities = _rows(
        connection,
        """
        select kind, channel, identity, first_seen_at, last_seen_at, n_sources, is_blocked, reason
        from marts.customer_identities
        where customer_id = ?
        order by first_seen_at, kind, channel, identity""",
        [customer_id],
    )
    events = _rows(
        connection,
        """
        select "at", kind, from_customer_id, into_customer_id, cause, evidence
        from marts.customer_merges
        where from_customer_id = ? or into_customer_id = ?
        order by "at", from_customer_id, into_customer_id""",
        [customer_id, customer_id],
    )
    if not identities and not events:
        raise PermanentError(
            f"No customer {customer_id!r} is published; look the id up with "
            '`omnilake query "select customer_id, channel, identity from marts.customer_identities"`.'
        )
    members = [row for row in identities if row["kind"] == "member"]
    values = [row for row in identities if row["kind"] not in ("member", "device_id")]
    devices = [row for row in identities if row["kind"] == "device_id"]
    lines = [_headline(customer_id, members, values, events)]
    lines += _listed("Memberships:", [_member(row) for row in members])
    lines += _listed(
        "Identifiers that tie them together:" if len(members) > 1 else "Identifiers:", [_value(row) for row in values]
    )
    lines += _listed("Tied besides:", _decided(connection, customer_id, "link"))
    lines += _listed("Kept apart:", _decided(connection, customer_id, "apart"))
    lines += _listed("One household with (several persons, never one customer):", _household(connection, customer_id))
    lines += _listed("Seen on devices (a device never ties anybody together):", [_value(row) for row in devices])
    lines += _listed("Not used, and why:", _blocked(connection, customer_id, events))
    lines += _listed("What happened:", [_event(row, customer_id) for row in events])
    return "\n".join(lines)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any]) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _headline(
    customer_id: str, members: list[dict[str, Any]], values: list[dict[str, Any]], events: list[dict[str, Any]]
) -> str:
    if not members and not values:
        into = [event["into_customer_id"] for event in events if event["from_customer_id"] == customer_id]
        return f"Customer {customer_id} is no more; it went into {', '.join(into)}."
    if not members:
        return f"Customer {customer_id} is a guest, known by {_count(len(values), 'identifier')}."
    channels = len({row["channel"] for row in members})
    return f"Customer {customer_id} has {_count(len(members), 'membership')} in {_count(channels, 'channel')}."


def _member(row: dict[str, Any]) -> str:
    return f"{row['channel']}/{row['identity']}, seen {_span(row)}"


def _value(row: dict[str, Any]) -> str:
    where = f" in {row['channel']}" if row["channel"] else ""
    name = KIND_WORDS.get(row["kind"], row["kind"])
    return f"{name} {_short(row['identity'])}{where}, from {_count(row['n_sources'], 'source')}, seen {_span(row)}"


def _decided(connection: duckdb.DuckDBPyConnection, customer_id: str, relation: str) -> list[str]:
    """Pairs that a person or probabilistic linkage decided, with score or rule."""
    if not _is_published(connection, LINKS):
        return []
    rows = _rows(
        connection,
        f"""
        select distinct kind, channel, member_id, partner_channel, partner_id, score, evidence
        from marts.{LINKS}
        where customer_id = ? and relation = ? and partner_id is not null
        order by kind, channel, member_id, partner_channel, partner_id""",
        [customer_id, relation],
    )
    return [
        f"{row['channel']}/{row['member_id']} and {row['partner_channel']}/{row['partner_id']}: "
        f"{DECISION_WORDS.get(row['kind'], row['kind'])} "
        + (f"({row['score']:.1f} bits of evidence)" if row["score"] is not None else f"({row['evidence']})")
        for row in rows
    ]


def _household(connection: duckdb.DuckDBPyConnection, customer_id: str) -> list[str]:
    if not _is_published(connection, HOUSEHOLDS):
        return []
    rows = _rows(
        connection,
        f"""
        select others.customer_id, own.kind, own.identity
        from marts.{HOUSEHOLDS} as own
        inner join marts.{HOUSEHOLDS} as others on own.household_id = others.household_id
        where own.customer_id = ? and others.customer_id <> own.customer_id
        order by others.customer_id, own.kind, own.identity""",
        [customer_id],
    )
    return [
        f"{row['customer_id']}, by {KIND_WORDS.get(row['kind'], row['kind'])} {_short(row['identity'])}" for row in rows
    ]


def _is_published(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether the snapshot has the mart: one of an earlier version may not."""
    return bool(
        _rows(
            connection,
            "select table_name from information_schema.tables where table_schema = 'marts' and table_name = ?",
            [table],
        )
    )


def _blocked(connection: duckdb.DuckDBPyConnection, customer_id: str, events: list[dict[str, Any]]) -> list[str]:
    """Blocked values that the customer holds, or that its events speak of."""
    named = {(item["kind"], item["identity"]) for event in events for item in json.loads(event["evidence"] or "[]")}
    if _is_published(connection, BLOCKS):
        rows = _rows(connection, f"select kind, identity from marts.{BLOCKS} where customer_id = ?", [customer_id])
        named |= {(row["kind"], row["identity"]) for row in rows}
    reasons = (
        _rows(
            connection,
            "select kind, identity, reason from marts.customer_identities "
            "where kind = ? and identity = ? and is_blocked",
            [kind, identity],
        )
        for kind, identity in sorted(named)
    )
    return [
        f"{KIND_WORDS.get(row['kind'], row['kind'])} {_short(row['identity'])}: {row['reason']}"
        for rows in reasons
        for row in rows
    ]


def _event(row: dict[str, Any], customer_id: str) -> str:
    day = row["at"].date().isoformat() if row["at"] else "at an unknown time"
    gone = row["from_customer_id"] == customer_id
    if row["kind"] == "merge":
        what = f"went into {row['into_customer_id']}" if gone else f"took in {row['from_customer_id']}"
    else:
        what = f"gave a part to {row['into_customer_id']}" if gone else f"was parted from {row['from_customer_id']}"
    holders = sorted({holder for item in json.loads(row["evidence"] or "[]") for holder in item["holders"]})
    return f"{day}: {what} ({row['cause']}" + (f"; {', '.join(holders)})" if holders else ")")


def _listed(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  … and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return [title, *(f"  {line}" for line in lines[:MAX_LISTED]), *more]


def _span(row: dict[str, Any]) -> str:
    first, last = row["first_seen_at"].date(), row["last_seen_at"].date()
    return f"{first}" if first == last else f"{first} to {last}"


def _short(identity: str) -> str:
    return identity if len(identity) <= 10 else f"{identity[:8]}…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
