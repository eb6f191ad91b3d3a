"""The mart `stock_health` as SQL: cover, stock-outs, transfers that leave the giver its own need, orders.

Belongs here: the statements and the table's contract. Does not belong here: the forecast they read (nightly).
"""

from __future__ import annotations

import duckdb

CREATE = """
CREATE OR REPLACE TABLE marts.stock_health (
    store_id VARCHAR NOT NULL,
    sku VARCHAR NOT NULL,
    on_hand DECIMAL(18, 4) NOT NULL,
    reserved DECIMAL(18, 4) NOT NULL,
    available DECIMAL(18, 4) NOT NULL CHECK (available >= 0),
    counted_at TIMESTAMP NOT NULL,
    stockout BOOLEAN NOT NULL,
    daily_units DOUBLE NOT NULL CHECK (daily_units >= 0),
    in_stock_days BIGINT NOT NULL,
    cover_days DOUBLE,
    demand_next_14d DOUBLE NOT NULL,
    demand_next_14d_low DOUBLE NOT NULL CHECK (demand_next_14d_low <= demand_next_14d),
    demand_next_14d_high DOUBLE NOT NULL CHECK (demand_next_14d_high >= demand_next_14d),
    demand_kind VARCHAR,
    forecast_method VARCHAR,
    own_need BIGINT NOT NULL CHECK (own_need >= 0),
    surplus BIGINT NOT NULL CHECK (surplus >= 0),
    available_elsewhere DECIMAL(18, 4) NOT NULL,
    transfer_from_store_id VARCHAR CHECK (transfer_from_store_id <> store_id),
    transfer_quantity BIGINT NOT NULL CHECK (transfer_quantity >= 0),
    given_quantity BIGINT NOT NULL CHECK (given_quantity <= surplus),
    reorder_quantity BIGINT NOT NULL CHECK (reorder_quantity >= 0),
    as_of DATE NOT NULL,
    model_version VARCHAR,
    PRIMARY KEY (store_id, sku)
)
"""

# z x spread of the fortnight, scaled to the span that an order must last; high is the upper end of a 90 % interval.
NEEDS = """
CREATE OR REPLACE TEMP TABLE stock_needs AS
WITH measured AS (
    SELECT
        stock.store_id,
        stock.sku,
        stock.on_hand,
        stock.reserved,
        stock.available,
        stock.counted_at,
        places.city,
        places.province,
        places.timezone,
        coalesce(forecasts.daily_units, 0) AS daily_units,
        coalesce(forecasts.in_stock_days, 0) AS in_stock_days,
        coalesce(forecasts.demand, 0) AS demand,
        coalesce(forecasts.low, 0) AS low,
        coalesce(forecasts.high, 0) AS high,
        forecasts.kind,
        forecasts.method,
        coalesce(places.is_closed, false) OR NOT coalesce(products.is_sellable, true) AS is_ended,
        (rules.lead_time_days + rules.review_days) / 14.0 AS fortnights,
        rules.z
    FROM marts.stock AS stock
    LEFT JOIN demand_places AS places ON stock.store_id = places.store_id
    LEFT JOIN marts.products AS products ON stock.sku = products.sku
    LEFT JOIN demand_forecasts AS forecasts ON stock.store_id = forecasts.store_id AND stock.sku = forecasts.sku
    INNER JOIN stock_rules AS rules ON rules.category = CASE
        WHEN products.category IN (SELECT category FROM stock_rules) THEN products.category ELSE '' END
),

needed AS (
    SELECT
        *,
        CASE
            WHEN is_ended OR demand = 0 THEN 0
            ELSE ceil(least(
                demand * fortnights + z * (high - demand) / 1.6448536 * sqrt(fortnights) - 1e-9, 1e15
            ))::BIGINT
        END AS own_need
    FROM measured
)

SELECT
    *,
    greatest(own_need - floor(available), 0)::BIGINT AS shortage,
    greatest(floor(available) - own_need, 0)::BIGINT AS surplus,
    0::BIGINT AS received,
    0::BIGINT AS given,
    NULL::VARCHAR AS received_from
FROM needed
"""

# Shortages and surpluses of an article within one place of the map, laid out along one line of units: where they
# overlap, goods move. No unit lies in two overlaps, so nobody gives more than its surplus. One giver a receiver: the
# one it overlaps most with.
MATCH = """
CREATE OR REPLACE TEMP TABLE stock_moves AS
WITH short AS (
    SELECT
        sku,
        store_id,
        {area} AS area,
        shortage AS units,
        sum(shortage) OVER (
            PARTITION BY sku, {area}
            ORDER BY available <= 0 DESC, available / greatest(daily_units, 1e-9), shortage DESC, store_id
            ROWS UNBOUNDED PRECEDING
        ) AS ends
    FROM stock_needs
    WHERE shortage > 0 AND received = 0 AND {area} IS NOT NULL
),

giving AS (
    SELECT
        sku,
        store_id,
        {area} AS area,
        surplus - given AS units,
        sum(surplus - given) OVER (
            PARTITION BY sku, {area} ORDER BY surplus - given DESC, store_id ROWS UNBOUNDED PRECEDING
        ) AS ends
    FROM stock_needs
    WHERE surplus > given AND {area} IS NOT NULL
)

SELECT
    short.sku,
    short.store_id,
    giving.store_id AS giver,
    (least(short.ends, giving.ends) - greatest(short.ends - short.units, giving.ends - giving.units))::BIGINT AS moved
FROM short
INNER JOIN giving
    ON
        short.sku = giving.sku
        AND short.area = giving.area
        AND short.ends - short.units < giving.ends
        AND giving.ends - giving.units < short.ends
QUALIFY row_number() OVER (PARTITION BY short.sku, short.store_id ORDER BY moved DESC, giving.store_id) = 1
"""

RECEIVE = """
UPDATE stock_needs SET received = moves.moved, received_from = moves.giver
FROM stock_moves AS moves
WHERE stock_needs.sku = moves.sku AND stock_needs.store_id = moves.store_id
"""

GIVE = """
UPDATE stock_needs SET given = given + moves.moved
FROM (SELECT sku, giver, sum(moved)::BIGINT AS moved FROM stock_moves GROUP BY sku, giver) AS moves
WHERE stock_needs.sku = moves.sku AND stock_needs.store_id = moves.giver
"""

FILL = """
INSERT INTO marts.stock_health
SELECT
    store_id,
    sku,
    on_hand,
    reserved,
    available,
    counted_at,
    on_hand - reserved <= 0 AS stockout,
    daily_units,
    in_stock_days,
    CASE WHEN daily_units > 0 THEN available::DOUBLE / daily_units END AS cover_days,
    demand,
    low,
    high,
    kind,
    method,
    own_need,
    surplus,
    sum(available) OVER (PARTITION BY sku, {area}) - available AS available_elsewhere,
    received_from,
    received,
    given,
    shortage - received AS reorder_quantity,
    $as_of,
    $version
FROM stock_needs
ORDER BY store_id, sku
"""

AREAS = {
    "city": "(timezone || '/' || province || '/' || city)",
    "province": "(timezone || '/' || province)",
    "timezone": "timezone",
    "anywhere": "'everywhere'",
}
"""How near places are, nearest first, as SQL over stock_needs: null for a place that doesn't say."""


def fill_stock_health(
    connection: duckdb.DuckDBPyConnection, parameters: dict[str, object], transfer_within: str
) -> int:
    """Replace `marts.stock_health` from `demand_forecasts`, `demand_places` and `stock_rules`; returns its rows.

    parameters: as_of, version. The table's checks are its contract: a transfer beyond the giver's surplus is refused.
    """
    connection.execute(NEEDS)
    names = list(AREAS)
    for name in names[: names.index(transfer_within) + 1]:
        for statement in (MATCH.format(area=AREAS[name]), RECEIVE, GIVE):
            connection.execute(statement)
    connection.execute("BEGIN")
    try:
        connection.execute(CREATE)
        ((rows,),) = connection.execute(FILL.format(area=AREAS[transfer_within]), parameters).fetchall()
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return int(rows)
