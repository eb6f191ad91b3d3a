"""Carrying an erasure out: the steps, in an order in which each may be cut off and repeated.

Belongs here: the order of the steps, and the note on the landing folder. Does not belong here: what a step does.

What stands for the person is kept sealed in the vault (feeds/erasure_order.py) until the last step, so whoever starts
next, this command or a run, goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import sqlalchemy as sa

from pipelines.activation.export_log import export_log
from pipelines.activation.log import activation_log
from pipelines.activation.withdrawals import forget_deliveries, plan_coupon_withdrawals, plan_withdrawals
from pipelines.destinations.protocol import KeepsRecords
from pipelines.destinations.registry import load_destinations
from pipelines.erasure.landing_note import write_note
from pipelines.erasure.leftovers import sweep
from pipelines.erasure.published import rewrite_snapshots, rewrite_warehouse
from pipelines.erasure.remembered import compact_state, scrub_state
from pipelines.erasure.traces import Traces
from pipelines.feeds import erasing
from pipelines.feeds.erasing_rejected import erase_from_quarantine
from pipelines.feeds.erasure_order import given
from pipelines.feeds.parts import recover
from pipelines.keys import ensure_keys
from pipelines.settings import Settings
from pipelines.vault import Vault, member_person
from pipelines.warehouse import NothingPublishedError, connect, open_snapshot

Progress = Callable[[str], None]


@dataclass
class Erased:
    """What erasures did. notes: files that say what to delete in the landing folder; outside: exports beyond the home
    that name the person."""

    erasures: int = 0
    raw_parts: int = 0
    quarantine_files: int = 0
    vault_keys: int = 0
    withdrawals: int = 0
    deleted: list[Path] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)
    notes: list[Path] = field(default_factory=list)


def carry_out(settings: Settings, engine: sa.Engine, progress: Progress) -> Erased:
    """Carry out every erasure that was decided, to its end. Hold `single_writer` around it.

    Raises ConfigurationError for keys or destinations.yml, OSError for a full disk; calling it again goes on.
    """
    done = Erased()
    with Vault.open(settings, ensure_keys(settings)) as vault:
        orders = given(vault)
        if not orders:
            return done
        recover(settings, engine)
        traces = Traces(orders)
        done.erasures = len(orders)
        now = datetime.now(UTC).replace(tzinfo=None)
        progress("forget: what destinations hold")
        destinations, erasure_id = load_destinations(settings), orders[-1].erasure_id
        done.withdrawals = plan_coupon_withdrawals(
            engine, erasure_id, traces.customers, _redeemed(settings), destinations, now
        )
        done.withdrawals += plan_withdrawals(engine, erasure_id, traces.customers, now)
        for configured in destinations.values():
            if isinstance(configured.destination, KeepsRecords):
                configured.destination.blank(traces.customers)
        progress("forget: exports, plans and logs")
        swept = sweep(settings, vault.keys, traces, _exports(engine))
        done.deleted, done.outside = swept.deleted, swept.outside
        progress("forget: raw lake and quarantine")
        done.notes = [note for note in (write_note(settings, vault, order) for order in orders) if note]
        connection = connect(settings)
        try:
            done.raw_parts = erasing.erase_from_raw(settings, connection, traces.keys)
        finally:
            connection.close()
        done.quarantine_files = erase_from_quarantine(settings, vault)
        progress("forget: vault")
        persons = [member_person(*member) for member in traces.members]
        tokens = [token for order in orders for token in (*(own.token for own in order.tokens), *order.loose_tokens)]
        tokens += [member_id for _, member_id in traces.members]  # phones and addresses that serve as member ids
        done.vault_keys = vault.destroy_person([*persons, *(f"identity:{token}" for token in tokens)], tokens)
        progress("forget: state, warehouse and snapshots")
        forget_deliveries(engine, traces.customers)
        scrub_state(engine, traces)
        rewrite_warehouse(settings, traces)
        rewrite_snapshots(settings, traces, {"activation_log": activation_log(engine)})
        compact_state(engine)
        for order in orders:
            vault.end_erasure(order.erasure_id)
    return done


def _redeemed(settings: Settings) -> set[str]:
    """Codes of ours that were redeemed; none is known where nothing was published."""
    try:
        with open_snapshot(settings) as connection:
            rows = connection.execute(
                "SELECT coupon_code FROM marts.campaign_coupons WHERE is_redeemed AND issued_by = 'omnilake'"
            ).fetchall()
    except (NothingPublishedError, duckdb.CatalogException):
        return set()
    return {str(code) for (code,) in rows}


def _exports(engine: sa.Engine) -> Sequence[Path]:
    with engine.begin() as transaction:
        return [Path(str(file)) for (file,) in transaction.execute(sa.select(export_log.c.file).distinct())]
