"""Schema `identity` of the warehouse: the state that is kept between runs, and the views that others read.

Belongs here: DDL only. State is integers and 128-bit keys; names, tokens and reasons are put back in the views.

State
- memberships: every (channel, member_id) that any feed has named. `feeds` is a bit set of the feeds.
- member_facts: what the newest versions say of a delivered member.
- claims: member × value. `held_until`: when the member's record stopped showing the value (null: it still does);
  `closed_at`: when the member was deleted. `owner_no`: which owner of the value the claim speaks for, null if blocked.
- orders: the newest version of every order, as far as identity needs it.
- guest_claims: guest order × value. `is_linking`: whether the order's other identifiers are linked through this one.
- guest_nodes: the guests of one value and one owner of it (-1: nobody's but their own). `later_order`: the first order
  of these guests, where the value's first order of all is another owner's.
- values: one row a value; `holder_node` belongs to its customer (null if blocked).
- value_splits: values with several owners, one row an owner. value_labels: values whose key is not their token.
- assignment: node (membership or guest node) to customer. Nothing else knows customer ids, but
  kept_apart: customers who would be one but for a parting, a group each (see decided).
"""

from __future__ import annotations

import duckdb

from pipelines.identity.config import KINDS

STATE_TABLES = {
    "memberships": """
        node_no BIGINT, channel VARCHAR, member_id VARCHAR, first_arrival BIGINT,
        first_seen_at TIMESTAMP, last_seen_at TIMESTAMP, feeds INTEGER""",
    "member_facts": """
        node_no BIGINT, name_key UUID, birthday_key UUID, gender VARCHAR, closed_at TIMESTAMP""",
    "claims": """
        node_no BIGINT, kind_no UTINYINT, value UUID, first_seen_at TIMESTAMP, last_seen_at TIMESTAMP,
        held_until TIMESTAMP, closed_at TIMESTAMP, owner_no INTEGER""",
    "orders": """
        channel VARCHAR, order_id VARCHAR, updated_at TIMESTAMP, arrival BIGINT, first_arrival BIGINT,
        placed_at TIMESTAMP, member_node BIGINT, phone UUID, email UUID, wechat_openid UUID""",
    "guest_claims": """
        channel VARCHAR, order_id VARCHAR, placed_at TIMESTAMP, first_arrival BIGINT, n_identifiers UTINYINT,
        kind_no UTINYINT, value UUID, owner_no INTEGER, is_linking BOOLEAN""",
    "guest_nodes": """
        node_no BIGINT, value UUID, owner_no INTEGER, first_arrival BIGINT, later_order VARCHAR""",
    "values": """
        value UUID, kind_no UTINYINT, n_members BIGINT, n_orders BIGINT, first_seen_at TIMESTAMP,
        last_seen_at TIMESTAMP, block_rule VARCHAR, reason VARCHAR, holder_node BIGINT""",
    "value_labels": "value UUID, channel VARCHAR, token VARCHAR",
    "value_splits": """
        value UUID, owner_no INTEGER, rule VARCHAR, holder_node BIGINT, from_at TIMESTAMP, to_at TIMESTAMP""",
    "staff_phones": "value UUID",
    "placeholders": "value UUID",
    "devices": "node_no BIGINT, token VARCHAR, first_seen_at TIMESTAMP, last_seen_at TIMESTAMP",
    "assignment": "node_no BIGINT, customer_id VARCHAR",
    "kept_apart": "customer_id VARCHAR, group_id VARCHAR",
    "watermarks": "feed VARCHAR, arrival BIGINT, n_rows BIGINT",
    "applied_rules": "fingerprint VARCHAR, device_limit INTEGER",
}
LOG_TABLES = {
    "merges": """
        event_id VARCHAR, "at" TIMESTAMP, kind VARCHAR, from_customer_id VARCHAR, into_customer_id VARCHAR,
        cause VARCHAR, evidence VARCHAR, logged_at TIMESTAMP""",
}


def kind_name(column: str) -> str:
    """SQL: a kind's name from its number."""
    cases = " ".join(f"when {kind.number} then '{kind.name}'" for kind in KINDS)
    return f"case {column} {cases} end"


def token_of(value: str) -> str:
    """SQL: the token that a value key is made of, where the key is the token itself."""
    return f"replace({value}::varchar, '-', '')"


def state_exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether all state tables of this version are there."""
    found = connection.execute("select table_name from duckdb_tables() where schema_name = 'identity'").fetchall()
    return {table for (table,) in found} >= STATE_TABLES.keys()


def create_state(connection: duckdb.DuckDBPyConnection) -> None:
    """Empty state tables; what was there is gone. The log of merges stays."""
    connection.execute("create schema if not exists identity")
    for view in VIEWS:
        connection.execute(f"drop view if exists identity.{view}")
    for table, columns in STATE_TABLES.items():
        connection.execute(f"create or replace table identity.{table} ({columns})")
    for table, columns in LOG_TABLES.items():
        connection.execute(f"create table if not exists identity.{table} ({columns})")
    # A warehouse of an earlier version has events without it.
    connection.execute("alter table identity.merges add column if not exists logged_at TIMESTAMP")


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """The tables of the contract, read from the state."""
    for view, sql in VIEWS.items():
        connection.execute(f"create or replace view identity.{view} as {sql}")


def guest_order_customers(scope: str = "") -> str:
    """SQL: the customer of every guest order that a usable identifier names; `scope` narrows guest_claims.

    A value that has one owner goes before one that is shared; then phone, e-mail, open id.
    """
    return f"""
        select
            guest_claims.channel,
            guest_claims.order_id,
            arg_min(assignment.customer_id, if(is_linking, 0, 100) + kind_no) as customer_id,
            arg_min(kind_no, if(is_linking, 0, 100) + kind_no) as kind_no
        from identity.guest_claims
        inner join identity.guest_nodes
            on guest_claims.value = guest_nodes.value and guest_claims.owner_no = guest_nodes.owner_no
        inner join identity.assignment on guest_nodes.node_no = assignment.node_no
        {scope}
        group by guest_claims.channel, guest_claims.order_id"""


VIEWS = {
    "order_customers": f"""
        with member_orders as (
            select orders.channel, orders.order_id, assignment.customer_id, 'member' as matched_by
            from identity.orders
            inner join identity.assignment on orders.member_node = assignment.node_no
        ),
        guest_orders as ({guest_order_customers()})
        select channel, order_id, customer_id, matched_by from member_orders
        union all
        select channel, order_id, customer_id, {kind_name("kind_no")} as matched_by from guest_orders""",
    "value_owners": f"""
        select
            {kind_name("values.kind_no")} as kind,
            value_labels.channel,
            coalesce(value_labels.token, {token_of("values.value")}) as identity,
            assignment.customer_id,
            value_splits.from_at,
            value_splits.to_at,
            value_splits.owner_no,
            value_splits.rule
        from identity.value_splits
        inner join identity.values on value_splits.value = values.value
        inner join identity.assignment on value_splits.holder_node = assignment.node_no
        left join identity.value_labels on value_splits.value = value_labels.value""",
    "households": """
        select kind, channel, identity, customer_id, min(from_at) as since
        from identity.value_owners
        where rule = 'household'
        group by kind, channel, identity, customer_id
        qualify count(*) over (partition by kind, channel, identity) > 1""",
    "links": f"""
        with named as (
            select assignment.customer_id, memberships.node_no, memberships.channel, memberships.member_id
            from identity.memberships
            inner join identity.assignment on memberships.node_no = assignment.node_no
        ),
        several as (select customer_id from named group by customer_id having count(*) > 1),
        paired as (
            select
                pairs.*,
                lefts.customer_id as left_customer_id,
                rights.customer_id as right_customer_id
            from identity.pairs
            inner join named as lefts on pairs.left_channel = lefts.channel and pairs.left_id = lefts.member_id
            inner join named as rights on pairs.right_channel = rights.channel and pairs.right_id = rights.member_id
        )
        select
            named.customer_id,
            'link' as relation,
            {kind_name("claims.kind_no")} as kind,
            named.channel,
            named.member_id,
            coalesce(value_labels.token, {token_of("claims.value")}) as identity,
            null::varchar as partner_channel,
            null::varchar as partner_id,
            null::double as score,
            null::varchar as evidence,
            claims.first_seen_at as since
        from identity.claims
        inner join named on claims.node_no = named.node_no
        semi join several on named.customer_id = several.customer_id
        semi join (select value from identity.values where n_members > 1) as shared on claims.value = shared.value
        left join identity.value_labels on claims.value = value_labels.value
        where claims.owner_no is not null
        union all
        select
            left_customer_id, 'link', cause, left_channel, left_id, null, right_channel, right_id, score, evidence, null
        from paired
        where verb = 'join' and left_customer_id = right_customer_id
        union all
        select
            left_customer_id, 'apart', cause, left_channel, left_id, null, right_channel, right_id,
            null, evidence, null
        from paired
        where verb = 'part' and left_customer_id <> right_customer_id
        union all
        select
            right_customer_id, 'apart', cause, right_channel, right_id, null, left_channel, left_id,
            null, evidence, null
        from paired
        where verb = 'part' and left_customer_id <> right_customer_id""",
    "blocks": f"""
        select distinct
            assignment.customer_id,
            {kind_name("values.kind_no")} as kind,
            value_labels.channel,
            coalesce(value_labels.token, {token_of("values.value")}) as identity,
            values.block_rule,
            values.reason
        from identity.values
        inner join identity.claims on values.value = claims.value
        inner join identity.assignment on claims.node_no = assignment.node_no
        left join identity.value_labels on values.value = value_labels.value
        where values.block_rule is not null""",
    "divided_values": """
        select
            value_splits.value,
            max(value_splits.rule) as rule,
            count(distinct assignment.customer_id) as n_customers
        from identity.value_splits
        inner join identity.assignment on value_splits.holder_node = assignment.node_no
        where value_splits.rule in ('household', 'recycled')
        group by value_splits.value
        having count(distinct assignment.customer_id) > 1""",
    "identities": f"""
        with members_named as (
            select
                'member' as kind,
                memberships.channel,
                memberships.member_id as identity,
                assignment.customer_id,
                memberships.first_seen_at,
                memberships.last_seen_at,
                bit_count(memberships.feeds)::bigint as n_sources,
                false as is_blocked,
                null::varchar as reason,
                null::varchar as block_rule
            from identity.memberships
            inner join identity.assignment on memberships.node_no = assignment.node_no
            where memberships.feeds <> 2 or memberships.node_no in (select member_node from identity.orders)
        ),
        values_seen as (
            select
                {kind_name("values.kind_no")} as kind,
                value_labels.channel,
                coalesce(value_labels.token, {token_of("values.value")}) as identity,
                case when divided.value is null then assignment.customer_id end as customer_id,
                values.first_seen_at,
                values.last_seen_at,
                values.n_members + values.n_orders as n_sources,
                values.block_rule is not null or divided.value is not null as is_blocked,
                case
                    when values.block_rule is not null then values.reason
                    when divided.rule = 'household'
                        then 'shared by ' || divided.n_customers
                            || ' persons: names and birthdays or genders contradict'
                    when divided.rule = 'recycled'
                        then 'passed to another person: another name after a long silence'
                end as reason,
                coalesce(values.block_rule, divided.rule) as block_rule
            from identity.values
            left join identity.assignment on values.holder_node = assignment.node_no
            left join identity.divided_values as divided on values.value = divided.value
            left join identity.value_labels on values.value = value_labels.value
        ),
        devices_seen as (
            select
                'device_id' as kind,
                null::varchar as channel,
                devices.token as identity,
                case
                    when count(*) <= any_value(applied_rules.device_limit)
                        and count(distinct assignment.customer_id) = 1
                        then min(assignment.customer_id)
                end as customer_id,
                min(devices.first_seen_at) as first_seen_at,
                max(devices.last_seen_at) as last_seen_at,
                count(*) as n_sources,
                count(*) > any_value(applied_rules.device_limit) as is_blocked,
                case
                    when count(*) > any_value(applied_rules.device_limit)
                        then 'on ' || count(*) || ' members, the limit for device_id is '
                            || any_value(applied_rules.device_limit)
                end as reason,
                case when count(*) > any_value(applied_rules.device_limit) then 'limit' end as block_rule
            from identity.devices
            inner join identity.assignment on devices.node_no = assignment.node_no
            cross join identity.applied_rules
            group by devices.token
        )
        select * from members_named
        union all
        select * from values_seen
        union all
        select * from devices_seen""",
}
