"""What a person may correct: splitting a customer, merging two, blocking a value, undoing a correction.

Belongs here: turning customers and plain values into the keys that a rule is made of, and refusing what makes no sense.
It reads the published marts, so it works while a run writes; the next run replays the rules. Does not belong here: what
a rule does (decided), printing (cli).
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import uuid
from collections.abc import Iterable

import duckdb
import sqlalchemy as sa

from pipelines.errors import ConfigurationError, PermanentError
from pipelines.feeds.identifiers import stored_member_id, token_of
from pipelines.identity.config import KIND
from pipelines.identity.rules import BLOCK, MERGE, SPLIT, NodeKey, Rule, make_rule
from pipelines.keys import Keys

_PERSONAL = re.compile(r"\S*@\S*|\+?\d(?:[\s().-]?\d){6,}")


def operator() -> str:
    """Who is at the keyboard: the name of the operating system's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def without_personal_data(why: str) -> str:
    """A reason as it may be kept: numbers and addresses of persons are masked."""
    return _PERSONAL.sub("…", why.strip())[:500]


def value_key_of(kind: str, channel: str | None, token: str) -> str:
    """The key of a value in the tables of `identity`, as `arrivals.value_key` makes it in SQL."""
    scope = "" if KIND[kind].is_global else channel or ""
    if KIND[kind].is_global:
        try:
            return str(uuid.UUID(token))
        except ValueError:
            pass
    keyed = "\x1f".join((kind, scope, token)).encode()
    return str(uuid.UUID(hashlib.md5(keyed, usedforsecurity=False).hexdigest()))


def split(
    connection: duckdb.DuckDBPyConnection,
    engine: sa.Engine,
    keys: Keys,
    members: Iterable[str],
    customer_id: str,
    *,
    why: str,
    who: str,
) -> Rule:
    """Part these memberships, each CHANNEL/MEMBER, from the rest of a customer.

    connection: a snapshot. Raises ConfigurationError for a membership that is not written so, PermanentError if there
    is no such customer, a membership is not of it, or nothing would be left of it.
    """
    wanted = {_parse(member, keys) for member in members}
    have, guests = _nodes_of(connection, customer_id)
    strangers = sorted(str(key) for key in wanted - set(have))
    if strangers:
        there = ", ".join(str(key) for key in have[:20]) or "none, it is a guest"
        raise PermanentError(f"{', '.join(strangers)} is not of customer {customer_id}; its memberships: {there}.")
    # Guests follow the evidence; only where nobody else is left are they the rest.
    rest = tuple(key for key in have if key not in wanted) or guests
    if not rest:
        raise PermanentError(
            f"These are all memberships of customer {customer_id}; there is nothing to part them from."
        )
    return make_rule(engine, SPLIT, tuple(wanted), rest, why=without_personal_data(why), who=who)


def merge(
    connection: duckdb.DuckDBPyConnection, engine: sa.Engine, one: str, other: str, *, why: str, who: str
) -> Rule:
    """Make two customers one. Raises ConfigurationError if they are the same, PermanentError if either is unknown or a
    split keeps them apart."""
    if one == other:
        raise ConfigurationError(f"{one} is one customer already; name two different ones.")
    sides = [members or guests for members, guests in (_nodes_of(connection, name) for name in (one, other))]
    return make_rule(engine, MERGE, sides[0], sides[1], why=without_personal_data(why), who=who)


def block(engine: sa.Engine, keys: Keys, kind: str, value: str, channel: str | None, *, why: str, who: str) -> Rule:
    """Let a value link nobody any more. It is tokenised here; the plain value is neither kept nor quoted.

    channel: of which the id is, where the kind is not global. Raises ConfigurationError for an unknown kind, a missing
    channel, or a value that cannot be one of its kind.
    """
    if kind not in KIND:
        raise ConfigurationError(f"{kind!r} is no kind of identifier that links; choose of {', '.join(KIND)}.")
    if not KIND[kind].is_global and not channel:
        raise ConfigurationError(f"A {kind} is a channel's own; say which with --channel.")
    token = token_of(keys, kind, value)
    if token is None:
        raise ConfigurationError(f"The value given is no usable {kind}.")
    place = None if KIND[kind].is_global else channel
    given = (kind, value_key_of(kind, place, token), token)
    return make_rule(engine, BLOCK, value=given, why=without_personal_data(why), who=who)


def _parse(member: str, keys: Keys) -> NodeKey:
    channel, slash, member_id = member.partition("/")
    if not (channel and slash and member_id):
        raise ConfigurationError(f"{member!r} is no membership; write it CHANNEL/MEMBER, as app/1001.")
    return NodeKey(channel, stored_member_id(keys, member_id))


def _nodes_of(
    connection: duckdb.DuckDBPyConnection, customer_id: str
) -> tuple[tuple[NodeKey, ...], tuple[NodeKey, ...]]:
    """A customer's memberships, and the values that are its own as a guest."""
    rows = connection.execute(
        "select kind, channel, identity from marts.customer_identities "
        "where customer_id = ? and not is_blocked order by kind, channel, identity",
        [customer_id],
    ).fetchall()
    members = tuple(NodeKey(channel, identity) for kind, channel, identity in rows if kind == "member")
    guests = tuple(
        NodeKey("", value_key_of(kind, channel, identity)) for kind, channel, identity in rows if kind in KIND
    )
    if not members and not guests:
        gone = connection.execute(
            "select into_customer_id from marts.customer_merges where from_customer_id = ? and kind = 'merge' "
            'order by "at" desc limit 1',
            [customer_id],
        ).fetchone()
        more = f"it went into {gone[0]}" if gone else "look ids up in marts.customer_identities"
        raise PermanentError(f"No customer {customer_id!r} is published; {more}.")
    return members, guests
