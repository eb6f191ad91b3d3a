"""Identity: our resolution against star edges and scipy's connected components, and an increment against a rebuild.

Belongs here: members and orders without contradictions, so that plain components are the right answer, and the bare
way to find them. Does not belong here: identity's rules.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from pipelines.bench.rounds import BASELINE, CANDIDATE
from pipelines.bench.timing import Case, Measured, read_resources
from pipelines.feeds.contract import FEEDS
from pipelines.settings import Settings
from pipelines.warehouse import open_warehouse

ROWS_A_DAY = 0.01
"""Share of the rows that the increment brings."""

MEMBERS = """
    with drawn as (
        select
            member_no,
            member_no % ($members * 10 // 17 + 1) as person_no,
            'channel' || (hash(member_no, 1) % 7) as channel,
            hash(member_no, 2) % 100 as dice
        from range($members) as numbers (member_no)
    )
    select
        channel,
        'm' || member_no as member_id,
        timestamp '2026-01-01' + to_seconds((hash(member_no, 3) % 15552000)::bigint) as updated_at,
        case when dice < 70 then md5('phone' || person_no) end as phone_token,
        case when dice >= 50 and dice < 90 then md5('union' || person_no) end as wechat_unionid_token,
        case when dice >= 80 then md5('email' || person_no) end as email_token,
        member_no * 2 as _arrival
    from drawn
"""

ORDERS = """
    with drawn as (
        select
            order_no,
            hash(order_no, 11) % 100 as dice,
            hash(order_no, 12) % $members as member_no
        from range($orders) as numbers (order_no)
    )
    select
        'channel' || case when dice < 70 then hash(member_no, 1) % 7 else hash(order_no, 13) % 7 end as channel,
        'o' || order_no as order_id,
        timestamp '2026-01-01' + to_seconds((hash(order_no, 14) % 15552000)::bigint) as placed_at,
        placed_at as updated_at,
        case when dice < 70 then 'm' || member_no end as member_id,
        case when dice >= 70 and dice < 90 then md5('phone' || member_no % ($members * 10 // 17 + 1)) end
            as guest_phone_token,
        case when dice >= 85 and dice < 90 then md5('email' || member_no % ($members * 10 // 17 + 1)) end
            as guest_email_token,
        order_no * 2 + 1 as _arrival
    from drawn
"""

EDGES = """
    create temp table nodes as
    select row_number() over (order by node_key) - 1 as node, node_key, phone, union_id, email
    from (
        select
            channel || '/' || member_id as node_key,
            any_value(phone_token) as phone,
            any_value(wechat_unionid_token) as union_id,
            any_value(email_token) as email
        from (
            select channel, member_id, phone_token, wechat_unionid_token, email_token from raw.members
            union all
            select channel, member_id, null, null, null from raw.orders where member_id is not null
        )
        group by channel, member_id
        union all
        select 'guest ' || channel || '/' || order_id, guest_phone_token, null, guest_email_token
        from raw.orders
        where member_id is null and coalesce(guest_phone_token, guest_email_token) is not null
    )
"""

STARS = """
    with held as (
        select node, 'phone' || phone as value from nodes where phone is not null
        union all
        select node, 'union' || union_id from nodes where union_id is not null
        union all
        select node, 'email' || email from nodes where email is not null
    )
    select node, min(node) over (partition by value) as hub
    from held
"""

PARTITION = """
    select
        count(*) as nodes,
        count(distinct label) as customers,
        bit_xor(hash(node_key, label))::varchar as partition
    from (select node_key, min(node_key) over (partition by customer) as label from assigned)
"""


def prepare(place: Path, orders: int) -> None:
    """`raw.*` as the feeds leave it: half as many members as orders, 1.7 memberships a person, guests among the orders.

    Two files: all rows, and all but the last hundredth, resolved.
    """
    from pipelines.identity import resolve

    whole, resolved = _settings(place, "whole"), _settings(place, "resolved")
    _write_raw(whole, orders)
    resolved.lake.mkdir(parents=True)
    shutil.copyfile(whole.warehouse, resolved.warehouse)
    with open_warehouse(resolved) as connection:
        for feed in ("members", "orders"):
            connection.execute(f"delete from raw.{feed} where {_is_late(feed)}")
        resolve(connection, resolved)


def rebuild(place: Path) -> Measured:
    """`resolve` from nothing."""
    from pipelines.identity import resolve

    measured = Measured()
    with _copied(place, "whole") as settings, open_warehouse(settings) as connection:
        with measured.clock():
            resolve(connection, settings, full_refresh=True)
        measured.outcome = _partition(connection, _RESOLVED)
    return measured


def increment(place: Path) -> Measured:
    """`resolve` of the last hundredth of the rows onto the resolved rest."""
    from pipelines.identity import resolve

    measured = Measured()
    with _copied(place, "resolved") as settings, open_warehouse(settings) as connection:
        connection.execute(f"attach '{_settings(place, 'whole').warehouse}' as complete (read_only)")
        for feed in ("members", "orders"):
            connection.execute(f"""
                insert into raw.{feed}
                select * from complete.raw.{feed} as {feed}
                where _arrival > (select max(_arrival) from raw.{feed})""")
        connection.execute("detach complete")
        connection.execute("checkpoint")
        with measured.clock():
            resolve(connection, settings)
        measured.outcome = _partition(connection, _RESOLVED)
    return measured


def components(place: Path) -> Measured:
    """Every node tied to the first node of each of its values; the components of that, written as a table."""
    measured = Measured()
    with _copied(place, "whole") as settings, open_warehouse(settings) as connection:
        with measured.clock():
            connection.execute(EDGES)
            edges = connection.execute(STARS).fetchnumpy()
            count = connection.execute("select count(*) from nodes").fetchall()[0][0]
            graph = sp.coo_array(
                (np.ones(len(edges["node"]), dtype=bool), (edges["node"], edges["hub"])), (count, count)
            )
            _, labels = connected_components(graph, directed=False)
            found = pa.table({"node": np.arange(count), "customer": labels})
            connection.register("found", found)
            connection.execute("create table assigned as select node_key, customer from nodes join found using (node)")
        measured.outcome = _partition(connection)
    return measured


_RESOLVED = """
    create temp table assigned as
    select channel || '/' || identity as node_key, customer_id as customer
    from identity.identities
    where kind = 'member'
    union all
    select 'guest ' || orders.channel || '/' || orders.order_id, order_customers.customer_id
    from identity.order_customers
    inner join raw.orders using (channel, order_id)
    where orders.member_id is null
"""


def _partition(connection: duckdb.DuckDBPyConnection, assigned: str | None = None) -> dict[str, object]:
    if assigned:
        connection.execute(assigned)
    result = connection.execute(PARTITION)
    return dict(zip([column[0] for column in result.description], result.fetchall()[0], strict=True))


@contextmanager
def _copied(place: Path, name: str) -> Iterator[Settings]:
    """A copy of a prepared home that is gone at the end, so that every round starts alike."""
    settings = _settings(place, f"{name}-{uuid.uuid4().hex}")
    settings.lake.mkdir(parents=True)
    try:
        shutil.copyfile(_settings(place, name).warehouse, settings.warehouse)
        yield settings
    finally:
        shutil.rmtree(settings.home)


def _write_raw(settings: Settings, orders: int) -> None:
    members = max(orders // 2, 1)
    queries = {"members": MEMBERS, "orders": ORDERS}
    with open_warehouse(settings) as connection:
        connection.execute("create schema raw")
        for name, feed in FEEDS.items():
            columns = ", ".join(f'"{column}" {kind}' for column, kind in feed.raw_columns().items())
            connection.execute(f"create table raw.{name} ({columns})")
            if name in queries:
                query = queries[name].replace("$members", str(members)).replace("$orders", str(orders))
                connection.execute(f"insert into raw.{name} by name {query}")


def _is_late(feed: str) -> str:
    return f"_arrival > (select quantile_disc(_arrival, {1 - ROWS_A_DAY}) from raw.{feed})"


def _settings(place: Path, name: str) -> Settings:
    return read_resources(place).settings(place / name)


REBUILD = Case(
    "identity",
    "resolution with limits, households and stable ids / star edges in DuckDB and scipy's connected components",
    "at most 1.3",
    prepare,
    {CANDIDATE: rebuild, BASELINE: components},
)
INCREMENT = Case(
    "identity_increment",
    "resolution of one hundredth of the rows onto the rest / of everything anew, with the identical partition",
    "at most 0.2",
    prepare,
    {CANDIDATE: increment, BASELINE: rebuild},
)
