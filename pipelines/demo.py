"""The demo: a simulated retailer through the nightly job, and what the job found, in one screen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.accounts.passwords import generate
from pipelines.accounts.store import ROLES, add_account, list_accounts, set_password
from pipelines.errors import ConfigurationError
from pipelines.nightly import RunSummary, run_nightly
from pipelines.settings import Settings
from pipelines.simulation import DEFAULT_END, simulate
from pipelines.state import state
from pipelines.warehouse import open_snapshot

MADE_BY_DEMO = ("landing", "lake", "vault", "dagster", "dbt", "outbound", "tmp", "truth", "audit")


def run_demo(settings: Settings, customers: int, days: int, seed: int, progress: Callable[[str], None]) -> RunSummary:
    """Simulate, run, print. The same arguments again find the same landing files and take nothing twice.

    Raises ConfigurationError if the home folder holds data that the demo did not make.
    """
    _own_the_home(settings, {"customers": customers, "days": days, "seed": seed})
    progress(f"simulate: {customers:,} persons, {days} days, seed {seed}")
    simulate(settings.landing, settings.home / "truth", customers, days, seed, None, DEFAULT_END, progress)
    summary = run_nightly(settings, DEFAULT_END, full_refresh=False, activate=True, progress=progress)
    _show(settings, summary)
    _show_accounts(_make_accounts(settings))
    return summary


def _own_the_home(settings: Settings, arguments: dict[str, int]) -> None:
    marker = settings.home / "demo.json"
    wanted = json.dumps(arguments)
    if marker.exists():
        if marker.read_text() == wanted:
            return
        for name in MADE_BY_DEMO:
            shutil.rmtree(settings.home / name, ignore_errors=True)
        for state_file in settings.home.glob("state.db*"):
            state_file.unlink()
    elif settings.landing.exists() or settings.lake.exists():
        raise ConfigurationError(
            f"{settings.home} holds data that the demo did not make; choose another folder with --home."
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    marker.write_text(wanted)


SECTIONS: tuple[tuple[str, str], ...] = (
    (
        "Rows of all feeds",
        """
        select feed, count(*) as files, sum(rows_received) as received, sum(rows_accepted) as accepted,
          sum(rows_quarantined) as quarantined
        from marts.batches group by feed order by received desc
        """,
    ),
    (
        "One customer",
        """
        select
          (select count(*) from marts.customer_identities where kind = 'member') as memberships,
          (select count(*) from marts.customers) as customers,
          (select count(*) from marts.customers where n_channels > 1) as in_several_channels,
          (select count(*) from marts.customer_identities where is_blocked) as blocked_identities
        """,
    ),
    (
        "Net sales by channel",
        """
        select channel, sum(net_amount) as net_amount, sum(paid_orders) as paid_orders,
          round(100 * sum(member_net_amount) / nullif(sum(net_amount), 0), 1) as member_share_percent
        from marts.sales_daily group by channel order by net_amount desc
        """,
    ),
    (
        "RFM segments",
        """
        select segment, count(*) as customers, sum(monetary) as monetary, round(median(recency_days)) as recency_days
        from marts.customer_rfm
        where snapshot_date = (select max(snapshot_date) from marts.customer_rfm)
        group by segment order by monetary desc
        """,
    ),
    (
        "Recommendations of three customers",
        """
        select r.customer_id, r.rank, p.name, r.reason
        from marts.recommendations as r
        join marts.products as p using (sku)
        where r.rank <= 3 and r.customer_id in (
          select customer_id from marts.customer_rfm
          where snapshot_date = (select max(snapshot_date) from marts.customer_rfm)
          order by monetary desc limit 3
        )
        order by r.customer_id, r.rank
        """,
    ),
    (
        "Pushed",
        """
        select destination, operation, state, count(*) as deliveries
        from marts.activation_log group by all order by destination, operation, state
        """,
    ),
)


def _show(settings: Settings, summary: RunSummary) -> None:
    console = Console()
    with open_snapshot(settings) as connection:
        for title, sql in SECTIONS:
            cursor = connection.execute(sql)
            table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
            rows = cursor.fetchall()
            for position, (name, *_) in enumerate(cursor.description or []):
                is_number = bool(rows) and not isinstance(rows[0][position], (str, date))
                table.add_column(name.replace("_", " "), justify="right" if is_number else "left")
            for row in rows:
                table.add_row(*(_words(value) for value in row))
            console.print(table, "")
    console.print(summary.line(), soft_wrap=True)


def _make_accounts(settings: Settings) -> list[tuple[str, str, str, str]]:
    """An account a role, each with a fresh password: name, role, stores, password. Other accounts stay as they are."""
    with open_snapshot(settings) as connection:
        found = connection.execute("select min(store_id) from marts.sales_daily").fetchone()
    own = (found[0],) if found and found[0] else ("none",)
    made = []
    with state(settings) as engine:
        existing = {row["name"] for row in list_accounts(engine)}
        for role in ROLES:
            name, password = f"demo-{role.replace('_', '-')}", generate()
            stores = own if role == "store_manager" else ()
            if name in existing:
                set_password(settings, engine, name, password, "demo")
            else:
                add_account(settings, engine, name, role, stores, password, "demo")
            made.append((name, role, ", ".join(stores), password))
    return made


def _show_accounts(made: list[tuple[str, str, str, str]]) -> None:
    table = Table(title="Sign in as", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("name", "role", "sees store", "password"):
        table.add_column(column)
    for account in made:
        table.add_row(*account)
    Console().print(table, "")


def _words(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,}"
