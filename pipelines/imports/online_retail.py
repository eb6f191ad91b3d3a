"""UCI Online Retail (2010-12 to 2011-12): a British web shop's invoices as feeds of one channel.

How each row of the source is read:

- An invoice is an order, a row of it with a price is a line, rows that stand twice stay two lines. Rows without a
  CustomerID are unidentified sales. Prices are taken as they stand, with VAT rate 0: the source says nothing of VAT.
- `POST`, `DOT`, `C2` are postage and carriage: the order's shipping_amount. `gift_0001_*` are gift vouchers
  (`gift_card/`, no sale). `AMAZONFEE`, `BANK CHARGES`, `CRUK`, `B` are fees and bad debt: no sale, not delivered.
- Rows at price 0: a gift line where the invoice also sells something, else a stock movement, not delivered.
- Invoices with C are money back. Goods are returned to a line that the same customer bought earlier: of the same
  product at the same price, oldest first, then of the same product at a higher price. `M` (manual), `D` (discount) and
  `S` (samples) that find no such line are credits by value on what the customer bought earlier, oldest first.
  No line gives back more units or money than it had.
- What finds nothing (bought before the data begins, or no customer) is delivered as a refund of an order that the data
  doesn't hold, so that it waits, visibly, and no sale is made up for it.
- Postage given back is a refund of the customer's last order before it, with nothing on goods.

Does not belong here: file handling shared by imports (landing), the queries themselves (online_retail_sql).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb

from pipelines.imports import online_retail_sql as sql
from pipelines.imports import return_matching
from pipelines.imports.landing import ImportReport, open_source, prepare_target, write_feed

TABLES = {
    "online_retail": (
        "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
    )
}  # fmt: skip

CHANNELS_YML = f"""\
# UCI Online Retail: one British web shop.
reporting_currency: GBP
timezone: Europe/London
promote_attributes: [country]
channels:
  - id: {sql.CHANNEL}
    name: Web shop
    kind: pc_web
    brand: shop
    online: true
    timezone: Europe/London
    business_day_cutoff: "00:00"
    currency: GBP
"""


def write_feeds(source: Path | None, out: Path, progress: Callable[[str], None] | None = None) -> ImportReport:
    """Write every feed of the data set to the landing folder `out`. Raises ConfigurationError as `import_dataset`."""
    connection = open_source("online-retail", source, TABLES)
    prepare_target(out, "online-retail", CHANNELS_YML)
    _treat(connection)
    report = ImportReport()
    for channel, feed, query in (
        ("_shared", "products", sql.PRODUCTS),
        (sql.CHANNEL, "members", sql.MEMBERS),
        (sql.CHANNEL, "refunds", sql.REFUNDS),
        (sql.CHANNEL, "orders", sql.ORDERS),
    ):
        write_feed(connection, out, channel, feed, query, report, progress)
    report.bridge = [(label, str(amount)) for label, amount in _bridge(connection)]
    connection.close()
    return report


def bridge(source: Path | None) -> list[tuple[str, Decimal]]:
    """From the source's Quantity × UnitPrice to METRICS' net sales (operating series), in pounds.

    Every line adds to the one before; the last is what sales less returns must come to.
    """
    connection = open_source("online-retail", source, TABLES)
    _treat(connection)
    return _bridge(connection)


def _treat(connection: duckdb.DuckDBPyConnection) -> None:
    for statement in (sql.CLASSIFIED, sql.SALE_LINES, return_matching.RETURN_ROWS, return_matching.NO_MATCHES):
        connection.execute(statement)
    for name, sales, returns in return_matching.MATCHING_PASSES:
        connection.execute(return_matching.match(name, sales, returns))


def _bridge(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, Decimal]]:
    parts = connection.execute(sql.BRIDGE).fetchone()
    source, shipping, fees, vouchers, waiting, rounding = (Decimal(int(part or 0)) / 10_000 for part in parts or ())
    return [
        ("Quantity × UnitPrice", source),
        ("- postage and carriage, billed less given back", -shipping),
        ("- fees and bad debt", -fees),
        ("- gift vouchers", -vouchers),
        ("+ returns of sales that are not in the data (they wait)", waiting),
        ("+ rounding of line amounts to the penny", rounding),
        ("= net sales", source - shipping - fees - vouchers + waiting + rounding),
    ]
