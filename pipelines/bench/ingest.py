"""Ingest: our load with validation, tokens and quarantine against DuckDB's bare typed read of the same file.

Belongs here: nested orders as JSONL, vectorised, and the two ways to bring them to Parquet.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from functools import partial
from pathlib import Path

import duckdb

from pipelines.bench.rounds import BASELINE, CANDIDATE
from pipelines.bench.timing import Case, Measured, read_resources
from pipelines.feeds.contract import FEEDS
from pipelines.warehouse import connect

ONE_BROKEN_LINE_IN = 1_000
CHANNELS = """
reporting_currency: CNY
timezone: Asia/Shanghai
channels:
  - {id: mall, name: Mall, kind: pc_web}
"""

ORDERS = """
    with drawn as (
        select
            order_no,
            hash(order_no, 1) % 1000 as dice,
            (1 + hash(order_no, 2) % 3)::bigint as n_lines,
            timestamp '2026-01-01' + to_seconds((hash(order_no, 3) % 15552000)::bigint) as placed_at
        from range($orders) as numbers (order_no)
    )
    select
        'o' || lpad(order_no::varchar, 10, '0') as order_id,
        strftime(placed_at + interval 2 hour, '%Y-%m-%dT%H:%M:%SZ') as updated_at,
        strftime(placed_at, '%Y-%m-%dT%H:%M:%SZ') as placed_at,
        strftime(placed_at + interval 5 minute, '%Y-%m-%dT%H:%M:%SZ') as paid_at,
        'completed' as status,
        case when dice >= $guest_share then 'm' || hash(order_no, 4) % ($orders // 4 + 1) end as member_id,
        case when dice < $guest_share then '139' || lpad((hash(order_no, 5) % ($orders // 4 + 1))::varchar, 8, '0') end
            as guest_phone,
        'delivery' as fulfilment,
        'CNY' as currency,
        (n_lines * 3990 / 100.0)::decimal(18, 2)::varchar as paid_amount,
        list_transform(
            range(n_lines),
            lambda line: {
                'line_id': line::varchar,
                'sku': 'sku' || lpad((hash(order_no, 6 + line) % 5000)::varchar, 5, '0'),
                'quantity': 1 + hash(order_no, 16 + line) % 3,
                'unit_price': '39.90'
            }
        ) as lines
    from drawn
    order by order_no
"""


def prepare(place: Path, orders: int, guest_share: int) -> None:
    """Write `place/landing/mall/orders/orders.jsonl`.

    guest_share: orders in a thousand that carry a phone instead of a member. One line in a thousand is broken JSON, so
    that quarantine is at work; the bare read skips those.
    """
    folder = place / "landing" / "mall" / "orders"
    folder.mkdir(parents=True)
    (place / "channels.yml").write_text(CHANNELS)
    with connect(read_resources(place).settings(place / "tmp")) as connection:
        query = ORDERS.replace("$orders", str(orders)).replace("$guest_share", str(guest_share))
        connection.execute(f"""
            copy (
                select case when row_number() over () % {ONE_BROKEN_LINE_IN} = 0 then line[:40] else line end as line
                from (select to_json(order_row)::varchar as line from ({query}) as order_row)
            ) to '{folder / "orders.jsonl"}' (format csv, header false, quote '', escape '', delimiter E'\\x01')
        """)


def candidate(place: Path) -> Measured:
    """`load_landing` into a fresh home."""
    from pipelines.channels import load_channels
    from pipelines.feeds.load import load_landing
    from pipelines.keys import ensure_keys
    from pipelines.state import state

    measured = Measured()
    home = Path(tempfile.mkdtemp(prefix="home-", dir=place))
    settings = read_resources(place).settings(home, landing_dir=place / "landing", channels_file=place / "channels.yml")
    try:
        ensure_keys(settings)
        with state(settings) as engine:
            with measured.clock():
                load_landing(settings, load_channels(settings), engine, str(uuid.uuid4()))
            measured.outcome = _outcome(settings.raw / "orders" / "**" / "*.parquet")
    finally:
        shutil.rmtree(home)
    return measured


def baseline(place: Path) -> Measured:
    """`read_json` with the contract's types, bad lines skipped, straight to Parquet."""
    measured = Measured()
    columns = {
        column.name: "TIMESTAMPTZ" if column.kind == "timestamp" else column.sql_type()
        for column in FEEDS["orders"].columns
    }
    folder = Path(tempfile.mkdtemp(prefix="bare-", dir=place))
    try:
        with connect(read_resources(place).settings(folder)) as connection, measured.clock():
            connection.execute(f"""
                copy (
                    select *
                    from read_json(
                        '{place / "landing" / "mall" / "orders" / "orders.jsonl"}',
                        format = 'newline_delimited', columns = {columns}, ignore_errors = true
                    )
                    where order_id is not null
                ) to '{folder / "orders.parquet"}' (format parquet, compression zstd)
            """)
        measured.outcome = _outcome(folder / "orders.parquet")
    finally:
        shutil.rmtree(folder)
    return measured


def _outcome(files: Path) -> dict[str, object]:
    row = duckdb.sql(f"""
        select
            count(*) as orders,
            count(distinct order_id) as distinct_orders,
            sum(paid_amount)::varchar as paid_amount,
            sum(len(lines))::bigint as lines,
            sum(list_sum(list_transform(lines, lambda line: line.quantity)))::varchar as quantity,
            max(placed_at::timestamp)::varchar as last_placed_at
        from read_parquet('{files}')
    """)
    return dict(zip(row.columns, row.fetchall()[0], strict=True))


def _case(name: str, question: str, guest_share: int) -> Case:
    return Case(
        name,
        question,
        "at most 1.5",
        partial(prepare, guest_share=guest_share),
        {CANDIDATE: candidate, BASELINE: baseline},
    )


MEMBERS_ONLY = _case(
    "ingest", "validated ingest with quarantine / bare typed read of DuckDB, nested orders of members", 0
)
WITH_GUESTS = _case(
    "ingest_with_identifiers", "the same where one order in five carries a phone for tokens and vault", 200
)
