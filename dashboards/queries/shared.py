"""SQL that every page needs: what the snapshot is about and what can be filtered.

Belongs here: the as-of day, currency and zone, and the filters' choices. Does not belong here: a page's own figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dashboards.data import MissingDataError, Reader
from dashboards.filters import NO_STORE, Brand, Choices

_RUN_SETTINGS = "SELECT as_of, reporting_currency, timezone FROM run_settings LIMIT 1"

_LAST_RUN_AS_OF = "SELECT as_of FROM runs WHERE as_of IS NOT NULL ORDER BY started_at DESC LIMIT 1"

_SALES_DAYS = "SELECT min(business_date) AS first_day, max(business_date) AS last_day FROM sales_daily"

_CHANNELS = """
WITH selling_channels AS (
    SELECT channel, sum(abs(net_amount)) AS volume FROM sales_daily GROUP BY channel
)
SELECT
    coalesce(channels.channel, selling_channels.channel) AS id,
    coalesce(channels.name, selling_channels.channel) AS name
FROM channels
FULL JOIN selling_channels ON selling_channels.channel = channels.channel
ORDER BY selling_channels.volume DESC NULLS LAST, id
"""

_CHANNELS_THAT_SELL = "SELECT DISTINCT channel AS id, channel AS name FROM sales_daily ORDER BY channel"

_STORES = """
WITH selling_stores AS (
    SELECT DISTINCT store_id FROM sales_daily WHERE store_id IS NOT NULL
),

named_stores AS (
    SELECT store_id, any_value(name ORDER BY name) AS name FROM stores GROUP BY store_id
)
SELECT selling_stores.store_id AS id, coalesce(named_stores.name, selling_stores.store_id) AS name
FROM selling_stores
LEFT JOIN named_stores ON named_stores.store_id = selling_stores.store_id
ORDER BY id
"""

_STORES_THAT_SELL = """
SELECT DISTINCT store_id AS id, store_id AS name FROM sales_daily WHERE store_id IS NOT NULL ORDER BY store_id
"""

_SEGMENTS = """
SELECT
    segment,
    CASE $language WHEN 'zh' THEN name_zh ELSE name_en END AS name,
    CASE $language WHEN 'zh' THEN definition_zh ELSE definition_en END AS definition
FROM segments
ORDER BY position
"""

_BRANDS = """
SELECT brand, 'store' AS kind, store_id AS id FROM stores WHERE brand IS NOT NULL
UNION
SELECT brand, 'channel' AS kind, channel AS id FROM channels WHERE brand IS NOT NULL
ORDER BY brand, kind, id
"""

_REGIONS = """
SELECT DISTINCT coalesce(province, city) AS region, store_id
FROM stores
WHERE coalesce(province, city) IS NOT NULL AND coalesce(kind, 'store') = 'store'
ORDER BY region, store_id
"""

_SALES_WITHOUT_STORE = "SELECT count(*) > 0 AS found FROM sales_daily WHERE store_id IS NULL"


@dataclass(frozen=True)
class Basis:
    """What the snapshot is about. `as_of` is the last business day included, None where there is none."""

    as_of: date | None
    currency: str = "CNY"
    timezone: str = "Asia/Shanghai"


def read_basis(reader: Reader) -> Basis:
    """As-of day, reporting currency and zone; a snapshot without `run_settings` is read from its runs and sales."""
    try:
        found = reader.rows(_RUN_SETTINGS)
        if found:
            return Basis(found[0]["as_of"], found[0]["reporting_currency"], found[0]["timezone"])
    except MissingDataError:
        pass
    for sql, column in ((_LAST_RUN_AS_OF, "as_of"), (_SALES_DAYS, "last_day")):
        try:
            found = reader.rows(sql)
        except MissingDataError:
            continue
        if found and found[0][column] is not None:
            return Basis(found[0][column])
    return Basis(None)


def read_choices(reader: Reader, as_of: date, without_store: str) -> Choices:
    """Channels by volume, stores by id, and the days of the snapshot; `without_store` names sales without a store."""
    first_day = as_of
    channels: list[dict[str, str]] = []
    stores: list[dict[str, str]] = []
    has_sales_without_store = False
    try:
        first_day = reader.rows(_SALES_DAYS)[0]["first_day"] or as_of
        has_sales_without_store = bool(reader.rows(_SALES_WITHOUT_STORE)[0]["found"])
        channels = _first_that_works(reader, _CHANNELS, _CHANNELS_THAT_SELL)
        stores = _first_that_works(reader, _STORES, _STORES_THAT_SELL)
    except MissingDataError:
        # A page without sales still opens; its sections say what is missing.
        pass
    named_stores = {row["id"]: _label(row) for row in stores}
    if has_sales_without_store:
        named_stores[NO_STORE] = without_store
    return Choices(
        {row["id"]: _label(row) for row in channels},
        named_stores,
        min(first_day, as_of),
        as_of,
        _brands(reader),
        _regions(reader),
    )


def _brands(reader: Reader) -> dict[str, Brand]:
    try:
        found = reader.rows(_BRANDS)
    except MissingDataError:
        return {}
    members: dict[str, dict[str, list[str]]] = {}
    for row in found:
        members.setdefault(row["brand"], {"store": [], "channel": []})[row["kind"]].append(row["id"])
    return {brand: Brand(tuple(of["store"]), tuple(of["channel"])) for brand, of in members.items()}


def _regions(reader: Reader) -> dict[str, tuple[str, ...]]:
    try:
        found = reader.rows(_REGIONS)
    except MissingDataError:
        return {}
    regions: dict[str, list[str]] = {}
    for row in found:
        regions.setdefault(row["region"], []).append(row["store_id"])
    return {region: tuple(stores) for region, stores in regions.items()}


@dataclass(frozen=True)
class SegmentWords:
    """What a segment or lifecycle stage of segments.yml is called, and who belongs to it."""

    name: str
    definition: str


def read_segments(reader: Reader, language: str) -> dict[str, SegmentWords]:
    """Segments and lifecycle stages by id, in the order of segments.yml; empty for a snapshot without them."""
    try:
        found = reader.rows(_SEGMENTS, {"language": language})
    except MissingDataError:
        return {}
    return {row["segment"]: SegmentWords(row["name"] or row["segment"], row["definition"] or "") for row in found}


def _first_that_works(reader: Reader, sql: str, fallback: str) -> list[dict[str, str]]:
    try:
        return reader.rows(sql)
    except MissingDataError:
        return reader.rows(fallback)


def _label(row: dict[str, str]) -> str:
    return row["name"] or row["id"]
