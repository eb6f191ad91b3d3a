"""Data health: whether the figures can be trusted today, and what to mend if not.

Belongs here: the layout of the page. Queries are in `dashboards/queries/health`. No value of a refused row is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.components import Card, Context, behind, cards, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import health as queries

STALE_HOURS = 26.0
"""A nightly feed that has brought nothing for longer than a day and two hours is late."""
DARKEST = 3.0
"""Lateness, in multiples of STALE_HOURS, beyond which no cell gets darker."""


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("health.title"), anchor=False)
    st.caption(
        language.text(
            "health.subtitle",
            snapshot=context.reader.snapshot.id,
            published=context.formats.instant(context.reader.snapshot.published_at),
            timezone=context.formats.timezone,
        )
        + " · "
        + language.text("health.applies")
    )
    _draw_cards(context)
    with section(language, language.text("health.runs"), key="table-runs", metric="runs"):
        _draw_listing(context, queries.RUNS, "runs", _RUN_COLUMNS, instants=("started_at", "finished_at"))
    with section(language, language.text("health.freshness"), key="chart-freshness", metric="freshness"):
        _draw_freshness(context)
    with section(language, language.text("health.received"), key="chart-received", metric="reconciliation"):
        _draw_received(context)
    with section(language, language.text("health.quarantine"), key="chart-quarantine", metric="rows_quarantined"):
        _draw_quarantine(context)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("health.drift"), key="table-drift", metric="drift"):
        _draw_listing(context, queries.DRIFT, "drift", _DRIFT_COLUMNS, instants=("first_seen_at",), empty="no_drift")
    with right, section(language, language.text("health.waiting"), key="table-waiting", metric="waiting"):
        _draw_listing(context, queries.WAITING, "waiting", _WAITING_COLUMNS, instants=("oldest",), empty="no_waiting")
    with section(language, language.text("health.activation"), key="table-activation", metric="activation"):
        _draw_listing(
            context, queries.ACTIVATION, "activation", _ACTIVATION_COLUMNS, instants=("newest",), empty="no_activation"
        )
    with section(language, language.text("health.batches"), key="table-batches", metric="batches"):
        _draw_listing(context, queries.BATCHES, "batches", _BATCH_COLUMNS, instants=("taken_at",))


_ROWS = ("rows_received", "rows_accepted", "rows_quarantined")
_RUN_COLUMNS = ("status", "as_of", "started_at", "finished_at", *_ROWS, "run_id", "snapshot_id")
_DRIFT_COLUMNS = ("feed", "channel", "column_name", "first_seen_at", "batches", "rows")
_WAITING_COLUMNS = ("feed", "channel", "reason", "entities", "oldest")
_ACTIVATION_COLUMNS = ("destination", "operation", "state", "deliveries", "newest")
_BATCH_COLUMNS = ("taken_at", "channel", "feed", "file", *_ROWS, "batch_id", "run_id")
_QUARANTINE_COLUMNS = ("received_at", "channel", "feed", "file", "line", "column_name", "reason", "replayed_at")


def _read(context: Context, statement: str) -> pa.Table:
    return context.reader.table(
        statement.replace("{condition}", queries.condition(context.filters)), context.filters.parameters
    )


def _titles(context: Context, columns: Sequence[str]) -> dict[str, str]:
    return {name: context.language.text(f"columns.{name}") for name in columns}


def _coded(context: Context, found: pa.Table) -> dict[str, dict[str, str]]:
    """Names of the coded values of a listing: channels, feeds, states and reasons that have one."""
    language = context.language
    channels = dict(context.channel_names) | {"_shared": language.text("common.shared")}
    names: dict[str, dict[str, str]] = {"channel": channels}
    for column, group in (
        ("feed", "feeds"),
        ("state", "delivery_states"),
        ("status", "run_states"),
        ("operation", "operations"),
    ):
        if column in found.column_names:
            names[column] = {
                value: language.name_of(group, value) for value in found[column].to_pylist() if value is not None
            }
    if "reason" in found.column_names:
        names["reason"] = {
            reason: language.reason(reason) for reason in found["reason"].to_pylist() if reason is not None
        }
    return names


def _draw_listing(
    context: Context, statement: str, key: str, columns: Sequence[str], *, instants: Sequence[str], empty: str = ""
) -> None:
    found = _read(context, statement)
    if not found.num_rows:
        nothing(context.language, f"health.{empty}" if empty else "states.no_rows")
        return
    # A run may have files by the thousand, so the newest few are seen at once and the rest by scrolling.
    height = 320 if found.num_rows > 8 else None
    table(
        context.language, found, key=key, titles=_titles(context, columns), formats=context.formats, instants=instants,
        text=_coded(context, found), height=height,
    )  # fmt: skip
    if found.num_rows >= queries.LISTED_ROWS:
        st.caption(context.language.text("health.listed", rows=queries.LISTED_ROWS))


def _draw_cards(context: Context) -> None:
    language, formats = context.language, context.formats
    found: list[Card] = []
    try:
        runs = context.reader.rows(queries.RUNS)
    except MissingDataError:
        runs = []
    if runs:
        last = runs[0]
        ended = last["finished_at"] or last["started_at"]
        found.append(
            Card(
                "runs",
                language.name_of("run_states", last["status"]),
                note=language.text("health.as_of", day=formats.day(last["as_of"]), ended=formats.instant(ended)),
            )
        )
    try:
        totals = _read(context, queries.FEED_TOTALS).to_pylist()
        freshness = _read(context, queries.FRESHNESS).to_pylist()
    except MissingDataError:
        totals, freshness = [], []
    if totals:
        sums = {name: sum(row[name] for row in totals) for name in (*_ROWS, "difference")}
        rate = sums["rows_quarantined"] / sums["rows_received"] if sums["rows_received"] else None
        late = sum(1 for row in freshness if _hours_since(row["taken_at"]) > STALE_HOURS)
        found += [
            Card("rows_received", formats.count(sums["rows_received"])),
            Card("rows_accepted", formats.count(sums["rows_accepted"])),
            Card("rows_quarantined", formats.count(sums["rows_quarantined"]), note=formats.percent(rate, 2)),
            Card(
                "reconciliation",
                language.text("health.balanced" if sums["difference"] == 0 else "health.unbalanced"),
                note=language.text("health.difference", rows=formats.count(sums["difference"])),
            ),
            Card("freshness", language.text("health.late", late=late, all=len(freshness))),
        ]
    if found:
        cards(language, found)
    else:
        nothing(language, "health.nothing_taken")


def _hours_since(instant: datetime) -> float:
    return (datetime.now(UTC).replace(tzinfo=None) - instant).total_seconds() / 3600


def _draw_freshness(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _read(context, queries.FRESHNESS)
    if not found.num_rows:
        nothing(language)
        return
    rows = found.to_pylist()
    names = _coded(context, found)
    ages = [_hours_since(row["taken_at"]) for row in rows]
    channels = list(dict.fromkeys(row["channel"] for row in rows))
    feeds = list(dict.fromkeys(row["feed"] for row in rows))
    frame = pd.DataFrame(
        {
            "channel": [names["channel"].get(row["channel"], row["channel"]) for row in rows],
            "feed": [names["feed"].get(row["feed"], row["feed"]) for row in rows],
            # Beyond a few days later is no darker, or one forgotten feed would make all others look fresh.
            "lateness": [min(age / STALE_HOURS, DARKEST) for age in ages],
            "label": [formats.hours(age) for age in ages],
            "taken_at": [formats.instant(row["taken_at"]) for row in rows],
        }
    )
    titles = _titles(context, ("channel", "feed", "taken_at")) | {"label": language.text("columns.age")}
    built = charts.heat_map(
        frame, x="feed", y="channel", value="lateness", label="label", titles=titles,
        x_order=[names["feed"].get(feed, feed) for feed in feeds],
        y_order=[names["channel"].get(channel, channel) for channel in channels],
        extra=("taken_at",), darkest=DARKEST, height=max(34 * len(channels) + 60, 160),
    )  # fmt: skip
    st.caption(language.text("health.darker", hours=f"{STALE_HOURS:.0f}"))
    chart(built, key="freshness", alt_text=language.text("health.freshness"))
    with behind(language, "freshness"):
        columns = ("channel", "feed", "taken_at", "batches", "rows_accepted")
        table(
            language, found, key="freshness", titles=_titles(context, columns), formats=formats, text=names,
            instants=("taken_at",),
        )  # fmt: skip


def _draw_received(context: Context) -> None:
    language, formats = context.language, context.formats
    found = _read(context, queries.FEED_TOTALS)
    if not found.num_rows:
        nothing(language)
        return
    names = _coded(context, found)
    frame = to_frame(found)
    frame["feed"] = frame["feed"].map(lambda feed: names["feed"].get(feed, feed))
    order = list(frame["feed"])
    kinds = {name: language.metric(name) for name in ("rows_accepted", "rows_quarantined")}
    long = frame.melt(id_vars=["feed"], value_vars=list(kinds), var_name="kind", value_name="rows")
    long["kind"] = long["kind"].map(kinds)
    titles = _titles(context, ("feed", "rows", "kind"))
    built = charts.parts(
        long, category="feed", value="rows", part="kind", titles=titles, names=list(kinds.values()), order=order,
        formats=formats, colours=(charts.BLUE, charts.VERMILLION),
    )  # fmt: skip
    chart(built, key="received", alt_text=language.text("health.received"))
    with behind(language, "received"):
        columns = ("feed", *_ROWS, "quarantine_rate", "difference", "batches")
        table(
            language, found, key="received", titles=_titles(context, columns), formats=formats, text=names,
            shares=("quarantine_rate",),
        )  # fmt: skip


def _draw_quarantine(context: Context) -> None:
    language, formats = context.language, context.formats
    reasons = _read(context, queries.QUARANTINE_REASONS)
    if not reasons.num_rows:
        nothing(language, "health.no_quarantine")
        return
    names = _coded(context, reasons)
    frame = to_frame(reasons)
    frame["reason"] = frame["reason"].map(names["reason"])
    frame["label"] = [
        language.text("health.open_of", open=formats.count(still_open), all=formats.count(refused))
        for still_open, refused in zip(frame["open_rows"], frame["rows_quarantined"], strict=True)
    ]
    titles = _titles(context, ("reason", "rows_quarantined", "open_rows", "files", "newest"))
    listed = frame.head(12)
    built = charts.bars(
        listed, category="reason", value="open_rows", label="label", titles=titles, formats=formats,
        order=list(listed["reason"]), colour=charts.VERMILLION,
        label_limit=420,
    )  # fmt: skip
    chart(built, key="quarantine", alt_text=language.text("health.quarantine"))
    with behind(language, "quarantine"):
        table(
            language, reasons, key="quarantine-reasons", titles=titles, formats=formats, instants=("newest",),
            text={"reason": names["reason"]},
        )  # fmt: skip
    st.markdown(f"**{language.text('health.newest_refused')}**")
    instants = ("received_at", "replayed_at")
    _draw_listing(context, queries.QUARANTINE_ROWS, "quarantine-rows", _QUARANTINE_COLUMNS, instants=instants)
