"""SQL of the page of models: versions, their figures beside simple rules, calibration, drift."""

from __future__ import annotations

VERSIONS = """
SELECT model, version, status, as_of, window_start, rows, reason, notes, protocol
FROM model_versions
ORDER BY model, as_of DESC, registered_at DESC
LIMIT 100
"""

IN_USE = "SELECT model, version FROM model_versions WHERE status = 'in_use' ORDER BY model"

METRICS = """
SELECT metric, predictor, value
FROM model_metrics
WHERE version = $version AND value IS NOT NULL
ORDER BY metric, predictor <> 'model', predictor
"""

CALIBRATION = """
SELECT position, bin AS "group", predicted, actual, members
FROM model_calibration
WHERE version = $version
ORDER BY position
"""

DRIFT = """
SELECT as_of, input, psi, is_warning AS warning
FROM model_drift
WHERE model = $model AND as_of = (SELECT max(newest.as_of) FROM model_drift AS newest WHERE newest.model = $model)
ORDER BY psi DESC, input
"""
