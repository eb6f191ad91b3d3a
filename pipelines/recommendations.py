"""Recommendations for every customer: purchases out of the marts, through the model, back as a mart."""

from __future__ import annotations

from datetime import date

import duckdb
import pyarrow as pa

from models.recommend import SCHEMA, iter_recommendations

SHOWN = 10

CUSTOMERS = "select customer_id from marts.customers order by customer_id"

PURCHASES = """
    select
        customer_id,
        sku,
        min(business_date) filter (kind in ('sale', 'exchange')) as ordered_on,
        sum(quantity)::double as quantity
    from marts.order_events
    where customer_id is not null and sku is not null
    group by customer_id, sku, channel, order_id
    having sum(quantity) > 0
    order by customer_id, ordered_on, sku
"""

PRODUCTS = """
    select
        sku,
        name,
        coalesce(category_path, '') as category,
        is_sellable,
        spu
    from marts.products
    order by sku
"""


def write_recommendations(connection: duckdb.DuckDBPyConnection, as_of: date, language: str) -> int:
    """Replace `marts.recommendations` in one statement, streaming; returns its rows.

    language: of the reasons, zh or en.
    """
    batches = iter_recommendations(
        purchases=connection.execute(PURCHASES).fetch_arrow_table(),
        customers=connection.execute(CUSTOMERS).fetch_arrow_table().column("customer_id"),
        products=connection.execute(PRODUCTS).fetch_arrow_table(),
        as_of=as_of,
        k=SHOWN,
        language=language,
    )
    connection.register("scored", pa.RecordBatchReader.from_batches(SCHEMA, batches))
    ((rows,),) = connection.execute(
        """
        create or replace table marts.recommendations as
        select customer_id, rank, sku, score, reason, strategy, null::varchar as store_id, as_of, reason_sku
        from scored
        """
    ).fetchall()
    connection.unregister("scored")
    return rows
