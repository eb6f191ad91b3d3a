"""Contacts of an export: names, phones and e-mail addresses of a batch of customers, plain or hashed.

Belongs here: which of several memberships' values counts, its normal form, and the hash that an advertising platform
matches. Does not belong here: who may ask for them (exports).

What platforms hash (SHA-256, hex, lower case) is the e-mail address in lower case without spaces around it, and the
phone number in E.164: with its plus sign for Google Ads and TikTok, digits alone for Meta. Google wants the dots before
@gmail.com and @googlemail.com taken out as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import duckdb
import pyarrow as pa

from pipelines.activation.export_fields import PERSONAL
from pipelines.feeds.identifiers import issue_of, normalise

Reveal = Callable[[list[tuple[str, str]]], pa.Table]
"""From (channel, member_id) pairs to their name, phone and email, columns channel, member_id, name, phone, email."""

HASHES = ("sha256", "sha256-google", "sha256-meta")
"""sha256: e-mail in lower case, phone in E.164 with its plus (TikTok). sha256-google: and Gmail's dots out.
sha256-meta: phone as digits alone."""

_GMAIL = ("gmail.com", "googlemail.com")


def with_contacts(
    scratch: duckdb.DuckDBPyConnection,
    batch: pa.Table,
    fields: tuple[str, ...],
    personal: tuple[str, ...],
    hash_algorithm: str | None,
    reveal: Reveal | None,
) -> pa.Table:
    """The batch with exactly `fields`, contacts among them where they are asked for."""
    if not personal or reveal is None:
        return batch.select(list(fields))
    scratch.register("batch", batch)
    scratch.execute(
        """
        CREATE OR REPLACE TEMP TABLE memberships AS
        WITH numbered AS (
            SELECT _customer_id, members, unnest(range(1, len(members) + 1)) AS place FROM batch
        )

        SELECT
            _customer_id AS customer_id,
            place,
            members[place].channel AS channel,
            members[place].member_id AS member_id,
            members[place].golden AS golden
        FROM numbered
        """
    )
    pairs = scratch.execute("SELECT channel, member_id FROM memberships ORDER BY ALL").fetchall()
    revealed = reveal(pairs).select(["channel", "member_id", *PERSONAL])
    for kind in PERSONAL:
        plain = revealed[kind].to_pylist()
        if hash_algorithm is None:
            values = pa.array([normal_contact(kind, value) for value in plain], pa.string())
        else:
            values = pa.array([hash_contact(kind, value, hash_algorithm) for value in plain], pa.string())
        revealed = revealed.set_column(revealed.schema.get_field_index(kind), kind, values)
    scratch.register("revealed", revealed)
    # The golden record says where each value is; where that one can't be used, the membership last seen that can.
    picks = ", ".join(
        f"arg_min(revealed.{kind}, if(list_contains(memberships.golden, '{kind}'), 0, memberships.place)) "
        f"FILTER (WHERE revealed.{kind} IS NOT NULL) AS {kind}"
        for kind in PERSONAL
    )
    contacts = scratch.execute(
        f"""
        SELECT memberships.customer_id, {picks}
        FROM memberships
        INNER JOIN revealed
            ON memberships.channel = revealed.channel AND memberships.member_id = revealed.member_id
        GROUP BY memberships.customer_id
        """
    ).to_arrow_table()
    scratch.register("contacts", contacts)
    columns = ", ".join(f"contacts.{field}" if field in PERSONAL else f'batch."{field}"' for field in fields)
    completed = scratch.execute(
        f"""
        SELECT {columns}
        FROM batch
        LEFT JOIN contacts ON batch._customer_id = contacts.customer_id
        ORDER BY batch._customer_id
        """
    ).to_arrow_table()
    for view in ("batch", "revealed", "contacts"):
        scratch.unregister(view)
    return completed


def normal_contact(kind: str, value: str | None) -> str | None:
    """What can be used of a phone (E.164), an e-mail (lower case) or a name: None for what is masked, invalid or a
    placeholder. Names stay as they were written.
    """
    if value is None or issue_of(kind, value) is not None:
        return None
    return value if kind == "name" else normalise(kind, value)


def hash_contact(kind: str, value: str | None, algorithm: str = "sha256") -> str | None:
    """SHA-256 (hex) of the form that the platform works with; None where there is none."""
    usable = normal_contact(kind, value)
    normal = None if usable is None else normalise(kind, usable)
    if normal is None:
        return None
    if kind == "phone" and algorithm == "sha256-meta":
        normal = normal.removeprefix("+")
    if kind == "email" and algorithm == "sha256-google":
        local, _, domain = normal.rpartition("@")
        normal = f"{local.replace('.', '')}@{domain}" if domain in _GMAIL else normal
    return hashlib.sha256(normal.encode("utf-8")).hexdigest()
