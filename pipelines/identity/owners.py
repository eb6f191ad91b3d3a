"""Who a value speaks for: nobody (blocked), one person, or several, one after another or side by side.

The rules, in order:
1. A hub is blocked (hubs).
2. Handed on: claims that overlap in time are one tenancy; a member who is first seen with the value after all earlier
   holders had stopped showing it begins the next tenancy.
3. Within a tenancy two members contradict each other if their names differ and their birthdays or genders do (a
   household; a name that only one of them gave differs too, unless their birthdays agree), or if one name was last
   seen more than a year before the other (a recycled number). Members are taken in the order in which they were first
   seen with the value: one that contradicts every owner so far is the next owner. The others go to an owner whom they
   do not contradict: of the same name first, then nearest in time, then earliest.
4. A guest order goes to the owner nearest in time, the earliest of several; after all owners were deleted it is a
   guest's own. Where a value has several owners it decides only for orders that no other identifier decides, and does
   not link the order's other identifiers: a guess must not merge.

Working tables made here: touched_claims, touched_guest_claims, touched_facts (one row a value with its block),
contested_owners (value, node_no, owner_no), owner_windows (value, owner_no, ...), placed_guest_claims.
"""

from __future__ import annotations

import duckdb

from pipelines.identity.config import KIND, IdentityRules

DAY_MICROSECONDS = 86_400_000_000


def gather_touched(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """All claims, old and new, of members and guests on the touched values."""
    if everything:
        connection.execute("create or replace temp view touched_claims as select * from new_claims")
        connection.execute("create or replace temp view touched_guest_claims as select * from new_guest_claims")
        return
    connection.execute("""
        create or replace temp table touched_claims as
        select node_no, kind_no, value, first_seen_at, last_seen_at, held_until, closed_at from new_claims
        union all
        select node_no, kind_no, value, first_seen_at, last_seen_at, held_until, closed_at
        from identity.claims
        semi join touched_values on claims.value = touched_values.value
        anti join touched_members on claims.node_no = touched_members.node_no""")
    connection.execute("""
        create or replace temp table touched_guest_claims as
        select channel, order_id, placed_at, first_arrival, n_identifiers, kind_no, value from new_guest_claims
        union all
        select channel, order_id, placed_at, first_arrival, n_identifiers, kind_no, value
        from identity.guest_claims
        semi join touched_values on guest_claims.value = touched_values.value
        anti join changed_orders
            on guest_claims.channel = changed_orders.channel and guest_claims.order_id = changed_orders.order_id""")


def divide_between_owners(connection: duckdb.DuckDBPyConnection, rules: IdentityRules) -> None:
    """`contested_owners` and `owner_windows` of the touched, unblocked values that may have more than one owner."""
    connection.execute(f"""
        create or replace temp table contested as
        with named as (
            select value
            from carried
            where
                of_kind in {_kind_numbers(rules.household_kinds + rules.recycled_kinds)}
                and (n_names > 1 or (n_names = 1 and (n_birthdays > 1 or n_genders > 1)))
        )
        select touched_facts.value
        from touched_facts
        left join named on touched_facts.value = named.value
        where block_rule is null
            and (has_closed or (n_members > 1 and (has_ended or named.value is not null)))""")
    connection.execute("""
        create or replace temp table tenants as
        with held as (
            select
                claims.*,
                memberships.first_arrival,
                facts.name_key,
                facts.birthday_key,
                facts.gender,
                row_number() over in_order as seniority,
                max(coalesce(claims.held_until, 'infinity'::timestamp)) over (
                    partition by claims.value order by claims.first_seen_at, memberships.first_arrival
                    rows between unbounded preceding and 1 preceding
                ) as held_before_until
            from touched_claims as claims
            semi join contested on claims.value = contested.value
            inner join identity.memberships as memberships on claims.node_no = memberships.node_no
            inner join identity.member_facts as facts on claims.node_no = facts.node_no
            window in_order as (partition by claims.value order by claims.first_seen_at, memberships.first_arrival)
        ),
        numbered as (
            select
                *,
                sum((coalesce(first_seen_at >= held_before_until, false))::int) over (
                    partition by value order by seniority
                ) as tenancy_no
            from held
        )
        select
            *,
            epoch_us(min(first_seen_at) over same_name) as name_from,
            epoch_us(max(last_seen_at) over same_name) as name_to
        from numbered
        window same_name as (partition by value, tenancy_no, name_key, case when name_key is null then node_no end)""")
    _find_owners(connection, rules)
    connection.execute(f"""
        create or replace temp table contested_owners as
        with chosen as (
            select tenants.value, tenants.node_no, tenants.tenancy_no, owners.round
            from tenants
            inner join owners on tenants.value = owners.value and tenants.tenancy_no = owners.tenancy_no
            where not ({_contradict(rules)})
            qualify row_number() over (
                partition by tenants.value, tenants.node_no
                order by
                    tenants.node_no = owners.node_no desc,
                    coalesce(tenants.name_key = owners.name_key, false) desc,
                    greatest(tenants.name_from - owners.name_to, owners.name_from - tenants.name_to, 0),
                    owners.round
            ) = 1
        )
        select
            value,
            node_no,
            (dense_rank() over (partition by value order by tenancy_no, round) - 1)::integer as owner_no
        from chosen""")
    _measure_owners(connection, rules)


def _find_owners(connection: duckdb.DuckDBPyConnection, rules: IdentityRules) -> None:
    """`owners`: in each round the most senior named member who contradicts all owners found before."""
    connection.execute("create or replace temp table candidates as select * from tenants")
    connection.execute("""
        create or replace temp table owners as
        select *, 0 as round, null::varchar as rule from tenants where false""")
    for round_no in range(max(rules.limits.values()) + 1):
        connection.execute(f"""
            create or replace temp table round_owners as
            select *, {round_no} as round from candidates
            qualify row_number() over (
                partition by value, tenancy_no order by name_key is null, seniority
            ) = 1""")
        connection.execute(f"""
            insert into owners
            select
                tenants.*,
                case when bool_or({_personal_contradiction(rules)}) then 'household'
                     when count(owners.node_no) > 0 then 'recycled' end as rule
            from round_owners as tenants
            left join owners on tenants.value = owners.value and tenants.tenancy_no = owners.tenancy_no
            group by all""")
        connection.execute(f"""
            create or replace temp table candidates as
            select tenants.*
            from candidates as tenants
            inner join round_owners as owners
                on tenants.value = owners.value and tenants.tenancy_no = owners.tenancy_no
            where {_contradict(rules)}""")
        left = connection.execute("select count(*) from candidates").fetchone()
        if left is None or left[0] == 0:
            return


def _measure_owners(connection: duckdb.DuckDBPyConnection, rules: IdentityRules) -> None:
    """`owner_windows`: when each owner held the value. One whose number was recycled held it until last seen."""
    horizon = rules.recycled_after_days * DAY_MICROSECONDS
    connection.execute(f"""
        create or replace temp table owner_windows as
        with held as (
            select
                tenants.value,
                any_value(tenants.kind_no) as kind_no,
                contested_owners.owner_no,
                any_value(tenants.tenancy_no) as tenancy_no,
                arg_min(tenants.node_no, tenants.seniority) as holder_node,
                min(tenants.first_seen_at) as from_at,
                max(tenants.last_seen_at) as last_seen_at,
                max(coalesce(tenants.held_until, 'infinity'::timestamp)) as held_until,
                case when bool_and(tenants.closed_at is not null) then max(tenants.closed_at) end as closed_at
            from tenants
            inner join contested_owners
                on tenants.value = contested_owners.value and tenants.node_no = contested_owners.node_no
            group by tenants.value, contested_owners.owner_no
        ),
        followed as (
            select
                held.*,
                max(from_at) over (partition by value, tenancy_no) as last_owner_from,
                count(*) over (partition by value) as n_owners,
                max(tenancy_no) over (partition by value) > 0 as is_handed_on
            from held
        ),
        ruled as (
            select value, min(rule) as rule from owners where rule is not null group by value
        )
        select
            followed.value,
            followed.owner_no,
            followed.n_owners,
            followed.holder_node,
            followed.from_at,
            case
                when n_owners > 1 and kind_no in {_kind_numbers(rules.recycled_kinds)}
                    and epoch_us(last_owner_from) - epoch_us(last_seen_at) > {horizon}
                    then last_seen_at
                else held_until
            end as to_at,
            followed.closed_at,
            case when n_owners > 1 then coalesce(ruled.rule, if(is_handed_on, 'handed_on', null)) end as rule
        from followed
        left join ruled on followed.value = ruled.value""")


def place_guests(connection: duckdb.DuckDBPyConnection) -> None:
    """`placed_guest_claims`: touched guest claims with their owner (-1: nobody but the guest; null: blocked)."""
    connection.execute("""
        create or replace temp table placed_guest_claims as
        with nearest as (
            select guests.channel, guests.order_id, guests.value, owner_windows.owner_no
            from touched_guest_claims as guests
            inner join owner_windows on guests.value = owner_windows.value
            where owner_windows.closed_at is null or guests.placed_at < owner_windows.closed_at
            qualify row_number() over (
                partition by guests.channel, guests.order_id, guests.value
                order by
                    case
                        when guests.placed_at < from_at then epoch_us(from_at) - epoch_us(guests.placed_at)
                        when guests.placed_at > to_at then epoch_us(guests.placed_at) - epoch_us(to_at)
                        else 0
                    end,
                    owner_windows.owner_no
            ) = 1
        ),
        divided as (select distinct value, n_owners from owner_windows)
        select
            guests.*,
            case
                when touched_facts.block_rule is not null then null
                when divided.value is not null then coalesce(nearest.owner_no, -1)
                when touched_facts.n_members > 0 then 0
                else -1
            end as owner_no,
            touched_facts.block_rule is null and coalesce(divided.n_owners, 1) = 1 as is_linking
        from touched_guest_claims as guests
        inner join touched_facts on guests.value = touched_facts.value
        left join divided on guests.value = divided.value
        left join nearest
            on guests.channel = nearest.channel and guests.order_id = nearest.order_id
            and guests.value = nearest.value""")


def _kind_numbers(names: tuple[str, ...]) -> str:
    # -1 keeps the list valid SQL where no kind is named.
    return f"({', '.join(['-1', *(str(KIND[name].number) for name in names)])})"


def _personal_contradiction(rules: IdentityRules) -> str:
    """SQL: names and birthdays or genders of `tenants` and `owners` contradict; never null."""
    return f"""coalesce(
        tenants.kind_no in {_kind_numbers(rules.household_kinds)}
        and tenants.name_key is distinct from owners.name_key
        and (
            coalesce(tenants.birthday_key <> owners.birthday_key, false)
            or coalesce(tenants.gender <> owners.gender, false)
            and (
                tenants.name_key <> owners.name_key
                or tenants.birthday_key is distinct from owners.birthday_key
                or tenants.birthday_key is null
            ) is true
        ), false)"""


def _contradict(rules: IdentityRules) -> str:
    """SQL: `tenants` and `owners` are two persons; never null."""
    horizon = rules.recycled_after_days * DAY_MICROSECONDS
    return f"""({_personal_contradiction(rules)} or coalesce(
        tenants.kind_no in {_kind_numbers(rules.recycled_kinds)}
        and tenants.name_key <> owners.name_key
        and greatest(tenants.name_from - owners.name_to, owners.name_from - tenants.name_to) > {horizon}, false))"""
