"""What arrived since the last run, turned into working tables: memberships, claims, guest orders, staff, devices.

Belongs here: reading `raw.*` beyond the watermark and finding which values it touches. A full rebuild is the same code
with everything beyond the watermark. Does not belong here: who owns a value, or who is whom.

Working tables made here (all temporary): new_mentions, touched_members (node_no, channel, member_id), versions,
new_claims, changed_orders, old_order_customers, new_guest_claims, touched_values (value).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from pipelines.identity.config import KIND, KINDS, Kind
from pipelines.identity.tables import guest_order_customers

MENTIONS = {
    "members": ("least(updated_at, coalesce(registered_at, updated_at))", "updated_at"),
    "orders": ("placed_at", "placed_at"),
    "events": ("occurred_at", "occurred_at"),
    "points": ("occurred_at", "occurred_at"),
    "coupons": ("coalesce(issued_at, updated_at)", "coalesce(issued_at, updated_at)"),
    "reviews": ("created_at", "created_at"),
}
"""Feeds that name members: when the member was first and last seen, by one row. The order gives each feed its bit:
members 1, orders 2, events 4, ..."""

READ_FEEDS = (*MENTIONS, "staff")
FEMALE = ("f", "female", "woman", "w", "女", "女性", "女士", "2")
MALE = ("m", "male", "man", "男", "男性", "先生", "1")
MEMBER_COLUMNS = {kind.name: f"{kind.name}_token" for kind in KINDS}
GUEST_COLUMNS = {"phone": "guest_phone_token", "email": "guest_email_token", "wechat_openid": "guest_openid_token"}
SEPARATOR = "chr(31)"


@dataclass(frozen=True)
class Window:
    """Rows of each feed with since < _arrival <= upto are new."""

    since: dict[str, int]
    upto: dict[str, int]

    def new(self, feed: str) -> str:
        """SQL condition: the row of `raw.<feed>` is new."""
        return f"_arrival > {self.since[feed]} and _arrival <= {self.upto[feed]}"


def watermarks(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """By feed: the newest `_arrival` in raw and the number of rows."""
    selects = " union all ".join(
        f"select '{feed}', coalesce(max(_arrival), -1), count(*) from raw.{feed}" for feed in READ_FEEDS
    )
    return {feed: (arrival, rows) for feed, arrival, rows in connection.execute(selects).fetchall()}


def token_key(token: str) -> str:
    """SQL: a 128-bit token as the number it is; a text that is no such token is hashed to one."""
    return f"coalesce(try_cast({token} as uuid), case when {token} is not null then md5({token})::uuid end)"


def value_key(kind: Kind, token: str, channel: str = "channel") -> str:
    """SQL: a value's 128-bit key. A global token is its own key; a channel's own ids are keyed with the channel."""
    scope = "''" if kind.is_global else channel
    keyed = f"md5(concat_ws({SEPARATOR}, '{kind.name}', {scope}, {token}))::uuid"
    if not kind.is_global:
        return f"case when {token} is not null then {keyed} end"
    return f"coalesce(try_cast({token} as uuid), case when {token} is not null then {keyed} end)"


def note_memberships(connection: duckdb.DuckDBPyConnection, window: Window) -> None:
    """Add the memberships that new rows name, and note when known ones were seen again."""
    rows = " union all ".join(
        f"select channel, member_id, _arrival, {first} as first_seen_at, {last} as last_seen_at, {1 << bit} as feed "
        f"from raw.{feed} where {window.new(feed)} and nullif(member_id, '') is not null"
        for bit, (feed, (first, last)) in enumerate(MENTIONS.items())
    )
    connection.execute(f"""
        create or replace temp table new_mentions as
        select
            channel,
            member_id,
            min(_arrival) as first_arrival,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at,
            bit_or(feed)::integer as feeds
        from ({rows}) as mentioned
        group by channel, member_id""")
    connection.execute("""
        update identity.memberships
        set
            first_seen_at = least(memberships.first_seen_at, new_mentions.first_seen_at),
            last_seen_at = greatest(memberships.last_seen_at, new_mentions.last_seen_at),
            feeds = memberships.feeds | new_mentions.feeds
        from new_mentions
        where memberships.channel = new_mentions.channel and memberships.member_id = new_mentions.member_id""")
    connection.execute("""
        insert into identity.memberships
        with numbered as (
            select coalesce(max(node_no), -1) as last_no
            from (select node_no from identity.memberships union all select node_no from identity.guest_nodes)
        )
        select
            numbered.last_no + row_number() over () as node_no,
            new_mentions.*
        from new_mentions
        cross join numbered
        anti join identity.memberships
            on new_mentions.channel = memberships.channel and new_mentions.member_id = memberships.member_id""")
    connection.execute(f"""
        create or replace temp table touched_members as
        with delivered as (
            select channel, member_id, count(*) as n_versions
            from raw.members
            where {window.new("members")}
            group by channel, member_id
        )
        select
            memberships.node_no,
            memberships.channel,
            memberships.member_id,
            delivered.n_versions = 1 and known.node_no is null as has_one_version
        from identity.memberships
        inner join delivered
            on memberships.channel = delivered.channel and memberships.member_id = delivered.member_id
        left join identity.member_facts as known on memberships.node_no = known.node_no""")


def read_members(connection: duckdb.DuckDBPyConnection, upto: int) -> None:
    """Claims and facts of the touched members, from all versions of theirs.

    A claim holds from the first version that shows the value until the first later version that does not. A deleted
    version shows nothing and closes the member's claims: they keep the links they made and make no new ones.
    """
    values = ", ".join(
        f"{value_key(kind, MEMBER_COLUMNS[kind.name], 'shown.channel')} as {kind.name}" for kind in KINDS
    )
    columns = f"""
            touched_members.node_no,
            shown.updated_at,
            coalesce(shown.deleted, false) as is_deleted,
            {token_key("shown.name_token")} as name_key,
            {token_key("shown.birthday_token")} as birthday_key,
            case
                when lower(trim(shown.gender)) in {FEMALE} then 'female'
                when lower(trim(shown.gender)) in {MALE} then 'male'
            end as gender,
            {values}"""
    versions = f"""
        from raw.members as shown
        inner join touched_members
            on shown.channel = touched_members.channel and shown.member_id = touched_members.member_id
        where shown._arrival <= {upto}"""
    # Most members come once: they need neither a window nor a grouping.
    connection.execute(f"""
        create or replace temp table versions as
        select {columns}, null::timestamp as next_at, 1 as version_no, true as is_only
        {versions} and has_one_version
        union all
        select {columns}, lead(shown.updated_at) over newer_versions, row_number() over newer_versions, false
        {versions} and not has_one_version
        window newer_versions as (partition by touched_members.node_no order by shown.updated_at, shown._arrival)""")
    connection.execute("""
        create or replace temp table new_facts as
        select node_no, name_key, birthday_key, gender, null::timestamp as closed_at from versions where is_only
        union all
        select
            node_no,
            arg_max(name_key, version_no) as name_key,
            arg_max(birthday_key, version_no) as birthday_key,
            arg_max(gender, version_no) as gender,
            case when arg_max(is_deleted, version_no) then max(next_at) filter (where not is_deleted) end as closed_at
        from versions
        where not is_only
        group by node_no""")
    once, sightings = (
        " union all ".join(
            f"select node_no, {kind.number}::utinyint as kind_no, {kind.name} as value, updated_at, next_at "
            f"from versions where {kind.name} is not null and not is_deleted and {condition}"
            for kind in KINDS
        )
        for condition in ("is_only", "not is_only")
    )
    connection.execute(f"""
        create or replace temp table new_claims as
        with once as ({once}),
        sightings as ({sightings}),
        held as (
            select
                node_no,
                kind_no,
                value,
                min(updated_at) as first_seen_at,
                max(updated_at) as last_seen_at,
                case when count(*) = count(next_at) then max(next_at) end as held_until
            from sightings
            group by node_no, kind_no, value
        )
        select
            node_no, kind_no, value, updated_at as first_seen_at, updated_at as last_seen_at,
            null::timestamp as held_until, null::timestamp as closed_at
        from once
        union all
        select held.*, closings.closed_at
        from held
        left join (select node_no, closed_at from new_facts where closed_at is not null) as closings
            on held.node_no = closings.node_no""")
    connection.execute("""
        delete from identity.member_facts where node_no in (select node_no from touched_members)""")
    connection.execute("insert into identity.member_facts select * from new_facts")


def read_orders(connection: duckdb.DuckDBPyConnection, window: Window, *, everything: bool) -> None:
    """Newest versions of the orders that came; guest claims of those that changed what identity needs of them."""
    identifiers = {name: value_key(KIND[name], column, "newer.channel") for name, column in GUEST_COLUMNS.items()}
    guests = ", ".join(
        f"case when nullif(newer.member_id, '') is null then {expression} end as {name}"
        for name, expression in identifiers.items()
    )
    connection.execute(f"""
        create or replace temp table newest_orders as
        with arrived as (
            select
                newer.channel, newer.order_id, newer.updated_at, newer._arrival as arrival,
                newer._arrival as first_arrival, newer.placed_at, memberships.node_no as member_node, {guests}
            from raw.orders as newer
            left join identity.memberships
                on newer.channel = memberships.channel and newer.member_id = memberships.member_id
            where {window.new("orders")}
        ),
        known as (
            select orders.*
            from identity.orders
            semi join arrived on orders.channel = arrived.channel and orders.order_id = arrived.order_id
        )
        select * from arrived
        union all
        select * from known""")
    # Most orders come once. Equal hashes find the others without a key of text; the window then compares the keys.
    connection.execute("""
        create or replace temp table repeated_orders as
        with repeated_keys as (
            select hash(channel, order_id) as order_key
            from newest_orders
            group by order_key
            having count(*) > 1
        )
        select
            newest_orders.*,
            min(first_arrival) over (partition by channel, order_id) as earliest_arrival,
            row_number() over (partition by channel, order_id order by updated_at desc, arrival desc) as recency
        from newest_orders
        semi join repeated_keys on hash(newest_orders.channel, newest_orders.order_id) = repeated_keys.order_key""")
    connection.execute("""
        delete from newest_orders
        using repeated_orders
        where newest_orders.channel = repeated_orders.channel and newest_orders.order_id = repeated_orders.order_id""")
    connection.execute("""
        insert into newest_orders by name
        select * exclude (first_arrival, earliest_arrival, recency), earliest_arrival as first_arrival
        from repeated_orders
        where recency = 1""")
    if everything:
        connection.execute("create or replace temp view changed_orders as select * from newest_orders")
    else:
        connection.execute("""
            create or replace temp table changed_orders as
            select newest_orders.*
            from newest_orders
            anti join identity.orders
                on newest_orders.channel = orders.channel and newest_orders.order_id = orders.order_id
                and newest_orders.placed_at = orders.placed_at
                and newest_orders.member_node is not distinct from orders.member_node
                and newest_orders.phone is not distinct from orders.phone
                and newest_orders.email is not distinct from orders.email
                and newest_orders.wechat_openid is not distinct from orders.wechat_openid""")
    connection.execute(f"""
        create or replace temp table old_order_customers as
        {
        guest_order_customers(
            "semi join changed_orders on guest_claims.channel = changed_orders.channel "
            "and guest_claims.order_id = changed_orders.order_id"
        )
    }""")
    connection.execute("""
        delete from identity.orders
        using newest_orders
        where orders.channel = newest_orders.channel and orders.order_id = newest_orders.order_id""")
    connection.execute("insert into identity.orders by name select * from newest_orders")
    claims = " union all ".join(
        f"select channel, order_id, placed_at, first_arrival, "
        f"((phone is not null)::int + (email is not null)::int + (wechat_openid is not null)::int)::utinyint "
        f"as n_identifiers, {KIND[name].number}::utinyint as kind_no, {name} as value "
        f"from changed_orders where {name} is not null"
        for name in GUEST_COLUMNS
    )
    connection.execute(f"create or replace temp table new_guest_claims as {claims}")


def note_labels(connection: duckdb.DuckDBPyConnection, window: Window) -> None:
    """Remember channel and token of values whose key is not the token itself: open ids, and texts that are no token."""
    columns = {"members": {kind.name: MEMBER_COLUMNS[kind.name] for kind in KINDS}, "orders": GUEST_COLUMNS}
    labels = " union all ".join(
        f"select unnest([{', '.join(_label(KIND[name], column) for name, column in named.items())}]) as label "
        f"from raw.{feed} where {window.new(feed)} "
        f"and ({' or '.join(_needs_label(KIND[name], column) for name, column in named.items())})"
        for feed, named in columns.items()
    )
    connection.execute(f"""
        insert into identity.value_labels
        with labels as (select unnest(label) from ({labels}) where label is not null)
        select labels.value, any_value(labels.channel) as channel, any_value(labels.token) as token
        from labels
        anti join identity.value_labels as known on labels.value = known.value
        group by labels.value""")


def _needs_label(kind: Kind, token: str) -> str:
    present = f"{token} is not null"
    return f"({present} and try_cast({token} as uuid) is null)" if kind.is_global else f"({present})"


def _label(kind: Kind, token: str) -> str:
    channel = "null" if kind.is_global else "channel"
    label = f"struct_pack(value := {value_key(kind, token)}, channel := {channel}::varchar, token := {token})"
    return f"case when {_needs_label(kind, token)} then {label} end"


def note_hubs(connection: duckdb.DuckDBPyConnection, window: Window) -> None:
    """Phones of the staff feed and placeholder values. Whatever version showed them, they never link again."""
    phone = value_key(KIND["phone"], "phone_token")
    connection.execute(f"""
        create or replace temp table new_staff_phones as
        with shown as (
            select distinct {phone} as value
            from raw.staff
            where {window.new("staff")} and phone_token is not null
        )
        select shown.value from shown anti join identity.staff_phones as known on shown.value = known.value""")
    connection.execute("insert into identity.staff_phones select * from new_staff_phones")
    columns = {
        "members": {"phone": "phone", "email": "email"},
        "orders": {"phone": "guest_phone", "email": "guest_email"},
    }
    flagged = " union all ".join(
        "select unnest(["
        + ", ".join(
            f"case when {column}_issue = 'placeholder' then {value_key(KIND[kind], column + '_token')} end"
            for kind, column in named.items()
        )
        + f"]) as value from raw.{feed} where {window.new(feed)} and ("
        + " or ".join(f"{column}_issue = 'placeholder'" for column in named.values())
        + ")"
        for feed, named in columns.items()
    )
    connection.execute(f"""
        create or replace temp table new_placeholders as
        select distinct flagged.value from ({flagged}) as flagged
        anti join identity.placeholders as known on flagged.value = known.value
        where flagged.value is not null""")
    connection.execute("insert into identity.placeholders select * from new_placeholders")


def note_devices(connection: duckdb.DuckDBPyConnection, window: Window) -> None:
    """Devices seen beside a member. They are listed and never link."""
    sightings = f"""
        select channel, member_id, unnest(device_tokens) as token, updated_at as seen_at
        from raw.members where {window.new("members")}
        union all
        select channel, member_id, device_token, placed_at from raw.orders where {window.new("orders")}
        union all
        select channel, member_id, device_token, occurred_at from raw.events where {window.new("events")}
        union all
        select channel, member_id, anonymous_token, occurred_at from raw.events where {window.new("events")}"""
    connection.execute(f"""
        create or replace temp table new_devices as
        select memberships.node_no, sightings.token, min(seen_at) as first_seen_at, max(seen_at) as last_seen_at
        from ({sightings}) as sightings
        inner join identity.memberships
            on sightings.channel = memberships.channel and sightings.member_id = memberships.member_id
        where sightings.token is not null
        group by memberships.node_no, sightings.token""")
    connection.execute("""
        insert into new_devices
        select devices.* from identity.devices
        semi join new_devices on devices.node_no = new_devices.node_no and devices.token = new_devices.token""")
    connection.execute("""
        delete from identity.devices using new_devices
        where devices.node_no = new_devices.node_no and devices.token = new_devices.token""")
    connection.execute("""
        insert into identity.devices
        select node_no, token, min(first_seen_at), max(last_seen_at) from new_devices group by node_no, token""")


def find_touched_values(connection: duckdb.DuckDBPyConnection) -> None:
    """Values whose claims, or whose claimants' names, may have changed."""
    connection.execute("""
        create or replace temp table touched_values as
        select value from new_claims
        union
        select claims.value from identity.claims semi join touched_members on claims.node_no = touched_members.node_no
        union
        select value from new_guest_claims
        union
        select guest_claims.value
        from identity.guest_claims
        semi join changed_orders
            on guest_claims.channel = changed_orders.channel and guest_claims.order_id = changed_orders.order_id
        union
        select value from new_staff_phones
        union
        select value from new_placeholders
        union
        select value from changed_blocks""")
