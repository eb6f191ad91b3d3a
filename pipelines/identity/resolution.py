"""One identity run: from new raw rows to customers, in one transaction.

Belongs here: the order of the steps and the choice between an increment and a full rebuild. Both are the same steps: a
rebuild is an increment onto nothing, so they cannot differ but in what they leave untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import duckdb

from pipelines.identity import arrivals, clusters, decided, history, hubs, owners, tables
from pipelines.identity.arrivals import Window
from pipelines.identity.config import DEVICE, IdentityRules, load_rules
from pipelines.identity.rules import Rule, load_rules_made
from pipelines.settings import Settings

WORKING_TABLES = (
    "new_mentions", "touched_members", "versions", "new_facts", "new_claims", "newest_orders", "repeated_orders",
    "changed_orders", "old_order_customers", "new_guest_claims", "new_staff_phones", "new_placeholders",
    "new_devices", "touched_values", "touched_claims", "touched_guest_claims", "crowded", "touched_facts", "contested",
    "tenants", "candidates", "owners", "round_owners", "contested_owners", "owner_windows",
    "placed_guest_claims", "linking_values", "scope_customers", "old_assignment", "scope_nodes", "attachments", "edges",
    "components", "scope_assignment", "followed", "moves", "grounds", "new_pairs", "changed_pairs", "new_blocks",
    "changed_blocks", "touched_pair_nodes", "numbered_pairs", "joins", "partings", "parted_nodes", "bonds", "carried",
    "rhythms", "many_doors", "rule_words", "decisions",
)  # fmt: skip


@dataclass(frozen=True)
class IdentityReport:
    """What one run found.

    is_full: whether everything was rebuilt. memberships, customers, links: totals after the run (links: values that
    hold at least two memberships or guests together). blocked: values that link nobody, by rule. touched_values,
    touched_nodes: how much was recomputed. merges, splits: events of this run. rules: corrections that were replayed.
    """

    is_full: bool
    memberships: int
    customers: int
    links: int
    blocked: dict[str, int] = field(default_factory=dict)
    touched_values: int = 0
    touched_nodes: int = 0
    merges: int = 0
    splits: int = 0
    rules: int = 0

    def changes(self) -> str:
        """What changed in words; empty if nothing did and nobody ever corrected anything."""
        parts = []
        if self.rules:
            parts.append(f"{self.rules} correction(s) replayed")
        if self.merges or self.splits:
            parts.append(f"{self.merges} customer(s) went into another, {self.splits} part(s) were split off")
        return "; ".join(parts)


def resolve(connection: duckdb.DuckDBPyConnection, settings: Settings, full_refresh: bool = False) -> IdentityReport:
    """Bring schema `identity` up to date with `raw.*`; nothing is changed if it fails or is killed.

    A full rebuild happens when asked, at the first run, when identity.yml changed, or when rows before the watermark
    came or went (an erasure); it keeps the log and, customer ids being functions of raw, the ids.
    Raises ConfigurationError if identity.yml is wrong.
    """
    rules = load_rules(settings)
    corrections = load_rules_made(settings)
    # The order of rows means nothing here; keeping it would cost memory and threads.
    kept_order = connection.execute("select current_setting('preserve_insertion_order')").fetchall()[0][0]
    connection.execute("set preserve_insertion_order = false")
    connection.execute("begin transaction")
    try:
        report = _resolve(connection, rules, corrections, full_refresh)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    finally:
        connection.execute(f"set preserve_insertion_order = {kept_order}")
    return report


def _resolve(
    connection: duckdb.DuckDBPyConnection, rules: IdentityRules, corrections: list[Rule], full_refresh: bool
) -> IdentityReport:
    raw = arrivals.watermarks(connection)
    known = tables.state_exists(connection)
    everything = full_refresh or not known or not _still_holds(connection, rules)
    if everything:
        if known:
            clusters.remember_old(connection, everything=True)
        tables.create_state(connection)
        if not known:
            clusters.remember_old(connection, everything=True)
    since = dict.fromkeys(raw, -1) if everything else _last_arrivals(connection)
    window = Window(since, {feed: arrival for feed, (arrival, _) in raw.items()})
    _collect(connection, window, everything=everything)
    decided.gather_pairs(connection, corrections)
    if not everything:
        arrivals.find_touched_values(connection)
    _divide(connection, rules, everything=everything)
    if not everything:
        decided.find_touched_nodes(connection)
        clusters.find_scope(connection)
        clusters.remember_old(connection, everything=False)
    clusters.keep_claims(connection, everything=everything)
    clusters.scope_nodes(connection, everything=everything)
    decided.number_pairs(connection, everything=everything)
    clusters.link_scope(connection, everything=everything)
    clusters.find_components(connection)
    decided.part_components(connection)
    clusters.name_customers(connection, everything=everything)
    decided.note_kept_apart(connection, everything=everything)
    logged_before = _count(connection, "select count(*) from identity.merges")
    history.log_changes(connection, max(window.upto.values()), everything=everything)
    _note_progress(connection, raw, rules)
    tables.create_views(connection)
    report = replace(
        _report(connection, everything, logged_before), rules=sum(correction.holds for correction in corrections)
    )
    for view in ("changed_orders", "touched_claims", "touched_guest_claims") if everything else ():
        connection.execute(f"drop view temp.{view}")
    for table in WORKING_TABLES:
        connection.execute(f"drop table if exists temp.{table}")
    return report


def _collect(connection: duckdb.DuckDBPyConnection, window: Window, *, everything: bool) -> None:
    arrivals.note_memberships(connection, window)
    arrivals.read_members(connection, window.upto["members"])
    arrivals.read_orders(connection, window, everything=everything)
    arrivals.note_labels(connection, window)
    arrivals.note_hubs(connection, window)
    arrivals.note_devices(connection, window)


def _divide(connection: duckdb.DuckDBPyConnection, rules: IdentityRules, *, everything: bool) -> None:
    owners.gather_touched(connection, everything=everything)
    hubs.gather_carried(connection)
    hubs.block_hubs(connection, rules)
    owners.divide_between_owners(connection, rules)
    owners.place_guests(connection)


def _still_holds(connection: duckdb.DuckDBPyConnection, rules: IdentityRules) -> bool:
    """Whether the state was made by these rules from exactly the rows that lie before its watermark now."""
    applied = connection.execute("select fingerprint from identity.applied_rules").fetchone()
    if applied is None or applied[0] != rules.fingerprint():
        return False
    marks = connection.execute("select feed, arrival, n_rows from identity.watermarks").fetchall()
    return {feed for feed, _, _ in marks} == set(arrivals.READ_FEEDS) and all(
        _count(connection, f"select count(*) from raw.{feed} where _arrival <= {arrival}") == rows
        for feed, arrival, rows in marks
    )


def _last_arrivals(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(connection.execute("select feed, arrival from identity.watermarks").fetchall())


def _note_progress(
    connection: duckdb.DuckDBPyConnection, raw: dict[str, tuple[int, int]], rules: IdentityRules
) -> None:
    marks = ", ".join(f"('{feed}', {arrival}, {rows})" for feed, (arrival, rows) in raw.items())
    connection.execute("delete from identity.watermarks")
    connection.execute(f"insert into identity.watermarks values {marks}")
    connection.execute("delete from identity.applied_rules")
    connection.execute(f"insert into identity.applied_rules values ('{rules.fingerprint()}', {rules.limits[DEVICE]})")


def _report(connection: duckdb.DuckDBPyConnection, everything: bool, logged_before: int) -> IdentityReport:
    blocked = connection.execute("""
        with crowded_devices as (
            select token from identity.devices
            group by token
            having count(*) > (select device_limit from identity.applied_rules)
        ),
        blocks as (
            select block_rule from identity.values where block_rule is not null
            union all
            select rule from identity.divided_values
            union all
            select 'limit' from crowded_devices
        )
        select block_rule, count(*) from blocks group by block_rule order by block_rule""").fetchall()
    events = dict(
        connection.execute(
            f"select kind, count(*) from (select * from identity.merges offset {logged_before}) as new group by kind"
        ).fetchall()
    )
    return IdentityReport(
        is_full=everything,
        memberships=_count(connection, "select count(*) from identity.memberships"),
        customers=_count(connection, "select count(distinct customer_id) from identity.assignment"),
        links=_count(
            connection,
            "select count(*) from identity.values where block_rule is null and n_members + least(n_orders, 1) > 1",
        ),
        blocked=dict(blocked),
        touched_values=_count(connection, "select count(*) from touched_facts"),
        touched_nodes=_count(connection, "select count(*) from scope_assignment"),
        merges=events.get("merge", 0),
        splits=events.get("split", 0),
    )


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return 0 if row is None else int(row[0])
