"""From claims to customers: keep the touched claims, find the people they touch, link them, name each customer.

A customer's id is made of its founder alone: the membership or guest that arrived first in raw. So ids need no memory:
they survive a full rebuild and the loss of the warehouse, and of two customers that join the elder's id stays.

Working tables made here: scope_customers, old_assignment, scope_nodes (node_no), edges, components,
scope_assignment (node_no, customer_id).
"""

from __future__ import annotations

import duckdb

from pipelines.identity.components import components, star_edges

MEMBER_KEY = "concat_ws(chr(31), 'member', channel, member_id)"
GUEST_KEY = "concat_ws(chr(31), 'guest', value, later_order)"


def find_scope(connection: duckdb.DuckDBPyConnection) -> None:
    """Customers whose people may change: those on touched values, unless the value was and stays blocked."""
    connection.execute("""
        create or replace temp table linking_values as
        select touched_facts.value
        from touched_facts
        left join identity.values as known on touched_facts.value = known.value
        where touched_facts.block_rule is null or (known.value is not null and known.block_rule is null)""")
    connection.execute("""
        create or replace temp table scope_customers as
        with touched_nodes as (
            select node_no from touched_members
            union
            select touched_claims.node_no
            from touched_claims
            semi join linking_values on touched_claims.value = linking_values.value
            union
            select guest_nodes.node_no
            from identity.guest_nodes
            semi join touched_values on guest_nodes.value = touched_values.value
            union
            select node_no from touched_pair_nodes
        )
        select distinct assignment.customer_id
        from identity.assignment
        semi join touched_nodes on assignment.node_no = touched_nodes.node_no""")
    connection.execute("""
        insert into scope_customers
        select others.customer_id
        from identity.kept_apart as others
        where others.group_id in (
            select kept_apart.group_id
            from identity.kept_apart
            semi join scope_customers on kept_apart.customer_id = scope_customers.customer_id
        )
        and others.customer_id not in (select customer_id from scope_customers)""")


def remember_old(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """`old_assignment`: who was whom before this run, in the scope."""
    scope = "" if everything else "semi join scope_customers on assignment.customer_id = scope_customers.customer_id"
    connection.execute(f"""
        create or replace temp table old_assignment as
        with scoped as (select assignment.node_no, assignment.customer_id from identity.assignment {scope})
        select
            scoped.node_no, scoped.customer_id, memberships.channel, memberships.member_id,
            null::uuid as value, null::varchar as later_order
        from scoped inner join identity.memberships on scoped.node_no = memberships.node_no
        union all
        select scoped.node_no, scoped.customer_id, null, null, guest_nodes.value, guest_nodes.later_order
        from scoped inner join identity.guest_nodes on scoped.node_no = guest_nodes.node_no""")


def keep_claims(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """Replace what the state says of the touched values."""
    replaced = ("claims", "guest_claims", "guest_nodes", "values", "value_splits")
    for table in () if everything else replaced:
        connection.execute(f"""
            delete from identity.{table} using touched_values
            where {table}.value = touched_values.value""")
    connection.execute("""
        insert into identity.claims
        with blocked as (select value from touched_facts where block_rule is not null)
        select
            touched_claims.*,
            case when blocked.value is null then coalesce(contested_owners.owner_no, 0) end as owner_no
        from touched_claims
        left join blocked on touched_claims.value = blocked.value
        left join contested_owners
            on touched_claims.value = contested_owners.value and touched_claims.node_no = contested_owners.node_no""")
    connection.execute("insert into identity.guest_claims by name select * from placed_guest_claims")
    connection.execute("""
        insert into identity.guest_nodes
        with numbered as (
            select coalesce(max(node_no), -1) as last_no
            from (
                select node_no from identity.memberships
                union all select node_no from identity.guest_nodes
                union all select node_no from old_assignment
            )
        ),
        firsts as (select value, min(first_arrival) as first_arrival from placed_guest_claims group by value),
        guests as (
            select
                value,
                owner_no,
                min(first_arrival) as first_arrival,
                arg_min(channel || '/' || order_id, first_arrival) as first_order
            from placed_guest_claims
            where owner_no is not null
            group by value, owner_no
        )
        select
            numbered.last_no + row_number() over () as node_no,
            guests.value,
            guests.owner_no,
            guests.first_arrival,
            case when guests.first_arrival > firsts.first_arrival then guests.first_order end as later_order
        from guests
        inner join firsts on guests.value = firsts.value
        cross join numbered""")
    connection.execute("""
        insert into identity.values
        with last_owners as (
            select value, arg_max(holder_node, owner_no) as node_no, bool_and(closed_at is not null) as is_closed
            from owner_windows
            group by value
        ),
        orphans as (select value, node_no from identity.guest_nodes where owner_no = -1)
        select
            touched_facts.value, kind_no, n_members, n_orders, first_seen_at, last_seen_at, block_rule, reason,
            case
                when block_rule is not null then null
                when last_owners.is_closed then coalesce(orphans.node_no, last_owners.node_no)
                else coalesce(last_owners.node_no, touched_facts.any_node, orphans.node_no)
            end as holder_node
        from touched_facts
        left join last_owners on touched_facts.value = last_owners.value
        left join orphans on touched_facts.value = orphans.value""")
    connection.execute("""
        insert into identity.value_splits
        select value, owner_no, rule, holder_node, from_at, case when to_at < 'infinity'::timestamp then to_at end
        from owner_windows
        where n_owners > 1""")


def scope_nodes(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """`scope_nodes`: whose customer is decided anew; no table is made where that is everybody."""
    if not everything:
        connection.execute("""
            create or replace temp table scope_nodes as
            select node_no from old_assignment
            union
            select node_no from identity.memberships
            anti join identity.assignment as known on memberships.node_no = known.node_no
            union
            select guest_nodes.node_no
            from identity.guest_nodes semi join touched_values on guest_nodes.value = touched_values.value""")


def link_scope(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """`edges` between the nodes of the scope: holders of a value to their first, and the ends of every join."""
    if everything:
        connection.execute("""
            create or replace temp table attachments as
            with shared as (
                select value from touched_facts where block_rule is null and n_members + least(n_orders, 1) > 1
            )
            select claims.value, claims.owner_no, claims.node_no
            from identity.claims semi join shared on claims.value = shared.value
            union all
            select guest_nodes.value, guest_nodes.owner_no, guest_nodes.node_no
            from identity.guest_nodes semi join shared on guest_nodes.value = shared.value""")
    else:
        connection.execute("""
            create or replace temp table attachments as
            select claims.value, claims.owner_no, claims.node_no
            from identity.claims semi join scope_nodes on claims.node_no = scope_nodes.node_no
            where claims.owner_no is not null
            union all
            select guest_nodes.value, guest_nodes.owner_no, guest_nodes.node_no
            from identity.guest_nodes semi join scope_nodes on guest_nodes.node_no = scope_nodes.node_no""")
    scoped = "" if everything else "semi join scope_nodes on guest_nodes.node_no = scope_nodes.node_no"
    connection.execute(f"""
        create or replace temp table edges as
        with same_value as ({star_edges("attachments")}),
        order_nodes as (
            select guest_claims.channel, guest_claims.order_id, guest_nodes.node_no
            from identity.guest_claims
            inner join identity.guest_nodes
                on guest_claims.value = guest_nodes.value and guest_claims.owner_no = guest_nodes.owner_no
            {scoped}
            where guest_claims.n_identifiers > 1 and guest_claims.is_linking
        ),
        same_order as (
            select order_nodes.node_no, firsts.first_node
            from order_nodes
            inner join (
                select channel, order_id, min(node_no) as first_node from order_nodes group by channel, order_id
            ) as firsts
                on order_nodes.channel = firsts.channel and order_nodes.order_id = firsts.order_id
            where order_nodes.node_no <> firsts.first_node
        ),
        namesakes as (
            select attachments.value, attachments.node_no, facts.name_key, facts.birthday_key
            from attachments
            semi join identity.value_splits as splits on attachments.value = splits.value
            inner join identity.member_facts as facts on attachments.node_no = facts.node_no
            where facts.name_key is not null and facts.birthday_key is not null
        ),
        same_person as (
            select namesakes.node_no, firsts.first_node
            from namesakes
            inner join (
                select value, name_key, birthday_key, min(node_no) as first_node
                from namesakes
                group by value, name_key, birthday_key
            ) as firsts
                on namesakes.value = firsts.value and namesakes.name_key = firsts.name_key
                and namesakes.birthday_key = firsts.birthday_key
            where namesakes.node_no <> firsts.first_node
        )
        select * from same_value
        union all
        select * from same_order
        union all
        select * from same_person
        union all
        select left_node, right_node from joins""")


def find_components(connection: duckdb.DuckDBPyConnection) -> None:
    """`components`: the connected component of every node that has an edge."""
    connection.register("found_components", components(connection, "select node_no, first_node from edges"))
    connection.execute("create or replace temp table components as select * from found_components")
    connection.unregister("found_components")


def name_customers(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """Assign every node of the scope its customer: 'c' and 20 hex digits of SHA-256 of the founder's key."""
    scope = "" if everything else "semi join scope_nodes on nodes.node_no = scope_nodes.node_no"
    connection.execute(f"""
        create or replace temp table scope_assignment as
        with nodes as (
            select node_no, first_arrival, {MEMBER_KEY} as node_key from identity.memberships
            union all
            select node_no, first_arrival, {GUEST_KEY} as node_key from identity.guest_nodes
        ),
        scoped as (
            select nodes.*, components.component
            from nodes {scope}
            left join components on nodes.node_no = components.node_no
        ),
        founders as (
            select component, min(struct_pack(first_arrival, node_key)).node_key as founder_key
            from scoped
            where component is not null
            group by component
        )
        select
            scoped.node_no,
            'c' || left(sha256(coalesce(founders.founder_key, scoped.node_key)), 20) as customer_id
        from scoped
        left join founders on scoped.component = founders.component""")
    if not everything:
        connection.execute("""
            delete from identity.assignment using old_assignment
            where assignment.node_no = old_assignment.node_no""")
    connection.execute("insert into identity.assignment select node_no, customer_id from scope_assignment")
