"""What was sold of each counted article at each place, day by day, for the forecast.

Belongs here: the SQL that finds units, spells without stock, prices and campaigns, and their dense matrices in batches.
Does not belong here: forecasting.

Demand falls on the place that hands the goods over: an order's fulfil_store_id, else its store_id, else the warehouse
where the retailer has exactly one. A day counts by the sale; a cancelled order wanted nothing; a return is no demand
taken back. From a count at or below what is reserved until the next count, or until something sells, nothing was in
stock: these days are unknown, not zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np

from models.demand import Calendar, Panel
from models.demand.panel import Floats

BATCH = 2_000

_PLACES = """
CREATE OR REPLACE TEMP TABLE demand_places AS
SELECT
    stores.store_id,
    coalesce(stores.timezone, run_settings.timezone) AS timezone,
    stores.city,
    stores.province,
    coalesce(stores.closed_on <= $as_of, false) AS is_closed
FROM marts.stores AS stores
CROSS JOIN marts.run_settings AS run_settings
"""

_SOLD = """
CREATE OR REPLACE TEMP TABLE demand_sold AS
WITH warehouse AS (
    SELECT CASE WHEN count(*) = 1 THEN any_value(store_id) END AS store_id
    FROM marts.stores
    WHERE kind = 'warehouse' AND coalesce(closed_on > $as_of, true)
)

SELECT
    coalesce(orders.fulfil_store_id, orders.store_id, warehouse.store_id) AS store_id,
    events.sku,
    events.sale_business_date AS day,
    sum(events.quantity)::DOUBLE AS units
FROM marts.order_events AS events
INNER JOIN marts.orders AS orders ON events.channel = orders.channel AND events.order_id = orders.order_id
CROSS JOIN warehouse
WHERE
    events.kind IN ('sale', 'exchange', 'cancel')
    AND events.sale_business_date > $first - 1
    AND events.sale_business_date <= $as_of
    AND events.sku IS NOT NULL
GROUP BY ALL
HAVING sum(events.quantity) > 0
"""

_COUNTS = """
CREATE OR REPLACE TEMP TABLE demand_counts AS
SELECT
    counts.store_id,
    counts.sku,
    timezone(coalesce(places.timezone, run_settings.timezone), timezone('UTC', counts.counted_at))::DATE AS day,
    max_by(counts.on_hand - coalesce(counts.reserved, 0), (counts.counted_at, counts._arrival)) AS left_over
FROM raw.inventory AS counts
CROSS JOIN marts.run_settings AS run_settings
LEFT JOIN demand_places AS places ON counts.store_id = places.store_id
WHERE day <= $as_of
GROUP BY ALL
"""

# Articles that sold within the history are forecast; md5 shuffles them, so that the first ones are a fair sample.
_SERIES = """
CREATE OR REPLACE TEMP TABLE demand_series AS
WITH sold AS (
    SELECT store_id, sku, min(day) AS first_sold FROM demand_sold GROUP BY store_id, sku
),

counted AS (
    SELECT store_id, sku, min(day) AS first_counted FROM demand_counts GROUP BY store_id, sku
)

SELECT
    row_number() OVER (ORDER BY md5(sold.store_id || chr(31) || sold.sku), sold.store_id, sold.sku)::BIGINT
    - 1 AS series,
    sold.store_id,
    sold.sku,
    (greatest(least(sold.first_sold, counted.first_counted), $first) - $first)::BIGINT AS starts
FROM sold
INNER JOIN counted ON sold.store_id = counted.store_id AND sold.sku = counted.sku
INNER JOIN marts.stock AS stock ON sold.store_id = stock.store_id AND sold.sku = stock.sku
"""

_UNITS = """
CREATE OR REPLACE TEMP TABLE demand_units AS
SELECT series.series, (sold.day - $first)::BIGINT AS place, sold.units
FROM demand_sold AS sold
INNER JOIN demand_series AS series ON sold.store_id = series.store_id AND sold.sku = series.sku
ORDER BY series.series
"""

_SPELLS = """
CREATE OR REPLACE TEMP TABLE demand_spells AS
WITH followed AS (
    SELECT
        store_id,
        sku,
        day,
        left_over,
        lead(day, 1, $as_of + 1) OVER (PARTITION BY store_id, sku ORDER BY day) AS next_day
    FROM demand_counts
)

SELECT
    series.series,
    greatest((followed.day - $first)::BIGINT, 0) AS begins,
    (least(followed.next_day, coalesce(sold.day, followed.next_day)) - $first)::BIGINT AS ends
FROM followed
INNER JOIN demand_series AS series ON followed.store_id = series.store_id AND followed.sku = series.sku
ASOF LEFT JOIN demand_sold AS sold
    ON followed.store_id = sold.store_id AND followed.sku = sold.sku AND followed.day <= sold.day
WHERE followed.left_over <= 0 AND followed.next_day > $first
ORDER BY series.series
"""

# Of the prices of one place that hold at a day's noon, the latest begun; changes alone are kept.
_PRICES = """
CREATE OR REPLACE TEMP TABLE demand_prices AS
WITH told AS (
    SELECT
        series.series,
        greatest((prices.valid_from::DATE - $first)::BIGINT, 0) AS place,
        prices.price::DOUBLE AS price,
        prices.valid_from,
        prices._arrival
    FROM raw.prices AS prices
    INNER JOIN demand_series AS series
        ON
            prices.sku = series.sku
            AND (prices.store_id = series.store_id OR prices.store_id IS NULL AND prices.channel = '_shared')
    WHERE
        prices.valid_from < ($as_of + $horizon + 1)::TIMESTAMP
        AND coalesce(prices.valid_to > prices.valid_from AND prices.valid_to > $first::TIMESTAMP, true)
        AND prices.price > 0
)

SELECT series, place, max_by(price, (valid_from, _arrival)) AS price
FROM told
GROUP BY series, place
ORDER BY series, place
"""

_CAMPAIGNS = """
WITH newest AS (
    SELECT starts_at, ends_at
    FROM raw.campaigns
    QUALIFY row_number() OVER (PARTITION BY channel, campaign_id ORDER BY updated_at DESC, _arrival DESC) = 1
)

SELECT greatest((starts_at::DATE - $first)::BIGINT, 0), (ends_at::DATE - $first)::BIGINT
FROM newest
WHERE starts_at IS NOT NULL AND ends_at > starts_at AND ends_at::DATE >= $first
"""


@dataclass(frozen=True)
class DemandHistory:
    """The tables `demand_*` of a connection. first: the day of column 0; days: columns."""

    connection: duckdb.DuckDBPyConnection
    first: date
    days: int
    horizon: int
    n_series: int
    promotion: Floats

    def batches(self) -> Iterator[tuple[int, Panel]]:
        """Every series, as (number of the first, panel of the following ones)."""
        for begin in range(0, self.n_series, BATCH):
            yield begin, self.panel(begin, min(begin + BATCH, self.n_series))

    def panel(self, begin: int, end: int) -> Panel:
        """Series begin to end (excluded)."""
        rows = end - begin
        units = np.zeros((rows, self.days))
        starts = self._columns("SELECT series, starts FROM demand_series", begin, end)
        units[np.arange(self.days)[None, :] < _spread(starts, begin, rows)[:, None]] = np.nan
        sold = self._columns("SELECT series, place, units FROM demand_units", begin, end)
        series, begins, ends = self._columns("SELECT series, begins, ends FROM demand_spells", begin, end)
        edges = np.zeros((rows, self.days + 1))
        np.add.at(edges, (series - begin, np.minimum(begins, self.days)), 1)
        np.add.at(edges, (series - begin, np.clip(ends, begins, self.days)), -1)
        units[np.cumsum(edges, axis=1)[:, :-1] > 0] = np.nan
        units[sold[0] - begin, sold[1]] = sold[2]
        price = np.full((rows, self.days + self.horizon), np.nan)
        told = self._columns("SELECT series, place, price FROM demand_prices", begin, end)
        inside = told[1] < price.shape[1]
        price[told[0][inside] - begin, told[1][inside]] = told[2][inside]
        promotion = np.tile(self.promotion, (rows, 1))
        return Panel(units, Calendar("day", self.first, 7), price, promotion)

    def _columns(self, sql: str, begin: int, end: int) -> list[np.ndarray]:
        found = self.connection.execute(f"{sql} WHERE series >= {begin} AND series < {end}").fetchnumpy()
        return [np.asarray(column) for column in found.values()]


def read_demand_history(
    connection: duckdb.DuckDBPyConnection, as_of: date, history_days: int, horizon: int
) -> DemandHistory:
    """Make the tables `demand_*`; the days end with as_of. Prices and campaigns that are already known for the horizon
    are inputs of the forecast."""
    first = as_of - timedelta(days=history_days - 1)
    given = {"as_of": as_of, "first": first, "horizon": horizon}
    for statement in (_PLACES, _SOLD, _COUNTS, _SERIES, _UNITS, _SPELLS, _PRICES):
        connection.execute(statement, {name: value for name, value in given.items() if f"${name}" in statement})
    ((n_series,),) = connection.execute("SELECT count(*) FROM demand_series").fetchall()
    promotion = np.zeros(history_days + horizon)
    for begin, end in connection.execute(_CAMPAIGNS, {"first": first}).fetchall():
        promotion[begin : max(end, begin + 1)] = 1.0
    return DemandHistory(connection, first, history_days, horizon, n_series, promotion)


def _spread(columns: list[np.ndarray], begin: int, rows: int) -> np.ndarray:
    found = np.zeros(rows, dtype=np.int64)
    found[columns[0] - begin] = columns[1]
    return found
