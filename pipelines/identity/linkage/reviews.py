"""Pairs that a person should look at: too likely to leave, not sure enough to join by themselves.

Belongs here: the table `identity.reviews`, and what a person's word on a pair becomes (a rule, see rules.py). Evidence
says how fields agree and never what they say. Does not belong here: pages and commands.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from pipelines.errors import PermanentError
from pipelines.identity.rules import ACCEPT, REJECT, NodeKey, Rule, load_rules_made, make_rule
from pipelines.settings import Settings

OPEN = "open"
STATES = {ACCEPT: "accepted", REJECT: "rejected"}
COLUMNS = """
    review_id VARCHAR, left_customer_id VARCHAR, right_customer_id VARCHAR, left_channel VARCHAR,
    left_member_id VARCHAR, right_channel VARCHAR, right_member_id VARCHAR, score DECIMAL(9, 2), evidence VARCHAR,
    state VARCHAR, decided_by VARCHAR, decided_at TIMESTAMP, reason VARCHAR"""
_REVIEW_ID = """
    'v' || left(sha256(concat_ws(chr(31), left_channel, left_member_id, right_channel, right_member_id)), 12)"""


def review_id(left: NodeKey, right: NodeKey) -> str:
    """The name of a pair of memberships, the same whichever comes first and in every run."""
    low, high = sorted((left, right))
    text = "\x1f".join((low.channel, low.member_id, high.channel, high.member_id))
    return "v" + hashlib.sha256(text.encode()).hexdigest()[:12]


def publish_reviews(connection: duckdb.DuckDBPyConnection, settings: Settings, review_bits: float) -> None:
    """Make `identity.reviews` anew: open pairs above `review_bits`, and every pair that a person decided."""
    decided = [rule for rule in load_rules_made(settings) if rule.holds and rule.kind in STATES]
    connection.register("decided_reviews", _decided(decided))
    connection.execute(f"create or replace table identity.reviews ({COLUMNS})")
    connection.execute(f"""
        insert into identity.reviews
        with members as (
            select memberships.channel, memberships.member_id, assignment.customer_id
            from identity.memberships as memberships
            inner join identity.assignment as assignment on memberships.node_no = assignment.node_no
        ),
        likely as (
            select
                least(lefts.founder, rights.founder)[1] as left_channel,
                least(lefts.founder, rights.founder)[2] as left_member_id,
                greatest(lefts.founder, rights.founder)[1] as right_channel,
                greatest(lefts.founder, rights.founder)[2] as right_member_id,
                scores.score,
                scores.evidence
            from identity.linkage_scores as scores
            inner join (
                select person_no, [founder_channel, founder_id] as founder from identity.linkage_people
            ) as lefts on scores.left_no = lefts.person_no
            inner join (
                select person_no, [founder_channel, founder_id] as founder from identity.linkage_people
            ) as rights on scores.right_no = rights.person_no
            where scores.score > {review_bits}
        ),
        named as (
            select
                likely.*,
                {_REVIEW_ID} as review_id,
                lefts.customer_id as left_customer_id,
                rights.customer_id as right_customer_id
            from likely
            inner join members as lefts
                on likely.left_channel = lefts.channel and likely.left_member_id = lefts.member_id
            inner join members as rights
                on likely.right_channel = rights.channel and likely.right_member_id = rights.member_id
        ),
        open_pairs as (
            select named.*
            from named
            anti join decided_reviews on named.review_id = decided_reviews.review_id
            where named.left_customer_id <> named.right_customer_id
            qualify row_number() over (
                partition by
                    least(left_customer_id, right_customer_id), greatest(left_customer_id, right_customer_id)
                order by named.score desc, named.review_id
            ) = 1
        )
        select
            review_id, left_customer_id, right_customer_id, left_channel, left_member_id, right_channel,
            right_member_id, score, evidence, '{OPEN}', null, null, null
        from open_pairs
        union all
        select
            decided_reviews.review_id, lefts.customer_id, rights.customer_id,
            decided_reviews.left_channel, decided_reviews.left_member_id,
            decided_reviews.right_channel, decided_reviews.right_member_id,
            named.score, named.evidence, decided_reviews.state, decided_reviews.decided_by, decided_reviews.decided_at,
            decided_reviews.reason
        from decided_reviews
        left join named on decided_reviews.review_id = named.review_id
        left join members as lefts
            on decided_reviews.left_channel = lefts.channel and decided_reviews.left_member_id = lefts.member_id
        left join members as rights
            on decided_reviews.right_channel = rights.channel and decided_reviews.right_member_id = rights.member_id
        order by all""")
    connection.unregister("decided_reviews")


def _decided(rules: list[Rule]) -> pa.Table:
    """The newest word on each pair."""
    rows: dict[str, dict[str, str | datetime]] = {}
    for rule in rules:
        low, high = sorted((rule.left[0], rule.right[0]))
        name = review_id(low, high)
        rows[name] = {
            "review_id": name, "left_channel": low.channel, "left_member_id": low.member_id,
            "right_channel": high.channel, "right_member_id": high.member_id, "state": STATES[rule.kind],
            "decided_by": rule.made_by, "decided_at": rule.made_at, "reason": rule.why,
        }  # fmt: skip
    names = ("review_id", "left_channel", "left_member_id", "right_channel", "right_member_id", "state", "decided_by")
    schema = pa.schema(
        [*((name, pa.string()) for name in names), ("decided_at", pa.timestamp("us")), ("reason", pa.string())]
    )
    return pa.Table.from_pylist(list(rows.values()), schema=schema)


def decide(
    engine: sa.Engine, published: duckdb.DuckDBPyConnection, review: str, kind: str, *, why: str, who: str
) -> Rule:
    """Keep a person's word on a pair, from the next run on. published: a snapshot; kind: ACCEPT or REJECT.

    Raises PermanentError if no such review is published, or if an earlier decision says the opposite.
    """
    _check_published(published)
    row = published.execute(
        "select left_channel, left_member_id, right_channel, right_member_id from marts.identity_reviews "
        "where review_id = ?",
        [review],
    ).fetchone()
    if row is None:
        raise PermanentError(f"No review {review!r} is published; see `omnilake identity reviews`.")
    left, right = NodeKey(row[0], row[1]), NodeKey(row[2], row[3])
    return make_rule(engine, kind, (left,), (right,), why=why, who=who)


def read_reviews(published: duckdb.DuckDBPyConnection, state: str | None) -> list[dict[str, Any]]:
    """The published reviews in a state (all if None), likeliest first; memberships as channel/member id."""
    _check_published(published)
    cursor = published.execute(
        """
        select
            review_id, state, score, left_customer_id, right_customer_id,
            left_channel || '/' || left_member_id as left_member,
            right_channel || '/' || right_member_id as right_member,
            evidence, decided_by, decided_at, reason
        from marts.identity_reviews
        where ? is null or state = ?
        order by score desc nulls last, review_id""",
        [state, state],
    )
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _check_published(published: duckdb.DuckDBPyConnection) -> None:
    found = published.execute(
        "select 1 from information_schema.tables where table_schema = 'marts' and table_name = 'identity_reviews'"
    ).fetchall()
    if not found:
        raise PermanentError("The current snapshot has no reviews yet; the next `omnilake run` publishes them.")
