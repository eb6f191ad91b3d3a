"""The activation log: what went back to the channels, what waits, what failed and why.

Belongs here: the layout of the page. Queries are in `dashboards/queries/activation`. No code of a coupon is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import streamlit as st

from dashboards.components import Card, Context, cards, nothing, section, table
from dashboards.queries import activation as queries

_STATE_COLUMNS = ("destination", "operation", "state", "deliveries", "oldest", "newest")
_REASON_COLUMNS = ("destination", "operation", "state", "reason", "deliveries", "oldest")
_OPEN_COLUMNS = (
    "decided_at", "destination", "operation", "state", "reason", "attempts", "next_attempt_at", "customer_id",
    "campaign_id", "delivery_id",
)  # fmt: skip
_INSTANTS = ("oldest", "newest", "decided_at", "next_attempt_at")
_FIGURES = tuple(f"deliveries_{name}" for name in ("applied", "waiting", "unknown", "failed", "withheld"))


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("activation.title"), anchor=False)
    st.caption(language.text("activation.subtitle"))
    with section(language, language.text("activation.figures"), key="figures-activation", metric="activation"):
        _draw_cards(context)
    with section(language, language.text("activation.states"), key="table-states", metric="activation"):
        _draw(context, queries.STATES, "states", _STATE_COLUMNS)
    with section(language, language.text("activation.reasons"), key="table-reasons", metric="deliveries_failed"):
        _draw(context, queries.REASONS, "reasons", _REASON_COLUMNS)
    with section(language, language.text("activation.open"), key="table-open", metric="deliveries_waiting"):
        _draw(context, queries.OPEN, "open", _OPEN_COLUMNS)


def _draw_cards(context: Context) -> None:
    totals = context.reader.rows(queries.TOTALS)[0]
    found = [Card(name, context.formats.count(totals[name])) for name in _FIGURES]
    if totals["oldest"] is not None:
        waits = datetime.now(UTC).replace(tzinfo=None) - totals["oldest"]
        age = context.formats.hours(waits.total_seconds() / 3600)
        found.append(Card("deliveries_oldest", age, note=context.formats.instant(totals["oldest"])))
    cards(context.language, found)


def _draw(context: Context, statement: str, key: str, columns: Sequence[str]) -> None:
    language = context.language
    found = context.reader.table(statement, {})
    if not found.num_rows:
        nothing(language, f"activation.no_{key}")
        return
    table(
        language, found, key=f"activation-{key}", titles={name: language.text(f"columns.{name}") for name in columns},
        formats=context.formats, instants=[name for name in _INSTANTS if name in found.column_names],
        text=_named(context, found), height=320 if found.num_rows > 8 else None,
    )  # fmt: skip
    if found.num_rows >= queries.LISTED_ROWS:
        st.caption(language.text("activation.listed", rows=queries.LISTED_ROWS))


def _named(context: Context, found: pa.Table) -> dict[str, dict[str, str]]:
    """Names of the coded values, and reasons in the reader's language."""
    language = context.language
    names = {
        column: {value: language.name_of(group, value) for value in found[column].to_pylist() if value is not None}
        for column, group in (("state", "delivery_states"), ("operation", "operations"))
    }
    if "reason" in found.column_names:
        names["reason"] = {reason: language.reason(reason) for reason in found["reason"].to_pylist() if reason}
    return names
