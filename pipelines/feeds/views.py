"""The warehouse's `raw` schema: one view a feed over its Parquet files, times resolved to UTC.

Belongs here: the views, and the small tables of zones they join. Does not belong here: deduplication (staging does it).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from pipelines.channels import Channels
from pipelines.feeds.contract import FEEDS, SHARED, Feed
from pipelines.feeds.sql import quoted
from pipelines.feeds.zones import utc_macro
from pipelines.settings import Settings


def create_raw_views(connection: duckdb.DuckDBPyConnection, settings: Settings, channels: Channels) -> None:
    """Make `raw.<feed>` for every feed: exactly `raw_columns()`, every version of every row; empty where nothing came.

    Rows of erased members are left out.
    A time without an offset is read in the zone of the store that the row names (a refund: of its order's store), else
    of the channel, else (`_shared`) of channels.yml. The zones of stores are those of their newest version: of the same
    channel, else of `_shared`, else what all other channels agree on.
    """
    for schema in ("raw", "zones"):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    sources = {name: _Source.of(connection, settings, feed) for name, feed in FEEDS.items()}
    _create_channel_zones(connection, channels)
    connection.execute(utc_macro("raw.to_utc", _zones_in_use(connection, channels, sources["stores"])))
    sources["stores"].create_view(connection, "feed_rows.timezone", "")
    _create_store_zones(connection)
    for name, source in sources.items():
        if name not in ("stores", "refunds"):
            source.create_view(connection, *_zone_of(source.feed))
    _create_order_zones(connection, sources["refunds"])
    sources["refunds"].create_view(connection, "order_zones.timezone", _ORDER_JOIN)


_STORE_JOIN = """
LEFT JOIN zones.stores AS own_stores
    ON feed_rows.channel = own_stores.channel AND feed_rows.store_id = own_stores.store_id
LEFT JOIN zones.stores AS other_stores
    ON other_stores.channel = '*' AND feed_rows.store_id = other_stores.store_id
"""
_ORDER_JOIN = """
LEFT JOIN zones.orders AS order_zones
    ON feed_rows.channel = order_zones.channel AND feed_rows.order_id = order_zones.order_id
"""


def _zone_of(feed: Feed) -> tuple[str, str]:
    """The zone a row names (SQL, null if none) and the joins that find it."""
    if any(column.name == "store_id" for column in feed.columns):
        return "coalesce(own_stores.timezone, other_stores.timezone)", _STORE_JOIN
    return "CAST(NULL AS VARCHAR)", ""


@dataclass(frozen=True)
class _Source:
    """A feed's Parquet files. present: their columns; has_local_times: whether any row waits for its zone."""

    feed: Feed
    glob: str
    present: frozenset[str]
    has_local_times: bool

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed) -> _Source:
        folder = settings.raw / feed.name
        glob = str(folder / "*.parquet").replace("'", "''")
        if not any(folder.glob("*.parquet")):
            return cls(feed, glob, frozenset(), False)
        relation = f"read_parquet('{glob}', union_by_name = TRUE)"
        present = frozenset(row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall())
        found = connection.execute(f"SELECT 1 FROM {relation} WHERE _local_times IS NOT NULL LIMIT 1").fetchone()
        return cls(feed, glob, present, found is not None)

    def rows(self) -> str:
        """The files as a subquery with exactly the columns of the contract as it is today."""
        columns = ", ".join(
            f"CAST({quoted(column) if column in self.present else 'NULL'} AS {kind}) AS {quoted(column)}"
            for column, kind in self.feed.raw_columns().items()
        )
        if not self.present:
            return f"(SELECT {columns} LIMIT 0)"
        source = f"read_parquet('{self.glob}', union_by_name = TRUE)"
        # Of an erased member only the row's place is left, so that files and ledger still agree.
        erased = "WHERE member_id IS NOT NULL" if "member_id" in self.feed.key else ""
        return f"(SELECT {columns} FROM {source} {erased})"

    def create_view(self, connection: duckdb.DuckDBPyConnection, zone: str, joins: str) -> None:
        if not self.has_local_times:
            connection.execute(f"CREATE OR REPLACE VIEW raw.{self.feed.name} AS SELECT * FROM {self.rows()}")
            return
        top_level = f"(SELECT timezone FROM zones.channels WHERE channel = '{SHARED}')"
        zone = f"coalesce({zone}, channel_zones.timezone, {top_level})"
        resolved = ", ".join(
            f"CASE WHEN list_contains(_local_times, '{name}') THEN raw.to_utc({name}, zone) ELSE {name} END AS {name}"
            for name in self.feed.timestamps
        )
        connection.execute(f"""
            CREATE OR REPLACE VIEW raw.{self.feed.name} AS
            SELECT * EXCLUDE (zone) REPLACE ({resolved})
            FROM (
                SELECT feed_rows.*, {zone} AS zone
                FROM {self.rows()} AS feed_rows
                LEFT JOIN zones.channels AS channel_zones ON feed_rows.channel = channel_zones.channel
                {joins}
            )
        """)


def _create_channel_zones(connection: duckdb.DuckDBPyConnection, channels: Channels) -> None:
    connection.execute("CREATE OR REPLACE TABLE zones.channels (channel VARCHAR, timezone VARCHAR)")
    rows = [(channel.id, channel.timezone) for channel in channels.channels.values()]
    connection.executemany("INSERT INTO zones.channels VALUES (?, ?)", [*rows, (SHARED, channels.timezone)])


def _zones_in_use(connection: duckdb.DuckDBPyConnection, channels: Channels, stores: _Source) -> set[str]:
    query = f"SELECT DISTINCT timezone FROM {stores.rows()} WHERE timezone IS NOT NULL"
    of_stores = {zone for (zone,) in connection.execute(query).fetchall()}
    return {channels.timezone, *(channel.timezone for channel in channels.channels.values())} | of_stores


def _create_store_zones(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"""
        CREATE OR REPLACE TABLE zones.stores AS
        WITH newest AS (
            SELECT channel, store_id, timezone
            FROM raw.stores
            QUALIFY row_number() OVER (PARTITION BY channel, store_id ORDER BY updated_at DESC, _arrival DESC) = 1
        ),
        elsewhere AS (
            SELECT
                store_id,
                coalesce(
                    max(timezone) FILTER (channel = '{SHARED}'),
                    CASE WHEN count(DISTINCT timezone) = 1 THEN max(timezone) END
                ) AS timezone
            FROM newest
            GROUP BY store_id
        )
        SELECT channel, store_id, timezone FROM newest
        UNION ALL
        SELECT '*' AS channel, store_id, timezone FROM elsewhere
    """)


def _create_order_zones(connection: duckdb.DuckDBPyConnection, refunds: _Source) -> None:
    """Zones of the orders that refunds with local times belong to; no other order is looked at."""
    connection.execute(f"""
        CREATE OR REPLACE TABLE zones.orders AS
        WITH refunded AS (
            SELECT DISTINCT channel, order_id FROM {refunds.rows()} WHERE _local_times IS NOT NULL
        ),
        newest AS (
            SELECT orders.channel, orders.order_id, orders.store_id
            FROM raw.orders AS orders
            INNER JOIN refunded ON orders.channel = refunded.channel AND orders.order_id = refunded.order_id
            QUALIFY row_number() OVER (
                PARTITION BY orders.channel, orders.order_id ORDER BY orders.updated_at DESC, orders._arrival DESC
            ) = 1
        )
        SELECT
            feed_rows.channel,
            feed_rows.order_id,
            coalesce(own_stores.timezone, other_stores.timezone) AS timezone
        FROM newest AS feed_rows
        {_STORE_JOIN}
    """)
