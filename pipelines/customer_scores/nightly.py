"""The nightly scores: a version where one is due, then every customer.

Belongs here: when a model is fitted again, what is promoted, and writing the mart. Does not belong here: fitting and
rehearsing (clv_version, churn_version).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from models import clv
from models.churn import ChurnModel
from models.evaluate.drift import Reference, psi
from pipelines.customer_scores import churn_version, clv_version
from pipelines.customer_scores.clv_version import Clv
from pipelines.customer_scores.order_days import Customers, draw_customers, read_customers
from pipelines.scoring import Promotion, Version, current, drifted, last_attempt, promote_if_better, record_drift

SEED = 7
FITTED_ON = 50_000
"""Customers that models learn from; beyond, their parameters' error is far below the models' own."""

REFIT_DAYS = 28
REFIT_DAYS_WHEN_DRIFTED = 7
TOLERANCE = 0.02
"""Share by which a newer version may do worse and still be taken: it knows what the other one doesn't."""

HORIZON_DAYS, YEAR_DAYS = 90, 365
LATEST_DUE_DAYS = 3650
"""A next order that is due later than that is not foreseen at all."""

CHUNK = 200_000

ORDER_DAYS = """
    CREATE OR REPLACE TEMP TABLE all_order_days AS
    SELECT
        customer_id,
        business_date AS day,
        sum(net_amount - refunded_amount) AS amount
    FROM marts.orders
    WHERE is_qualified AND customer_id IS NOT NULL AND business_date <= CAST($as_of AS DATE)
    GROUP BY customer_id, business_date
"""

SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("p_alive", pa.float64()),
        ("expected_orders_90d", pa.float64()),
        ("expected_orders_90d_low", pa.float64()),
        ("expected_orders_90d_high", pa.float64()),
        ("clv_12m", pa.float64()),
        ("clv_12m_low", pa.float64()),
        ("clv_12m_high", pa.float64()),
        ("churn_probability", pa.float64()),
        ("churn_horizon_days", pa.int32()),
        ("next_order_due", pa.date32()),
        ("next_order_earliest", pa.date32()),
        ("next_order_latest", pa.date32()),
        ("model_version", pa.string()),
        ("churn_model_version", pa.string()),
        ("as_of", pa.date32()),
    ]
)
_MONEY = ("clv_12m", "clv_12m_low", "clv_12m_high")


@dataclass(frozen=True)
class ScoresReport:
    """Customers scored, and what is to be said of each model, in words."""

    customers: int
    words: tuple[str, ...]


def score_customers(
    connection: duckdb.DuckDBPyConnection,
    engine: sa.Engine,
    as_of: date,
    progress: Callable[[str], None] = lambda _words: None,
) -> ScoresReport:
    """Replace `marts.customer_scores` in one statement; one row per customer with a qualified order.

    Where a model could not be fitted its columns are null, and the report says why.
    """
    connection.execute(ORDER_DAYS, {"as_of": as_of})
    words = []
    due = {name: fit for name, fit in (("clv", _fit_clv), ("churn", _fit_churn)) if _is_due(engine, name, as_of)}
    if due:
        draw_customers(connection, "all_order_days", "drawn_order_days", FITTED_ON, SEED)
        _read_orders_from(connection, "drawn_order_days")
        for name, fit in due.items():
            words.append(f"{name}: {fit(connection, engine, as_of)}")
            progress(f"scores: {words[-1]}")
        connection.execute("DROP VIEW order_days")
        connection.execute("DROP TABLE drawn_order_days")
    _read_orders_from(connection, "all_order_days")
    value, churn = (current(engine, name, as_of) for name in ("clv", "churn"))
    customers = read_customers(connection, as_of)
    if churn is not None:
        record_drift(engine, churn, as_of, _drift(churn, customers))
    batches = _batches(customers, value, churn, as_of)
    connection.register("scored", pa.RecordBatchReader.from_batches(SCHEMA, batches))
    money = ", ".join(f"CAST({name} AS DECIMAL(18, 2)) AS {name}" for name in _MONEY)
    ((rows,),) = connection.execute(
        f"CREATE OR REPLACE TABLE marts.customer_scores AS SELECT * REPLACE ({money}) FROM scored"
    ).fetchall()
    connection.unregister("scored")
    connection.execute("DROP VIEW order_days")
    connection.execute("DROP TABLE all_order_days")
    return ScoresReport(rows, tuple(words))


def _read_orders_from(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP VIEW order_days AS FROM {table}")


def _is_due(engine: sa.Engine, model: str, as_of: date) -> bool:
    """Whether the model is to be fitted: never yet, four weeks ago, or a week ago and its inputs have drifted."""
    attempted = last_attempt(engine, model, as_of)
    if attempted is None or current(engine, model, as_of) is None:
        return attempted is None or attempted < as_of
    age = (as_of - attempted).days
    if age >= REFIT_DAYS:
        return True
    return age >= REFIT_DAYS_WHEN_DRIFTED and bool(drifted(engine, "churn", as_of - timedelta(days=1)))


def _fit_clv(connection: duckdb.DuckDBPyConnection, engine: sa.Engine, as_of: date) -> str:
    found = clv_version.fit_version(connection, as_of, SEED)
    if found is None:
        return "too few customers came again to learn from, or too few days; their values stay empty"
    card, cut = found
    in_use = current(engine, card.model, as_of)
    standing = None
    if in_use is not None:
        fitted = clv_version.read_version(in_use.card).counting
        standing = clv_version.rehearse(connection, fitted, cut, as_of, 0.0).metrics[clv_version.DECIDES]
    promotion = promote_if_better(
        engine, card, clv_version.DECIDES, higher_is_better=False, in_use=in_use, in_use_value=standing,
        tolerance=TOLERANCE * (standing or 0.0),
    )  # fmt: skip
    return _words(promotion)


def _fit_churn(connection: duckdb.DuckDBPyConnection, engine: sa.Engine, as_of: date) -> str:
    found = churn_version.fit_version(connection, as_of, SEED)
    if found is None:
        return "too few customers came back to learn from, or too few days; the chances stay empty"
    card, rehearsed = found
    in_use = current(engine, card.model, as_of)
    standing = None
    if in_use is not None:
        standing = rehearsed.of(ChurnModel.from_dict(in_use.card.parameters))
    promotion = promote_if_better(
        engine, card, churn_version.DECIDES, higher_is_better=True, in_use=in_use, in_use_value=standing,
        tolerance=TOLERANCE * (standing or 0.0),
    )  # fmt: skip
    return f"{_words(promotion)} {card.notes[0]}"


def _words(promotion: Promotion) -> str:
    if promotion.is_new:
        return f"version {promotion.in_use.version} is taken into use ({promotion.reason})."
    return f"the new version is worse ({promotion.reason}); {promotion.in_use.version} stays in use."


def _drift(version: Version, customers: Customers) -> dict[str, float]:
    values = churn_version.drifting(customers, ChurnModel.from_dict(version.card.parameters))
    return {name: psi(Reference.from_dict(known), values[name]) for name, known in version.card.inputs.items()}


def _batches(
    customers: Customers, value: Version | None, churn: Version | None, as_of: date
) -> Iterator[pa.RecordBatch]:
    """Scores of all customers in the order of `customers`, so many at a time."""
    known, rows = customers.known, len(customers.known)
    counting = clv_version.read_version(value.card) if value else None
    histories = known.histories()
    by_history = _of_histories(counting, histories) if counting else None
    model = ChurnModel.from_dict(churn.card.parameters) if churn else None
    for start in range(0, rows, CHUNK):
        part = slice(start, min(start + CHUNK, rows))
        n = part.stop - part.start
        columns: dict[str, object] = {name: pa.nulls(n, SCHEMA.field(name).type) for name in SCHEMA.names}
        columns["customer_id"] = customers.ids[start : part.stop].combine_chunks().cast(pa.string())
        columns["as_of"] = pa.array([as_of] * n, pa.date32())
        if value is not None and counting is not None and by_history is not None:
            columns |= _value_columns(counting, by_history, histories, customers, part, as_of)
            columns["model_version"] = pa.array([value.version] * n)
        if churn is not None and model is not None:
            columns["churn_probability"] = 1.0 - model.p_return(known.part(part))
            columns["churn_horizon_days"] = pa.array([model.horizon_days] * n, pa.int32())
            columns["churn_model_version"] = pa.array([churn.version] * n)
        yield pa.RecordBatch.from_pydict({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


@dataclass(frozen=True)
class _OfHistories:
    """Figures by history: purchases of a quarter and of a year, and weeks to the next one at three levels."""

    quarter: clv.Purchases
    year: clv.Purchases
    waiting: tuple[np.ndarray, np.ndarray, np.ndarray]


def _of_histories(counting: Clv, histories: clv.Histories) -> _OfHistories:
    fitted = counting.counting
    levels = ((1 - clv.LEVEL) / 2, 0.5, (1 + clv.LEVEL) / 2)
    earliest, due, latest = (
        np.concatenate(
            [fitted.model.waiting_quantile(fitted.theta, block, level) for block in clv.blocks(histories)]
            or [np.empty(0)]
        )
        for level in levels
    )
    return _OfHistories(
        clv.predict(fitted, histories, HORIZON_DAYS / clv.DAYS_PER_PERIOD, SEED),
        clv.predict(fitted, histories, YEAR_DAYS / clv.DAYS_PER_PERIOD, SEED),
        (earliest, due, latest),
    )


def _value_columns(
    counting: Clv, figures: _OfHistories, histories: clv.Histories, customers: Customers, part: slice, as_of: date
) -> dict[str, object]:
    group = histories.group[part]
    quarter = figures.quarter
    columns: dict[str, object] = {
        "p_alive": quarter.p_alive[group],
        "expected_orders_90d": quarter.expected[group],
        "expected_orders_90d_low": quarter.low[group],
        "expected_orders_90d_high": quarter.high[group],
    }
    for name, weeks in zip(
        ("next_order_earliest", "next_order_due", "next_order_latest"), figures.waiting, strict=True
    ):
        columns[name] = _dates(as_of, weeks[group])
    if counting.value is not None:
        days, worth = customers.known.order_days[part], customers.value_per_day[part]
        spend = clv.spend(counting.value, figures.year, group, days, worth)
        columns |= dict(zip(_MONEY, (spend.expected, spend.low, spend.high), strict=True))
    return columns


def _dates(as_of: date, weeks: np.ndarray) -> pa.Array:
    """The day so many weeks after `as_of`, at least the next; null beyond LATEST_DUE_DAYS."""
    days = np.maximum(np.ceil(weeks * clv.DAYS_PER_PERIOD), 1.0)
    is_foreseen = days <= LATEST_DUE_DAYS
    epoch = (as_of - date(1970, 1, 1)).days
    numbers = np.where(is_foreseen, epoch + days, 0).astype(np.int32)
    return pa.array(numbers, pa.int32(), mask=~is_foreseen).cast(pa.date32())
