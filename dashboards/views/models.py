"""Models: their versions, how they did beside the simple rules, whether they are calibrated, and drift.

Belongs here: the layout of the page. Queries are in `dashboards/queries/models`.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboards import charts
from dashboards.components import Context, behind, chart, nothing, section, table, to_frame
from dashboards.data import MissingDataError
from dashboards.queries import models as queries


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("models.title"), anchor=False)
    st.caption(language.text("models.subtitle"))
    try:
        in_use = context.reader.rows(queries.IN_USE)
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    if not in_use:
        nothing(language, "models.none")
        return
    with section(language, language.text("models.in_use"), key="model-versions", metric="model_version"):
        _draw_versions(context)
    chosen = st.segmented_control(
        language.text("models.model"),
        [row["model"] for row in in_use],
        default=in_use[0]["model"],
        required=True,
        key="model",
    )
    version = next(row["version"] for row in in_use if row["model"] == chosen)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("models.metrics"), key="model-metrics", metric="model_metric"):
        _draw_metrics(context, version)
    with right, section(language, language.text("models.calibration"), key="model-calibration", metric="calibration"):
        _draw_calibration(context, version)
    with section(language, language.text("models.drift"), key="model-drift", metric="model_drift"):
        _draw_drift(context, str(chosen))


def _draw_versions(context: Context) -> None:
    language = context.language
    names = ("model", "version", "status", "as_of", "window", "rows", "reason", "notes", "protocol")
    found = context.reader.table(queries.VERSIONS).rename_columns({"window_start": "window"})
    statuses = {name: language.text(f"models.status_{name}") for name in ("in_use", "retired", "refused")}
    table(
        language, found, key="model-versions", titles={name: language.text(f"models.{name}") for name in names},
        formats=context.formats, text={"status": statuses},
    )  # fmt: skip


def _draw_metrics(context: Context, version: str) -> None:
    language = context.language
    found = context.reader.table(queries.METRICS, {"version": version})
    if not found.num_rows:
        nothing(language)
        return
    table(
        language, found, key="model-metrics", formats=context.formats,
        titles={name: language.text(f"models.{name}") for name in ("metric", "predictor", "value")},
        text={"predictor": {"model": language.text("models.predictor_model")}},
    )  # fmt: skip


def _draw_calibration(context: Context, version: str) -> None:
    language = context.language
    found = context.reader.table(queries.CALIBRATION, {"version": version})
    if not found.num_rows:
        nothing(language)
        return
    titles: dict[str, Any] = {
        name: language.text(f"models.{name}") for name in ("group", "predicted", "actual", "members")
    }
    built = charts.calibration(to_frame(found), titles=titles)
    chart(built, key="model-calibration", alt_text=language.text("models.calibration"))
    with behind(language, "model-calibration"):
        table(language, found, key="model-calibration", titles=titles, formats=context.formats)


def _draw_drift(context: Context, model: str) -> None:
    language = context.language
    found = context.reader.table(queries.DRIFT, {"model": model})
    if not found.num_rows:
        nothing(language, "models.no_drift")
        return
    table(
        language, found, key="model-drift", formats=context.formats,
        titles={name: language.text(f"models.{name}") for name in ("as_of", "input", "psi", "warning")},
    )  # fmt: skip
