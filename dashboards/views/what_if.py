"""RFM what-if: other cutoffs, and who would be where, on the page of customers.

Belongs here: the fields, their check, and the table. Does not belong here: the SQL (`dashboards/queries/customers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards.components import Context, nothing, table
from dashboards.queries import customers as queries

SCORES = (5, 4, 3, 2)
MEASURES = {"r": "recency_days", "f": "frequency", "m": "monetary"}


def draw(context: Context, snapshot_date: date) -> None:
    """Fields for the cutoffs of every score, and the segments with them beside the segments as they are."""
    language, formats = context.language, context.formats
    rows = {row["score"]: row for row in context.reader.rows(queries.CUTOFFS)}
    if not rows:
        nothing(language, "states.no_customers")
        return
    st.caption(language.text("what_if.about"))
    chosen = _fields(context, rows)
    if not _grow(chosen):
        st.warning(language.text("what_if.must_grow"), icon=":material/error:")
        return
    statement = queries.over_chosen(queries.WHAT_IF, context.filters)
    found = context.reader.table(statement, context.filters.parameters | chosen | {"snapshot_date": snapshot_date})
    if not found.num_rows:
        nothing(language)
        return
    titles = {
        "segment": language.text("columns.segment"),
        **{
            name: language.text(f"what_if.{name}")
            for name in ("customers_now", "customers_then", "monetary_now", "monetary_then")
        },
    }
    names = {value: context.segment(value) for value in found["segment"].to_pylist()}
    moved = sum(abs(row["customers_then"] - row["customers_now"]) for row in found.to_pylist()) // 2
    st.caption(language.text("what_if.moved", moved=formats.count(moved)))
    table(
        language, _known_order(context, found), key="what-if", titles=titles, formats=formats,
        money=("monetary_now", "monetary_then"), text={"segment": names},
    )  # fmt: skip


def _fields(context: Context, rows: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The cutoffs in the fields, by the names of the statement's parameters; empty fields are null."""
    language = context.language
    chosen: dict[str, Any] = {}
    for measure, column in MEASURES.items():
        places = st.columns(len(SCORES))
        for place, score in zip(places, SCORES, strict=True):
            configured = rows[score][column] if score in rows else None
            name = f"{measure}_{score}"
            label = language.text(f"what_if.{measure}", score=score)
            if measure == "m":
                typed = place.number_input(
                    label, min_value=0.0, value=None if configured is None else float(configured), step=10.0,
                    format="%.2f", key=f"what-if-{name}",
                )  # fmt: skip
                chosen[name] = None if typed is None else Decimal(f"{typed:.2f}")
            else:
                typed = place.number_input(
                    label, min_value=0, value=None if configured is None else int(configured), step=1,
                    key=f"what-if-{name}",
                )  # fmt: skip
                chosen[name] = typed
    return chosen


def _grow(chosen: Mapping[str, Any]) -> bool:
    """Whether a better score is nowhere easier to earn than a worse one."""
    for measure in MEASURES:
        given = [chosen[f"{measure}_{score}"] for score in SCORES if chosen[f"{measure}_{score}"] is not None]
        ordered = given if measure == "r" else given[::-1]
        if any(stricter >= laxer for stricter, laxer in pairwise(ordered)):
            return False
    return True


def _known_order(context: Context, found: pa.Table) -> pa.Table:
    """The rows in the order in which segments are configured."""
    places = {segment: place for place, segment in enumerate(context.segments)}
    order = sorted(range(found.num_rows), key=lambda row: places.get(found["segment"][row].as_py(), len(places)))
    return found.take(order)
