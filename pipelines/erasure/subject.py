"""Who is meant: from an identifier, a membership or a customer id to everything the lake knows a person by.

Belongs here: finding memberships, customer ids and identifiers, and telling which identifiers are nobody else's. It
reads the published snapshot and the raw lake, since rows may lie there that no run has published. Does not belong
here: changing anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from pipelines.channels import load_channels
from pipelines.errors import ConfigurationError, PermanentError
from pipelines.feeds.contract import FEEDS, Feed
from pipelines.feeds.erasing import LOCAL_KINDS, may_name_persons, member_key, token_columns, token_key
from pipelines.feeds.erasure_order import ErasureOrder, OwnToken
from pipelines.feeds.identifiers import stored_member_id, token_of
from pipelines.feeds.sql import literal
from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.vault import Vault
from pipelines.warehouse import NothingPublishedError, connect, current_snapshot

TOKEN_KINDS = {
    name: name
    for name in ("phone", "email", "wechat_unionid", "wechat_openid", "alipay_uid", "qq_openid", "card_no")
} | {"device_id": "device"}  # fmt: skip
"""What a person can be named by, and the kind of its token."""

KINDS = (*TOKEN_KINDS, "member", "customer")

_SHOWN_AMBIGUOUS = 5


@dataclass(frozen=True)
class Subject:
    """A person before anything is done. order: what erasing them would take; shared: identifiers others have too."""

    order: ErasureOrder
    shared: int

    def words(self) -> str:
        """Who it is, without personal data."""
        members = ", ".join(f"{channel}/{_shown(member_id)}" for channel, member_id in self.order.members)
        customers = ", ".join(self.order.customers)
        told = f"Customer {customers or '(not published yet)'}: {len(self.order.members)} membership(s)"
        told += f" ({members})" if members else ""
        told += f", {len(self.order.tokens)} identifier(s) of their own"
        return told + (f"; {self.shared} that others have too stay with them" if self.shared else "")


class UnknownPersonError(PermanentError):
    """Nobody is known by that."""


class ErasedError(UnknownPersonError):
    """The person was erased before."""


def find_subject(settings: Settings, vault: Vault, kind: str, value: str) -> Subject:
    """The person that `kind` and `value` (plain, as people write it) name.

    Raises ConfigurationError for what names nobody by its form, PermanentError if nobody or more than one person is
    known by it, ErasedError if they were erased.
    """
    with _opened(settings) as connection:
        named = _named(connection, vault.keys, kind, value)
        if not named.is_known:
            marks = set(vault.tombstones())
            if any(vault.keys.tombstone(key) in marks for key in _possible_keys(settings, vault.keys, kind, value)):
                raise ErasedError(f"The person of that {kind} was erased; what comes of them again is kept out.")
            raise UnknownPersonError(
                f"Nobody is known by that {kind}. It is looked for in its normal form, in the published snapshot and "
                "in what was taken in since; see `omnilake explain` for what identifies a customer."
            )
        return _gathered(connection, vault, named)


def keys_named(keys: Keys, channels: Sequence[str], kind: str, value: str) -> list[str]:
    """The keys (feeds/erasing.py) that an identifier or a membership has, in any of the channels.

    Raises ConfigurationError for what names nobody by its form.
    """
    if kind == "member":
        channel, stored = _membership(keys, value)
        return [member_key(channel, stored)]
    token = _token(keys, kind, value)
    return sorted({token_key(TOKEN_KINDS[kind], channel, token) for channel in [None, *channels]})


def _possible_keys(settings: Settings, keys: Keys, kind: str, value: str) -> list[str]:
    return [] if kind == "customer" else keys_named(keys, list(load_channels(settings).channels), kind, value)


def _membership(keys: Keys, value: str) -> tuple[str, str]:
    channel, slash, member_id = value.partition("/")
    if not (slash and channel and member_id):
        raise ConfigurationError("A member is written CHANNEL/ID, such as pos/100234.")
    return channel, stored_member_id(keys, member_id)


def _token(keys: Keys, kind: str, value: str) -> str:
    if kind not in TOKEN_KINDS:
        raise ConfigurationError(f"{kind!r} is no kind of identifier; choose one of: {', '.join(KINDS)}.")
    token = token_of(keys, TOKEN_KINDS[kind], value)
    if token is None:
        raise ConfigurationError(f"That is no usable {kind}: it has no normal form. Check it for missing characters.")
    return token


@dataclass(frozen=True)
class _Named:
    customers: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    token: OwnToken | None = None

    @property
    def is_known(self) -> bool:
        return bool(self.customers or self.members or self.token)


@contextmanager
def _opened(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with `identities` and `merges` as published, and `shown`: every key on every raw row."""
    connection = connect(settings)
    try:
        try:
            connection.execute(f"ATTACH {literal(str(current_snapshot(settings)))} AS published (READ_ONLY)")
            connection.execute(
                "CREATE TEMP VIEW identities AS SELECT customer_id, channel, kind, identity, is_blocked "
                "FROM published.marts.customer_identities"
            )
            connection.execute(
                "CREATE TEMP VIEW merges AS SELECT kind, from_customer_id, into_customer_id "
                "FROM published.marts.customer_merges"
            )
            connection.execute("CREATE TEMP VIEW customers AS SELECT customer_id FROM published.marts.customers")
        except NothingPublishedError:
            connection.execute(
                "CREATE TEMP TABLE identities (customer_id VARCHAR, channel VARCHAR, kind VARCHAR, identity VARCHAR, "
                "is_blocked BOOLEAN)"
            )
            connection.execute(
                "CREATE TEMP TABLE merges (kind VARCHAR, from_customer_id VARCHAR, into_customer_id VARCHAR)"
            )
            connection.execute("CREATE TEMP TABLE customers (customer_id VARCHAR)")
        shown = [select for feed in FEEDS.values() if may_name_persons(feed) for select in _shown_by(settings, feed)]
        nothing = (
            "SELECT NULL::VARCHAR AS feed, NULL::VARCHAR AS channel, NULL::VARCHAR AS member_id, "
            "NULL::VARCHAR AS kind, NULL::VARCHAR AS token, NULL::VARCHAR AS key WHERE false"
        )
        connection.execute(f"CREATE TEMP VIEW shown AS {' UNION ALL '.join([*shown, nothing])}")
        yield connection
    finally:
        connection.close()


def _shown_by(settings: Settings, feed: Feed) -> list[str]:
    folder = settings.raw / feed.name
    if not any(folder.glob("*.parquet")):
        return []
    source = f"read_parquet({literal(str(folder / '*.parquet'))}, union_by_name = TRUE)"
    member_id = "member_id" if "member_id" in feed.names else "NULL::VARCHAR"
    selects = [
        f"SELECT {literal(feed.name)} AS feed, channel, member_id, {literal(column.kind)} AS kind, token, "
        f"{column.key('token')} AS key FROM (SELECT channel, {member_id} AS member_id, "
        f"{f'unnest({column.name})' if column.is_list else column.name} AS token, "
        f"{column.issue or 'NULL'} AS issue FROM {source}) "
        "WHERE token IS NOT NULL AND issue IS DISTINCT FROM 'placeholder'"
        for column in token_columns(feed)
    ]
    if "member_id" in feed.names:
        selects.append(
            f"SELECT {literal(feed.name)}, channel, member_id, 'member', NULL, "
            f"'m' || chr(31) || channel || chr(31) || member_id FROM {source} WHERE member_id IS NOT NULL"
        )
    return selects


def _named(connection: duckdb.DuckDBPyConnection, keys: Keys, kind: str, value: str) -> _Named:
    if kind == "customer":
        known = connection.execute("SELECT customer_id FROM customers WHERE customer_id = ?", [value]).fetchall()
        return _Named(tuple(one for (one,) in known))
    if kind == "member":
        channel, stored = _membership(keys, value)
        key = member_key(channel, stored)
        owners = connection.execute(
            "SELECT DISTINCT customer_id FROM identities WHERE kind = 'member' AND channel = ? AND identity = ? "
            "AND customer_id IS NOT NULL",
            [channel, stored],
        ).fetchall()
        seen = connection.execute("SELECT 1 FROM shown WHERE key = ? LIMIT 1", [key]).fetchone()
        members = ((channel, stored),) if seen or owners else ()
        return _Named(tuple(one for (one,) in owners), members)
    return _of_token(connection, kind, _token(keys, kind, value))


def _of_token(connection: duckdb.DuckDBPyConnection, kind: str, token: str) -> _Named:
    """The person of an identifier: its customer, else the customers of the memberships that show it."""
    token_kind = TOKEN_KINDS[kind]
    owners = connection.execute(
        "SELECT DISTINCT customer_id FROM identities WHERE kind = ? AND identity = ? AND customer_id IS NOT NULL",
        [kind, token],
    ).fetchall()
    if not owners:
        owners = connection.execute(
            """
            SELECT DISTINCT identities.customer_id
            FROM shown
            INNER JOIN identities
                ON identities.kind = 'member' AND shown.channel = identities.channel
                    AND shown.member_id = identities.identity
            WHERE shown.kind = ? AND shown.token = ? AND shown.feed = 'members' AND identities.customer_id IS NOT NULL
            """,
            [token_kind, token],
        ).fetchall()
    customers = sorted(str(one) for (one,) in owners)
    if len(customers) > 1:
        some = ", ".join([*customers[:_SHOWN_AMBIGUOUS], *(["…"] if len(customers) > _SHOWN_AMBIGUOUS else [])])
        raise PermanentError(f"{len(customers)} customers have that {kind} ({some}); say which one: `customer ID`.")
    shown = connection.execute(
        "SELECT DISTINCT feed, channel, member_id FROM shown WHERE kind = ? AND token = ?", [token_kind, token]
    ).fetchall()
    members = tuple(sorted({(channel, member) for feed, channel, member in shown if feed == "members" and member}))
    channel = next((channel for _, channel, _ in shown), None) if token_kind in LOCAL_KINDS else None
    if len(members) > 1 and not customers:
        raise PermanentError(
            f"{len(members)} memberships that no run has published have that {kind}; run `omnilake run`, or name one "
            "as `member CHANNEL/ID`."
        )
    own = OwnToken(token_kind, channel, token) if shown or customers else None
    return _Named(tuple(customers), () if customers else members, own)


def _gathered(connection: duckdb.DuckDBPyConnection, vault: Vault, named: _Named) -> Subject:
    _make_customers(connection, named.customers)
    _make_members(connection, named.members)
    connection.execute(
        """
        CREATE TEMP TABLE candidates AS
        SELECT DISTINCT shown.kind, shown.channel, shown.token, shown.key
        FROM shown
        SEMI JOIN own_members ON shown.channel = own_members.channel AND shown.member_id = own_members.member_id
        WHERE shown.feed = 'members' AND shown.kind <> 'member' OR shown.kind = 'device'
        """
    )
    local = ", ".join(literal(kind) for kind in LOCAL_KINDS)
    connection.execute(
        f"""
        INSERT INTO candidates
        SELECT kind, channel, token, 't' || chr(31) || if(kind IN ({local}), channel, '') || chr(31) || token
        FROM (
            SELECT if(kind = 'device_id', 'device', kind) AS kind, channel, identity AS token
            FROM identities
            WHERE kind <> 'member' AND customer_id IN (SELECT customer_id FROM own_customers)
        )
        """
    )
    if named.token:
        one = named.token
        connection.execute("INSERT INTO candidates VALUES (?, ?, ?, ?)", [one.kind, one.channel, one.token, one.key])
    connection.execute(
        """
        CREATE TEMP TABLE others AS
        SELECT DISTINCT shown.key
        FROM shown
        SEMI JOIN candidates ON shown.key = candidates.key
        ANTI JOIN own_members ON shown.channel = own_members.channel AND shown.member_id = own_members.member_id
        WHERE
            (shown.feed = 'members' AND shown.member_id IS NOT NULL)
            OR (shown.kind = 'device' AND shown.member_id IS NOT NULL)
            OR (
                -- A hub; but a clerk's own phone is the clerk's, wherever it was typed.
                shown.feed = 'orders' AND shown.member_id IS NULL
                AND shown.token IN (SELECT identity FROM identities WHERE is_blocked AND kind <> 'member')
                AND shown.key NOT IN (SELECT staffed.key FROM shown AS staffed WHERE staffed.feed = 'staff')
            )
        """
    )
    tokens = connection.execute(
        "SELECT DISTINCT kind, if(kind IN ('wechat_openid', 'qq_openid'), channel, NULL), token FROM candidates "
        "WHERE key NOT IN (SELECT key FROM others) ORDER BY ALL"
    ).fetchall()
    shared = connection.execute("SELECT count(*) FROM others").fetchall()[0][0]
    members = connection.execute("SELECT channel, member_id FROM own_members ORDER BY ALL").fetchall()
    customers = connection.execute("SELECT customer_id FROM own_customers ORDER BY ALL").fetchall()
    order = ErasureOrder(
        uuid.uuid4().hex[:16],
        tuple(str(one) for (one,) in customers),
        tuple((str(channel), str(member_id)) for channel, member_id in members),
        tuple(OwnToken(kind, channel, token) for kind, channel, token in tokens),
        _loose(connection, [token for _, _, token in tokens]),
    )
    return Subject(replace(order, values=_values(vault, order)), int(shared))


def _make_customers(connection: duckdb.DuckDBPyConnection, customers: tuple[str, ...]) -> None:
    """`own_customers`: these, and the ids that went into them and are nobody's today."""
    connection.register("named_customers", pa.table({"customer_id": pa.array(customers, pa.string())}))
    connection.execute(
        """
        CREATE TEMP TABLE own_customers AS
        WITH RECURSIVE own AS (
            SELECT customer_id FROM named_customers
            UNION
            SELECT merges.from_customer_id
            FROM merges
            INNER JOIN own ON merges.into_customer_id = own.customer_id
            WHERE merges.kind = 'merge' AND merges.from_customer_id NOT IN (SELECT customer_id FROM customers)
        )
        SELECT * FROM own
        """
    )
    connection.unregister("named_customers")


def _make_members(connection: duckdb.DuckDBPyConnection, members: tuple[tuple[str, str], ...]) -> None:
    """`own_members`: those of the customers, the named ones, and unpublished ones that show an identifier of theirs."""
    named = pa.table(
        {
            "channel": pa.array([channel for channel, _ in members], pa.string()),
            "member_id": pa.array([member_id for _, member_id in members], pa.string()),
        }
    )
    connection.register("named_members", named)
    connection.execute(
        """
        CREATE TEMP TABLE own_members AS
        SELECT channel, identity AS member_id
        FROM identities
        WHERE kind = 'member' AND customer_id IN (SELECT customer_id FROM own_customers)
        UNION
        SELECT channel, member_id FROM named_members
        """
    )
    connection.unregister("named_members")
    connection.execute(
        """
        INSERT INTO own_members
        SELECT DISTINCT shown.channel, shown.member_id
        FROM shown
        INNER JOIN identities
            ON identities.identity = shown.token AND identities.kind = shown.kind AND shown.kind <> 'device'
                AND (identities.channel IS NULL OR identities.channel = shown.channel)
        WHERE
            shown.feed = 'members' AND shown.member_id IS NOT NULL AND NOT identities.is_blocked
            AND identities.customer_id IN (SELECT customer_id FROM own_customers)
            AND NOT EXISTS (
                SELECT 1 FROM identities AS known
                WHERE known.kind = 'member' AND known.channel = shown.channel AND known.identity = shown.member_id
            )
        """
    )


def _loose(connection: duckdb.DuckDBPyConnection, own: list[str]) -> tuple[str, ...]:
    """Tokens on the person's rows (a recipient's phone) that stand on nobody else's: nobody needs them afterwards."""
    connection.register("own_tokens", pa.table({"token": pa.array(own, pa.string())}))
    rows = connection.execute(
        """
        WITH on_their_rows AS (
            SELECT DISTINCT shown.key, shown.token
            FROM shown
            SEMI JOIN own_members ON shown.channel = own_members.channel AND shown.member_id = own_members.member_id
            WHERE shown.kind <> 'member'
        ),

        elsewhere AS (
            SELECT DISTINCT shown.key
            FROM shown
            SEMI JOIN on_their_rows ON shown.key = on_their_rows.key
            ANTI JOIN own_members ON shown.channel = own_members.channel AND shown.member_id = own_members.member_id
        )

        SELECT DISTINCT token
        FROM on_their_rows
        WHERE key NOT IN (SELECT key FROM elsewhere) AND token NOT IN (SELECT token FROM own_tokens)
        ORDER BY token
        """
    ).fetchall()
    connection.unregister("own_tokens")
    return tuple(str(token) for (token,) in rows)


def _values(vault: Vault, order: ErasureOrder) -> tuple[str, ...]:
    """Plain values behind the person: what exports may hold."""
    tokens = [*(token.token for token in order.tokens), *(member_id for _, member_id in order.members)]
    found = set(vault.reveal_identities(tokens).values())
    profiles = vault.reveal_members(order.members)
    for name in ("name", "phone", "email", "address"):
        found.update(value for value in profiles[name].to_pylist() if value)
    return tuple(sorted(found))


def _shown(member_id: str) -> str:
    return member_id if len(member_id) <= 12 else f"{member_id[:8]}…"
