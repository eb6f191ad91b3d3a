"""The log of merges and splits: what changed between the customers before a run and after it.

Belongs here: comparing the old assignment with the new. An event's time is the data's, so a run that is killed and
repeated logs the same. Evidence names kinds, tokens and member keys only.
"""

from __future__ import annotations

import duckdb

from pipelines.identity.decided import JOIN, LINKAGE, NODE_KEYS
from pipelines.identity.tables import kind_name, token_of

MAX_EVIDENCE = 10
NEWEST_TIME = """
    select max(newest) from (
        select max(updated_at) as newest from raw.members
        union all select max(updated_at) from raw.orders
        union all select max(updated_at) from raw.staff
    ) as feeds"""


def log_changes(connection: duckdb.DuckDBPyConnection, arrival: int, *, everything: bool) -> None:
    """Append an event for every customer part of which went into another.

    A merge: the whole customer went into one other. A split: a part did. `arrival` is the run's newest `_arrival`.
    """
    if not connection.execute("select 1 from old_assignment limit 1").fetchall():
        return
    _follow_nodes(connection, everything=everything)
    connection.execute("""
        create or replace temp table moves as
        with by_node as (
            select followed.old_customer_id as from_id, scope_assignment.customer_id as into_id
            from followed
            inner join scope_assignment on followed.node_no = scope_assignment.node_no
            where followed.old_customer_id <> scope_assignment.customer_id
        ),
        by_order as (
            select old_order_customers.customer_id as from_id, assignment.customer_id as into_id
            from old_order_customers
            inner join identity.orders
                on old_order_customers.channel = orders.channel and old_order_customers.order_id = orders.order_id
            inner join identity.assignment on orders.member_node = assignment.node_no
            where old_order_customers.customer_id <> assignment.customer_id
        ),
        moved as (
            select from_id, into_id from by_node
            union
            select from_id, into_id from by_order
            where from_id not in (select customer_id from scope_assignment)
        )
        select
            moved.*,
            count(*) over (partition by from_id) = 1
            and from_id not in (select customer_id from scope_assignment) as is_merge
        from moved""")
    if not connection.execute("select 1 from moves limit 1").fetchall():
        return
    _gather_grounds(connection)
    _gather_decisions(connection)
    connection.execute(f"""
        insert into identity.merges
        with logged as (select count(*) as n_events from identity.merges),
        newest as ({NEWEST_TIME}),
        explained as (
            select
                from_id,
                into_id,
                max(since) as merged_at,
                string_agg(distinct ground, ', ' order by ground) as grounds,
                to_json(list(struct_pack(kind, identity, holders) order by kind, identity)[:{MAX_EVIDENCE}])::varchar
                    as evidence
            from grounds
            group by from_id, into_id
        )
        select
            'e' || left(sha256(concat_ws('|', {arrival}, n_events, moves.from_id, moves.into_id)), 20) as event_id,
            coalesce(decisions."at", explained.merged_at, (select * from newest)) as "at",
            if(moves.is_merge, 'merge', 'split') as kind,
            moves.from_id as from_customer_id,
            moves.into_id as into_customer_id,
            case
                when decisions.cause is not null then decisions.cause
                when moves.is_merge then coalesce('shared ' || explained.grounds, 'a guest order names its member now')
                else coalesce(explained.grounds, 'an identifier no longer links them')
            end as cause,
            coalesce(decisions.evidence, explained.evidence, '[]') as evidence,
            get_current_timestamp()::timestamp as logged_at
        from moves
        cross join logged
        left join explained on moves.from_id = explained.from_id and moves.into_id = explained.into_id
        left join decisions on moves.from_id = decisions.from_id and moves.into_id = decisions.into_id
        order by moves.from_id, moves.into_id""")


def _follow_nodes(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """`followed`: today's number of every old node that still is, with its old customer.

    A rebuild numbers the memberships anew; guests are numbered anew whenever their value is touched.
    """
    same_member = (
        "old_assignment.channel = memberships.channel and old_assignment.member_id = memberships.member_id"
        if everything
        else "old_assignment.node_no = memberships.node_no"
    )
    connection.execute(f"""
        create or replace temp table followed as
        select memberships.node_no, old_assignment.customer_id as old_customer_id
        from old_assignment inner join identity.memberships on {same_member}
        union all
        select guest_nodes.node_no, old_assignment.customer_id
        from old_assignment
        inner join identity.guest_nodes
            on old_assignment.value = guest_nodes.value
            and old_assignment.later_order is not distinct from guest_nodes.later_order""")


def _gather_grounds(connection: duckdb.DuckDBPyConnection) -> None:
    """`grounds`: for a merge the touched values that link, for a split those that no longer do, with who holds them."""
    connection.execute(f"""
        create or replace temp table grounds as
        with parties as (
            select moves.from_id, moves.into_id, moves.is_merge, followed.node_no
            from moves
            inner join followed on moves.from_id = followed.old_customer_id
            union
            select moves.from_id, moves.into_id, moves.is_merge, scope_assignment.node_no
            from moves inner join scope_assignment on moves.into_id = scope_assignment.customer_id
        ),
        holdings as (
            select
                parties.*,
                claims.value,
                claims.first_seen_at,
                memberships.channel || '/' || memberships.member_id as holder
            from parties
            inner join identity.claims on parties.node_no = claims.node_no
            inner join identity.memberships on parties.node_no = memberships.node_no
            semi join touched_facts on claims.value = touched_facts.value
            union all
            select parties.*, guest_claims.value, min(guest_claims.placed_at), 'guest'
            from parties
            inner join identity.guest_nodes on parties.node_no = guest_nodes.node_no
            inner join identity.guest_claims
                on guest_nodes.value = guest_claims.value and guest_nodes.owner_no = guest_claims.owner_no
            semi join touched_facts on guest_claims.value = touched_facts.value
            group by all
        ),
        shared as (
            select
                from_id,
                into_id,
                is_merge,
                value,
                max(first_seen_at) as since,
                list(distinct holder order by holder)[:{MAX_EVIDENCE}] as holders
            from holdings
            group by from_id, into_id, is_merge, value
            having count(distinct node_no) > 1
        ),
        splits as (select value, max(rule) as rule from identity.value_splits group by value)
        select
            shared.from_id,
            shared.into_id,
            case when shared.is_merge then shared.since end as since,
            {kind_name("values.kind_no")} as kind,
            coalesce(value_labels.token, {token_of("shared.value")}) as identity,
            shared.holders,
            case
                when shared.is_merge then {kind_name("values.kind_no")}
                else {kind_name("values.kind_no")} || ' '
                    || coalesce('blocked: ' || values.block_rule, replace(splits.rule, '_', ' '))
            end as ground
        from shared
        inner join identity.values on shared.value = values.value
        left join splits on shared.value = splits.value
        left join identity.value_labels on shared.value = value_labels.value
        where case
            when shared.is_merge then values.block_rule is null
            else values.block_rule is not null or splits.rule is not null
        end""")


def _gather_decisions(connection: duckdb.DuckDBPyConnection) -> None:
    """`decisions`: for each move the decided pairs that began or ceased to hold and thereby made it, if any did."""
    connection.execute(f"""
        create or replace temp table decisions as
        with node_keys as ({NODE_KEYS}),
        placed as (
            select
                changed_pairs.*,
                (changed_pairs.verb = '{JOIN}') = (changed_pairs.change = 'new') as is_joining,
                left_old.old_customer_id as left_old,
                right_old.old_customer_id as right_old,
                left_new.customer_id as left_new,
                right_new.customer_id as right_new
            from changed_pairs
            inner join node_keys as lefts
                on changed_pairs.left_channel = lefts.channel and changed_pairs.left_id = lefts.id
            inner join node_keys as rights
                on changed_pairs.right_channel = rights.channel and changed_pairs.right_id = rights.id
            inner join scope_assignment as left_new on lefts.node_no = left_new.node_no
            inner join scope_assignment as right_new on rights.node_no = right_new.node_no
            left join followed as left_old on lefts.node_no = left_old.node_no
            left join followed as right_old on rights.node_no = right_old.node_no
        ),
        explaining as (
            select moves.from_id, moves.into_id, placed.*
            from moves
            inner join placed
                on case
                    when placed.is_joining
                        then moves.from_id in (placed.left_old, placed.right_old)
                        and placed.left_new = moves.into_id and placed.right_new = moves.into_id
                    else placed.left_old = moves.from_id and placed.right_old = moves.from_id
                        and (placed.left_new = moves.into_id) <> (placed.right_new = moves.into_id)
                end
        ),
        told as (
            select
                explaining.from_id,
                explaining.into_id,
                rule_words."at",
                case
                    when explaining.cause <> '{LINKAGE}' then rule_words.cause
                    when explaining.change = 'new' then 'probable link'
                    else 'no probable link any more'
                end as cause,
                struct_pack(
                    kind := if(explaining.cause = '{LINKAGE}', '{LINKAGE}', 'rule'),
                    identity := if(explaining.cause = '{LINKAGE}', '', explaining.evidence),
                    holders := [
                        explaining.left_channel || '/' || explaining.left_id,
                        explaining.right_channel || '/' || explaining.right_id
                    ]
                ) as item
            from explaining
            left join rule_words
                on explaining.evidence = rule_words.rule and explaining.change = rule_words.change
        )
        select
            from_id,
            into_id,
            max("at") as "at",
            string_agg(distinct cause, ', ' order by cause) as cause,
            to_json(list(distinct item order by item)[:{MAX_EVIDENCE}])::varchar as evidence
        from told
        group by from_id, into_id""")
