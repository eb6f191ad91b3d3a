"""Hubs: values that many people share, so that they say nothing of who is whom. They are blocked, with a reason.

Belongs here: deciding which values link nobody, and why, from counts and from what a value carries. Does not belong
here: who of a few owners a value speaks for (owners).

In order: a value that a person blocked; a phone of the staff feed; a placeholder; a value on more members than its
kind's limit, or in guest orders beside more other values of one kind than that; and a hub that is learned.

Learned. A family and a clerk's phone differ in what every further member brings. With one prior, sum the bits of
evidence that a value is a hub (log2 of how much likelier a hub shows this than a person or a family does):
    -6     hubs are about one in sixty of the values that several people share
    +1.9   a further name (a hub: nearly always, .95; a family's phone: about one time in four)
    -3.9   a name once more (a hub: .05; a person's or a family's phone: .75)
    +1     a day on which guests order under it four times or more, which nobody does for long; at most +8
Members without a name stand for one by their birthday; those with neither say nothing. Above zero it is a hub: with
names alone from the fifth on, and not even ten if each comes twice, as a family's do.

The limit by count is not the last word: where every member gave one and the same name, no two birthdays, and no channel
has more than two of them, it is one person of many doors, and links.

Working tables made here: carried (value, of_kind, n_named, n_names, n_birthdays, n_genders, n_persons: of values with
more than one member who gave any of them), crowded, rhythms, touched_facts.
"""

from __future__ import annotations

import duckdb

from pipelines.identity.config import KINDS, IdentityRules

PRIOR_BITS = -6.0
NEW_NAME_BITS = 1.9
SAME_NAME_BITS = -3.9
BUSY_DAY_ORDERS = 4
BUSY_DAY_BITS = 1.0
MOST_BUSY_BITS = 8.0
MEMBERS_OF_ONE_PERSON_A_CHANNEL = 2


def gather_carried(connection: duckdb.DuckDBPyConnection) -> None:
    """`carried` and `rhythms`: what members of a touched value say of themselves, and its days of many guest orders."""
    connection.execute("""
        create or replace temp table carried as
        with described as (
            select node_no, name_key, birthday_key, gender from identity.member_facts
            where name_key is not null or birthday_key is not null or gender is not null
        )
        select
            touched_claims.value,
            min(touched_claims.kind_no) as of_kind,
            count(coalesce(name_key, birthday_key)) as n_named,
            count(distinct coalesce(name_key, birthday_key)) as n_persons,
            count(distinct name_key) as n_names,
            count(distinct birthday_key) as n_birthdays,
            count(distinct gender) as n_genders,
            count(name_key) as n_with_name
        from touched_claims
        inner join described on touched_claims.node_no = described.node_no
        group by touched_claims.value
        having count(*) > 1""")
    connection.execute(f"""
        create or replace temp table rhythms as
        with days as (
            select value, placed_at::date as on_day
            from touched_guest_claims
            group by value, on_day
            having count(*) >= {BUSY_DAY_ORDERS}
        )
        select value, count(*) as n_busy_days from days group by value""")


def block_hubs(connection: duckdb.DuckDBPyConnection, rules: IdentityRules) -> None:
    """`touched_facts`: counts and times of every touched value, with the rule and the reason of its block."""
    connection.execute("""
        create or replace temp table crowded as
        with pairs as (
            select guests.value, others.kind_no, count(distinct others.value) as n_others
            from touched_guest_claims as guests
            inner join (
                select channel, order_id, kind_no, value from touched_guest_claims where n_identifiers > 1
                union
                select channel, order_id, kind_no, value
                from identity.guest_claims
                anti join changed_orders using (channel, order_id)
                where n_identifiers > 1
            ) as others
                on guests.channel = others.channel and guests.order_id = others.order_id
                and guests.value <> others.value
            where guests.n_identifiers > 1
            group by guests.value, others.kind_no
        )
        select value, max(n_others) as n_others from pairs group by value""")
    limit = "case kind_no " + " ".join(f"when {k.number} then {rules.limits[k.name]}" for k in KINDS) + " end"
    name = "case kind_no " + " ".join(f"when {k.number} then '{k.name}'" for k in KINDS) + " end"
    bits = f"""(
        {PRIOR_BITS}
        + {NEW_NAME_BITS} * greatest(coalesce(carried.n_persons, 0) - 1, 0)
        + {SAME_NAME_BITS} * (coalesce(carried.n_named, 0) - coalesce(carried.n_persons, 0))
        + least({MOST_BUSY_BITS}, {BUSY_DAY_BITS} * coalesce(rhythms.n_busy_days, 0)))"""
    _find_many_doors(connection, limit)
    connection.execute(f"""
        create or replace temp table touched_facts as
        with sightings as (
            select
                value, kind_no, node_no, first_seen_at, last_seen_at, held_until is not null as has_ended,
                closed_at is not null as is_closed, true as is_member
            from touched_claims
            union all
            select value, kind_no, null, placed_at, placed_at, false, false, false from touched_guest_claims
        ),
        counted as (
            select
                value,
                min(kind_no) as kind_no,
                count(node_no) as n_members,
                count(*) - count(node_no) as n_orders,
                min(first_seen_at) as first_seen_at,
                max(last_seen_at) as last_seen_at,
                bool_or(has_ended) as has_ended,
                bool_or(is_closed) as has_closed,
                min(node_no) as any_node
            from sightings
            group by value
        )
        select
            counted.*,
            {limit} as member_limit,
            case
                when by_hand.value is not null then 'by_hand'
                when staff_phones.value is not null then 'staff'
                when placeholders.value is not null then 'placeholder'
                when n_members > {limit} and many_doors.value is null or crowded.n_others > {limit} then 'limit'
                when {bits} > 0 then 'learned'
            end as block_rule,
            case
                when by_hand.value is not null then by_hand.reason
                when staff_phones.value is not null then 'a phone of the staff feed'
                when placeholders.value is not null then 'a placeholder, nobody''s own'
                when n_members > {limit} and many_doors.value is null
                    then 'on ' || n_members || ' members, the limit for ' || {name} || ' is ' || {limit}
                when crowded.n_others > {limit}
                    then 'in guest orders beside ' || crowded.n_others || ' other identifiers, the limit for '
                        || {name} || ' is ' || {limit}
                when {bits} > 0
                    then concat_ws(
                        ' and ',
                        case when carried.n_persons > 1 then 'under ' || carried.n_persons || ' names' end,
                        case
                            when rhythms.n_busy_days > 0
                                then 'four or more guest orders a day on ' || rhythms.n_busy_days || ' days'
                        end
                    ) || ': more than a person or a family'
            end as reason
        from counted
        left join (select value, min(reason) as reason from identity.blocks_by_hand group by value) as by_hand
            on counted.value = by_hand.value
        left join identity.staff_phones as staff_phones on counted.value = staff_phones.value
        left join identity.placeholders as placeholders on counted.value = placeholders.value
        left join crowded on counted.value = crowded.value
        left join carried on counted.value = carried.value
        left join rhythms on counted.value = rhythms.value
        left join many_doors on counted.value = many_doors.value""")


def _find_many_doors(connection: duckdb.DuckDBPyConnection, limit: str) -> None:
    """`many_doors`: values above the limit whose members are all one person by what they say."""
    connection.execute(f"""
        create or replace temp table many_doors as
        with unanimous as (
            select value
            from (select *, of_kind as kind_no from carried)
            where n_names = 1 and n_birthdays <= 1 and n_with_name > {limit}
        ),
        doors as (
            select
                touched_claims.value,
                memberships.channel,
                count(*) as n_members,
                count(facts.name_key) as n_named
            from touched_claims
            semi join unanimous on touched_claims.value = unanimous.value
            inner join identity.memberships as memberships on touched_claims.node_no = memberships.node_no
            left join identity.member_facts as facts on touched_claims.node_no = facts.node_no
            group by touched_claims.value, memberships.channel
        )
        select value
        from doors
        group by value
        having max(n_members) <= {MEMBERS_OF_ONE_PERSON_A_CHANNEL} and sum(n_members) = sum(n_named)""")
