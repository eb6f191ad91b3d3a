"""The nightly step: forecast every counted article at every place, then the mart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from scipy.stats import norm

from models.demand import DemandModel
from models.demand.methods import METHODS
from models.demand.panel import mean_known
from models.demand.selection import KINDS
from pipelines.settings import Settings
from pipelines.stock_health.health import fill_stock_health
from pipelines.stock_health.history import DemandHistory, read_demand_history
from pipelines.stock_health.rules import StockRules, load_stock_rules
from pipelines.stock_health.versions import HORIZON, model_of_tonight

COVER_DAYS = 28
"""Days whose sales while in stock say how much a day takes, for cover; the forecast looks farther back."""

FORECASTS = pa.schema(
    [
        ("series", pa.int64()),
        ("daily_units", pa.float64()),
        ("in_stock_days", pa.int64()),
        ("demand", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("kind", pa.string()),
        ("method", pa.string()),
    ]
)


@dataclass(frozen=True)
class StockReport:
    """Rows of the mart, series that were forecast, and what is to be said of the model, in words."""

    rows: int
    series: int
    words: str


def write_stock_health(
    connection: duckdb.DuckDBPyConnection, settings: Settings, engine: sa.Engine, as_of: date
) -> StockReport:
    """Replace `marts.stock_health`; one row per counted store_id and sku.

    Raises ConfigurationError if stock.yml is wrong.
    """
    rules = load_stock_rules(settings)
    _load_rules(connection, rules)
    history = read_demand_history(connection, as_of, rules.history_days, HORIZON)
    version, words = None, "nothing that is counted was sold; nothing is forecast"
    batches: Iterator[pa.RecordBatch] = iter(())
    if history.n_series:
        model, version, words = model_of_tonight(settings, engine, history, as_of)
        batches = _forecasts(model, history)
    # Read before the result is asked for: a connection does one thing at a time.
    forecasts = pa.Table.from_batches(list(batches), FORECASTS)
    connection.register("forecasts_made", forecasts)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE demand_forecasts AS SELECT series.store_id, series.sku, made.* EXCLUDE (series) "
        "FROM forecasts_made AS made INNER JOIN demand_series AS series ON made.series = series.series"
    )
    connection.unregister("forecasts_made")
    rows = fill_stock_health(connection, {"as_of": as_of, "version": version}, rules.transfer_within)
    return StockReport(rows, history.n_series, words)


def _forecasts(model: DemandModel, history: DemandHistory) -> Iterator[pa.RecordBatch]:
    kinds, methods = np.array(KINDS), np.array(METHODS)
    for begin, panel in history.batches():
        made = model.forecast(panel)
        recent = panel.units[:, -COVER_DAYS:]
        yield pa.RecordBatch.from_pydict(
            {
                "series": np.arange(begin, begin + panel.n_series),
                "daily_units": np.nan_to_num(mean_known(recent)),
                "in_stock_days": (~np.isnan(recent)).sum(axis=1),
                "demand": made.total,
                "low": made.total_low,
                "high": made.total_high,
                "kind": kinds[made.kind].tolist(),
                "method": methods[made.method].tolist(),
            },
            schema=FORECASTS,
        )


def _load_rules(connection: duckdb.DuckDBPyConnection, rules: StockRules) -> None:
    """Table `stock_rules`: one row a category with rules of its own, and one with an empty name for the rest."""
    rows = []
    for category, own in {"": None, **rules.categories}.items():
        lead, review, level = (
            getattr(rules, name) if own is None or getattr(own, name) is None else getattr(own, name)
            for name in ("lead_time_days", "review_days", "service_level")
        )
        rows.append((category, lead, review, float(norm.ppf(level))))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE stock_rules "
        "(category VARCHAR, lead_time_days BIGINT, review_days BIGINT, z DOUBLE)"
    )
    connection.executemany("INSERT INTO stock_rules VALUES (?, ?, ?, ?)", rows)
