"""The marts that show models to readers: versions, their figures beside the simple rules', calibration, drift."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from pipelines.scoring.cards import Card
from pipelines.scoring.versions import DRIFT_WARNING, model_drift, model_versions

MODEL = "model"
"""Name of the model itself among the predictors of `model_metrics`; the others are simple rules."""

MODEL_MARTS: dict[str, pa.Schema] = {
    "model_versions": pa.schema(
        [
            ("model", pa.string()),
            ("version", pa.string()),
            ("as_of", pa.date32()),
            ("window_start", pa.date32()),
            ("window_end", pa.date32()),
            ("rows", pa.int64()),
            ("seed", pa.int64()),
            ("status", pa.string()),
            ("reason", pa.string()),
            ("protocol", pa.string()),
            ("notes", pa.string()),
            ("parameters", pa.string()),
            ("card", pa.string()),
            ("registered_at", pa.timestamp("us")),
        ]
    ),
    "model_metrics": pa.schema(
        [
            ("model", pa.string()),
            ("version", pa.string()),
            ("metric", pa.string()),
            ("predictor", pa.string()),
            ("value", pa.float64()),
        ]
    ),
    "model_calibration": pa.schema(
        [
            ("model", pa.string()),
            ("version", pa.string()),
            ("position", pa.int32()),
            ("bin", pa.string()),
            ("predicted", pa.float64()),
            ("actual", pa.float64()),
            ("members", pa.int64()),
        ]
    ),
    "model_drift": pa.schema(
        [
            ("model", pa.string()),
            ("as_of", pa.date32()),
            ("input", pa.string()),
            ("version", pa.string()),
            ("psi", pa.float64()),
            ("is_warning", pa.bool_()),
        ]
    ),
}


def model_marts(engine: sa.Engine) -> dict[str, pa.Table]:
    """Rows of the marts of MODEL_MARTS, by name.

    model_versions: one row per (model, version); status is in_use, retired (was in use), or refused (was never).
    model_metrics: one row per (model, version, metric, predictor). model_calibration: one row per (model, version,
    position). model_drift: one row per (model, as_of, input).
    """
    with engine.connect() as connection:
        versions = connection.execute(
            sa.select(model_versions).order_by(
                model_versions.c.model, model_versions.c.as_of, model_versions.c.registered_at, model_versions.c.version
            )
        ).all()
        drift = connection.execute(sa.select(model_drift).order_by(*model_drift.primary_key.columns)).mappings().all()
    in_use = {row.model: row.version for row in versions if row.is_promoted}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in MODEL_MARTS}
    for row in versions:
        card = Card.from_json(row.card)
        key = {"model": row.model, "version": row.version}
        once = "retired" if row.is_promoted else "refused"
        status = "in_use" if in_use.get(row.model) == row.version else once
        rows["model_versions"].append(
            key
            | {name: getattr(card, name) for name in ("as_of", "window_start", "window_end", "rows", "seed")}
            | {"status": status, "reason": row.reason, "protocol": card.protocol, "notes": "\n".join(card.notes)}
            | {"parameters": json.dumps(card.parameters, sort_keys=True), "card": row.card}
            | {"registered_at": row.registered_at}
        )
        for predictor, metrics in ((MODEL, card.metrics), *card.baselines.items()):
            rows["model_metrics"] += [
                key | {"metric": metric, "predictor": predictor, "value": value} for metric, value in metrics.items()
            ]
        rows["model_calibration"] += [
            key
            | {"position": position, "bin": point.group, "predicted": point.predicted, "actual": point.actual}
            | {"members": point.members}
            for position, point in enumerate(card.calibration, start=1)
        ]
    rows["model_drift"] = [{**row, "is_warning": row["psi"] >= DRIFT_WARNING} for row in drift]
    return {name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in MODEL_MARTS.items()}
