"""The nightly recommendations: purchases out of the marts, through the model, back as a mart.

Belongs here: what the model is given of the marts, and which store has what is recommended. Does not belong here: when
an order is learned (versions), how items are scored (models.recommend).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from models.recommend import SCHEMA, RecommendSettings, iter_recommendations
from models.recommend.context import Profiles
from pipelines.nearby import Store, stores_near
from pipelines.recommendations.rules import Rules
from pipelines.recommendations.versions import Inputs, order_in_use

SHOWN = 10
LEARNED_FROM = 50_000
"""Customers whose purchases an order is learned from; drawn by a hash of their id, so the same ones every night."""

CUSTOMERS = "select customer_id from marts.customers order by customer_id"

PURCHASES = """
    select
        customer_id,
        sku,
        min(business_date) filter (kind in ('sale', 'exchange')) as ordered_on,
        sum(quantity)::double as quantity,
        min(store_id) as store_id
    from marts.order_events
    where customer_id is not null and sku is not null {drawn}
    group by customer_id, sku, channel, order_id
    having sum(quantity) > 0
    order by customer_id, ordered_on, sku, store_id, quantity
"""

DRAWN = """
    and customer_id in (
        select customer_id from marts.customers where first_order_at is not null
        order by hash(customer_id), customer_id limit {most}
    )
"""

PRODUCTS = """
    select
        sku,
        name,
        coalesce(category_path, '') as category,
        is_sellable,
        spu,
        brand,
        stage,
        {is_durable} as is_durable
    from marts.products
    order by sku
"""

# The youngest child of a customer is the one that still grows through stages.
PROFILES = """
    with newest_members as (
        select
            channel,
            member_id,
            arg_max(attributes ->> '$.child_birth_month', (updated_at, _arrival)) as child_birth_month
        from raw.members
        where not coalesce(deleted, false)
        group by channel, member_id
    ),
    children as (
        select identities.customer_id, max(newest_members.child_birth_month) as child_birth_month
        from newest_members
        inner join marts.customer_identities as identities
            on
                identities.kind = 'member'
                and newest_members.channel = identities.channel
                and newest_members.member_id = identities.identity
        group by identities.customer_id
    )
    select
        customers.customer_id,
        coalesce(customers.preferred_store_id, customers.home_store_id) as store_id,
        children.child_birth_month
    from marts.customers as customers
    left join children on customers.customer_id = children.customer_id
    order by customers.customer_id
"""

STOCK = "select distinct store_id, sku from marts.stock where available > 0 order by store_id, sku"

NEAREST = """
    create or replace temp table nearest_stock as
    select near.store_id, stock.sku, arg_min(near.near_store_id, near.place) as near_store_id
    from near
    inner join marts.stock as stock on near.near_store_id = stock.store_id
    where stock.available > 0
    group by near.store_id, stock.sku
"""

MART = """
    create or replace table marts.recommendations as
    select
        scored.customer_id,
        scored.rank,
        scored.sku,
        scored.score,
        scored.reason,
        scored.strategy,
        nearest_stock.near_store_id as store_id,
        scored.as_of,
        scored.reason_sku,
        $version::varchar as model_version
    from scored
    inner join marts.customers as customers on scored.customer_id = customers.customer_id
    left join nearest_stock
        on
            coalesce(customers.preferred_store_id, customers.home_store_id) = nearest_stock.store_id
            and scored.sku = nearest_stock.sku
    order by scored.customer_id, scored.rank
"""


@dataclass(frozen=True)
class RecommendationsReport:
    """rows: of the mart. version: of the order in use, None where there is none. words: what became of learning."""

    rows: int
    version: str | None
    words: str


def write_recommendations(
    connection: duckdb.DuckDBPyConnection,
    engine: sa.Engine,
    as_of: date,
    language: str,
    rules: Rules,
    settings: RecommendSettings | None = None,
    progress: Callable[[str], None] = lambda _words: None,
) -> RecommendationsReport:
    """Replace `marts.recommendations` in one statement, streaming; learn another order first where that is due.

    language: of the reasons, zh or en. store_id of the mart is the nearest store that has the item, seen from the one
    where the customer shops, null where none near has it or nobody knows where they shop.
    """
    settings = settings or RecommendSettings()
    products = connection.execute(PRODUCTS.format(is_durable=_durable(rules))).fetch_arrow_table()
    stock = connection.execute(STOCK).fetch_arrow_table()
    profiles = Profiles(connection.execute(PROFILES).fetch_arrow_table(), stock if stock.num_rows else None)
    if not profiles.stock:
        settings = replace(settings, nearby_weight=0.0)

    def inputs() -> Inputs:
        drawn = DRAWN.format(most=LEARNED_FROM)
        return Inputs(connection.execute(PURCHASES.format(drawn=drawn)).fetch_arrow_table(), products, profiles)

    in_use = order_in_use(engine, as_of, settings, rules.stages, SHOWN, inputs)
    progress(f"recommend: {in_use.words}")
    batches = iter_recommendations(
        purchases=connection.execute(PURCHASES.format(drawn="")).fetch_arrow_table(),
        customers=connection.execute(CUSTOMERS).fetch_arrow_table().column("customer_id"),
        products=products,
        as_of=as_of,
        k=SHOWN,
        settings=settings,
        language=language,
        profiles=profiles,
        stages=rules.stages,
        order=in_use.order,
    )
    _nearest_stock(connection)
    connection.register("scored", pa.RecordBatchReader.from_batches(SCHEMA, batches))
    ((rows,),) = connection.execute(MART, {"version": in_use.version}).fetchall()
    connection.unregister("scored")
    connection.execute("drop table nearest_stock")
    return RecommendationsReport(rows, in_use.version, in_use.words)


def _durable(rules: Rules) -> str:
    """SQL: whether a product's category is one of those bought once. The paths are from a checked file, quoted."""
    paths = [path.replace("'", "''") for path in rules.durable_categories]
    conditions = [f"(category_path = '{path}' or starts_with(category_path, '{path}/'))" for path in paths]
    return f"coalesce({' or '.join(conditions)}, false)" if conditions else "false"


def _nearest_stock(connection: duckdb.DuckDBPyConnection) -> None:
    """By store and sku, the nearest store that has it."""
    found = connection.execute("select store_id, kind, city, latitude, longitude from marts.stores").fetchall()
    stores = {row[0]: Store(row[0], row[1], row[2], _number(row[3]), _number(row[4])) for row in found}
    near = [
        (store_id, neighbour.store_id, place)
        for store_id in sorted(stores)
        for place, neighbour in enumerate(stores_near(stores, store_id))
    ]
    columns = list(zip(*near, strict=True)) or [(), (), ()]
    types = (("store_id", pa.string()), ("near_store_id", pa.string()), ("place", pa.int64()))
    table = pa.table({name: pa.array(values, kind) for (name, kind), values in zip(types, columns, strict=True)})
    connection.register("near", table)
    connection.execute(NEAREST)
    connection.unregister("near")


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
