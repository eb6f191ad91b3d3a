"""RFM: the dbt model's compiled SQL against the same question in bare SQL.

Belongs here: a table of orders, the compiled model, and its bare twin. Does not belong here: RFM's rules (dbt).
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from pipelines.bench.rounds import BASELINE, CANDIDATE, run_process
from pipelines.bench.timing import Case, Measured, read_resources
from pipelines.dbt import DBT_EXECUTABLE, dbt_environment
from pipelines.settings import DBT_PROJECT, PACKAGED_REFERENCE, Settings
from pipelines.warehouse import open_warehouse

MODEL = "int_customer_rfm"
AS_OF = date(2026, 6, 30)
COMPILED = "compiled.sql"

ORDERS = """
    select
        'c' || lpad((hash(order_no, 1) % ($orders * 3 // 10 + 1))::varchar, 20, '0') as customer_id,
        date '2026-06-30' - (hash(order_no, 2) % 730)::integer as business_date,
        ((hash(order_no, 3) % 50000) / 100)::decimal(18, 2) as net_amount,
        case when hash(order_no, 4) % 20 = 0 then 5.00 else 0.00 end::decimal(18, 2) as refunded_amount,
        hash(order_no, 5) % 50 > 0 as is_qualified
    from range($orders) as numbers (order_no)
"""

BARE = """
    with customers as (
        select
            customer_id,
            date '2026-06-30' - max(business_date) as recency_days,
            date '2026-06-30' - min(business_date) as days_since_first_order,
            count(*) as frequency,
            count(distinct business_date) - 1 as gaps,
            max(business_date) - min(business_date) as days_of_gaps,
            sum(net_amount - refunded_amount) as monetary
        from marts.orders
        where is_qualified and customer_id is not null
        group by customer_id
    ),
    usual as (
        select
            avg(days_of_gaps / gaps) as gap,
            sum((days_of_gaps / gaps) ** 2) / sum(1 + 1.0 / gaps) as square
        from customers
        where gaps > 0
    ),
    scores as (
        select
            *,
            1 + 5 * (rank() over (order by recency_days desc) - 1) // count(*) over () as r_score,
            1 + 5 * (rank() over (order by frequency) - 1) // count(*) over () as f_score,
            1 + 5 * (rank() over (order by monetary) - 1) // count(*) over () as m_score
        from customers
    )
    select
        customer_id,
        recency_days,
        frequency,
        monetary,
        r_score,
        f_score,
        m_score,
        segment,
        case
            when square > gap * gap
                then (square / (square - gap * gap) * gap + days_of_gaps) / (square / (square - gap * gap) + gaps)
            else gap
        end as own_gap,
        case
            when days_since_first_order <= new_days then 'new'
            when recency_days <= active_gaps * own_gap then 'active'
            when recency_days <= at_risk_gaps * own_gap then 'at_risk'
            when recency_days <= dormant_gaps * own_gap then 'dormant'
            else 'lost'
        end as lifecycle
    from scores
    join reference.rfm_cells using (r_score, f_score, m_score), reference.rfm_settings, usual
"""


def prepare(place: Path, orders: int) -> None:
    """A warehouse with `marts.orders` and the reference tables (quantiles by shared rank), and the compiled model."""
    from pipelines.channels import load_channels
    from pipelines.reference import load_reference

    settings = _settings(place)
    (settings.home / "reference").mkdir(parents=True)
    (settings.home / "reference" / "channels.yml").write_text((PACKAGED_REFERENCE / "channels.yml").read_text())
    with open_warehouse(settings) as connection:
        load_reference(connection, settings, load_channels(settings), AS_OF)
        connection.execute("update reference.rfm_settings set method = 'quantiles'")
        connection.execute("create schema marts")
        connection.execute(f"create table marts.orders as {ORDERS.replace('$orders', str(orders))}")
    with dbt_environment(settings):
        run_process(
            [str(DBT_EXECUTABLE), "--quiet", "compile", "--select", MODEL, "--project-dir", str(DBT_PROJECT),
             "--profiles-dir", str(DBT_PROJECT), "--target-path", str(settings.dbt_target)],
            "rfm (dbt compile)",
        )  # fmt: skip
    (compiled,) = (settings.dbt_target / "compiled").rglob(f"{MODEL}.sql")
    shutil.copyfile(compiled, place / COMPILED)


def candidate(place: Path) -> Measured:
    """The compiled model, made into a table as dbt does."""
    return _make_table(place, (place / COMPILED).read_text())


def baseline(place: Path) -> Measured:
    """The same answer as one would write it by hand: one shared rank a column, quantiles only."""
    return _make_table(place, BARE)


def _make_table(place: Path, query: str) -> Measured:
    measured = Measured()
    with open_warehouse(_settings(place)) as connection:
        # As in dbt's profile; it lets a parallel query write its rows as they come.
        connection.execute("set preserve_insertion_order = false")
        with measured.clock():
            connection.execute(f"create or replace temp table scored as {query}")
        found = connection.execute("""
            select
                count(*) as customers,
                sum(recency_days)::bigint as recency_days,
                sum(frequency)::bigint as frequency,
                sum(monetary)::varchar as monetary,
                bit_xor(
                    hash(customer_id, r_score::integer, f_score::integer, m_score::integer, segment, lifecycle)
                )::varchar as scores
            from scored
        """)
        names = [column[0] for column in found.description]
        measured.outcome = dict(zip(names, found.fetchall()[0], strict=True))
    return measured


def _settings(place: Path) -> Settings:
    return read_resources(place).settings(place / "home")


RFM = Case(
    "rfm",
    "the dbt model's compiled SQL / the same scores, segments and lifecycle in SQL written by hand",
    "about 1, below 700 MiB",
    prepare,
    {CANDIDATE: candidate, BASELINE: baseline},
)
