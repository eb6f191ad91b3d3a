"""The people that exact links and people's decisions leave, as records to compare: who they are, and what changed.

Belongs here: SQL over the warehouse, from customers to records, and how a record's change is noticed without its
values. Does not belong here: what records say (the vault's matter: profiles.py).

A record is one person as far as is known without linkage: the memberships of one customer, or, where linkage has
joined several, of one of these. It is named by its founder, the membership that arrived first. Working tables made
here: people_members (founder_channel, founder_id, channel, member_id, updated_at, arrival, gender, city,
is_phone_blocked, is_email_blocked), people (founder_channel, founder_id, fingerprint).
"""

from __future__ import annotations

import duckdb

from pipelines.identity import clusters, decided
from pipelines.identity.config import KIND

WORKING_TABLES = (
    "scope_nodes", "new_pairs", "numbered_pairs", "joins", "partings", "attachments", "edges", "components",
    "parted_nodes", "bonds", "people_parts", "people_members", "people",
)  # fmt: skip


def gather_people(connection: duckdb.DuckDBPyConnection) -> None:
    """`people_members` and `people`, of all members who are delivered and not deleted."""
    _part_linked(connection)
    connection.execute(f"""
        create or replace temp table people_members as
        with newest as (
            select
                channel, member_id, updated_at, _arrival as arrival, gender, city,
                coalesce(deleted, false) as is_deleted
            from raw.members
            qualify row_number() over (partition by channel, member_id order by updated_at desc, _arrival desc) = 1
        ),
        blocked as (
            select
                claims.node_no,
                bool_or(claims.kind_no = {KIND["phone"].number}) as phone,
                bool_or(claims.kind_no = {KIND["email"].number}) as email
            from identity.claims
            inner join identity.values as values on claims.value = values.value
            where values.block_rule is not null and claims.held_until is null
            group by claims.node_no
        ),
        members as (
            select
                coalesce('part ' || people_parts.component, assignment.customer_id) as part,
                memberships.first_arrival,
                newest.*,
                coalesce(blocked.phone, false) as is_phone_blocked,
                coalesce(blocked.email, false) as is_email_blocked
            from newest
            inner join identity.memberships as memberships
                on newest.channel = memberships.channel and newest.member_id = memberships.member_id
            inner join identity.assignment as assignment on memberships.node_no = assignment.node_no
            left join people_parts on memberships.node_no = people_parts.node_no
            left join blocked on memberships.node_no = blocked.node_no
            where not newest.is_deleted
        ),
        founders as (
            select part, min(struct_pack(first_arrival, channel, member_id)) as founder from members group by part
        )
        select
            founders.founder.channel as founder_channel,
            founders.founder.member_id as founder_id,
            members.* exclude (part, first_arrival, is_deleted)
        from members inner join founders on members.part = founders.part""")
    connection.execute("""
        create or replace temp table people as
        select
            founder_channel,
            founder_id,
            bit_xor(
                hash(channel, member_id, epoch_us(updated_at), arrival, is_phone_blocked, is_email_blocked)
            ) as fingerprint
        from people_members
        group by founder_channel, founder_id""")


def _part_linked(connection: duckdb.DuckDBPyConnection) -> None:
    """`people_parts` (node_no, component): customers that linkage joined, taken apart into what holds without it."""
    connection.execute(f"""
        create or replace temp table scope_nodes as
        with linked as (
            select left_channel as channel, left_id as id from identity.pairs where cause = '{decided.LINKAGE}'
            union
            select right_channel, right_id from identity.pairs where cause = '{decided.LINKAGE}'
        ),
        customers as (
            select distinct assignment.customer_id
            from linked
            inner join identity.memberships as memberships
                on linked.channel = memberships.channel and linked.id = memberships.member_id
            inner join identity.assignment as assignment on memberships.node_no = assignment.node_no
        )
        select assignment.node_no
        from identity.assignment as assignment
        semi join customers on assignment.customer_id = customers.customer_id""")
    connection.execute(f"""
        create or replace temp table new_pairs as
        select * from identity.pairs where cause <> '{decided.LINKAGE}'""")
    decided.number_pairs(connection, everything=False)
    clusters.link_scope(connection, everything=False)
    clusters.find_components(connection)
    decided.part_components(connection)
    connection.execute("""
        create or replace temp table people_parts as
        select
            scope_nodes.node_no,
            coalesce(components.component::varchar, 'alone ' || scope_nodes.node_no) as component
        from scope_nodes left join components on scope_nodes.node_no = components.node_no""")


def drop_working_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave nothing of this step in the connection."""
    for table in WORKING_TABLES:
        connection.execute(f"drop table if exists temp.{table}")
