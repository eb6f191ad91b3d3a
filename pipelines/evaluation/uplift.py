"""An experiment of the user's own: what may be said of it, or why nothing may."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import chi2_contingency

from models.uplift import Assessment, UpliftSettings, assess, encode_covariates
from models.uplift.experiment import Effect
from pipelines.errors import ConfigurationError
from pipelines.evaluation.tables import parse_map, read_columns, read_table

FIELDS = ("treated", "outcome")
_TREATED = ("1", "1.0", "true", "t", "yes", "y", "treated", "treatment", "test", "实验", "实验组", "是")
_CONTROL = (
    "0", "0.0", "false", "f", "no", "n", "control", "c", "held_out", "holdout", "untreated", "对照", "对照组", "否",
)  # fmt: skip


@dataclass(frozen=True)
class UpliftMeasured:
    """rows: of the file; without_outcome: rows left out, as their outcome is unknown. seconds: wall clock."""

    assessment: Assessment
    rows: int
    without_outcome: int
    covariates: list[str]
    left_out: list[str]
    level: float
    seconds: float

    def row(self) -> dict[str, Any]:
        """One flat record."""
        found = self.assessment
        record: dict[str, Any] = {
            "verdict": found.verdict,
            "reason": "; ".join(found.reasons) or None,
            "rows": self.rows,
            "without_outcome": self.without_outcome,
            "treated": found.treated,
            "control": found.control,
            "expected_share": _rounded(found.expected_share),
            "srm_p_value": _rounded(found.srm_p_value),
            "balance_p_value": _rounded(found.balance_p_value),
            "mean_treated": _rounded(found.mean_treated),
            "mean_control": _rounded(found.mean_control),
            "interval": self.level,
        }
        record |= _effect("", found.effect) | _effect("cuped_", found.adjusted)
        targeting = found.targeting
        record |= {
            "variance_reduction": _rounded(found.variance_reduction),
            "qini": _rounded(targeting.qini) if targeting else None,
            "qini_random_95": _rounded(targeting.random_high) if targeting else None,
            "qini_p_value": _rounded(targeting.p_value) if targeting else None,
            "targeting_claimed": found.targeting_claimed,
            "top_fifth_effect": _rounded(targeting.top_effect) if targeting else None,
            "rest_effect": _rounded(targeting.rest_effect) if targeting else None,
            "covariates": ", ".join(self.covariates) or None,
            "columns_left_out": ", ".join(self.left_out) or None,
            "seconds": round(self.seconds, 2),
        }
        return record


def evaluate_uplift(data: Path, map_text: str | None, planned_share: float | None = None) -> UpliftMeasured:
    """Assess the experiment in a file. Raises ConfigurationError for wrong usage; a refusal is an answer, no fault."""
    if planned_share is not None and not 0 < planned_share < 1:
        raise ConfigurationError(f"--share is {planned_share:g}; give the part to be treated, between 0 and 1.")
    mapping = parse_map(map_text, FIELDS)
    named = {field: mapping.get(field, field) for field in FIELDS}
    columns = read_columns(data)
    for field, column in named.items():
        if column not in columns:
            hint = (
                f"--map: {data.name} has no column {column!r}"
                if field in mapping
                else f"--map: say which column is {field}"
            )
            raise ConfigurationError(f"{hint}, as {field}=COLUMN; it has {', '.join(columns)}.")
    if named["treated"] == named["outcome"]:
        raise ConfigurationError(f"--map: {named['outcome']!r} is the outcome; it cannot be treated too.")
    others = [column for column in columns if column not in named.values()]
    # A covariate may bear a field's name.
    aliases = {f"covariate {column}": column for column in others}
    table = read_table(data, named | aliases, (*FIELDS, *aliases))
    started = time.perf_counter()
    treated = _treated(table["treated"], data)
    outcome = _outcome(table["outcome"], data)
    known = ~np.isnan(outcome)
    if not known.any():
        raise ConfigurationError(f"--data: no row of {data.name} has an outcome; there is nothing to measure.")
    settings = UpliftSettings()
    lost = _attrition(treated, known, settings.broken_below)
    if lost is not None:
        assessment = Assessment("refused", (lost,), int(treated[known].sum()), int((~treated[known]).sum()))
        used: list[str] = []
        left_out: list[str] = []
    else:
        matrix, used, left_out = encode_covariates(
            table.select(list(aliases)).rename_columns(others).filter(pa.array(known))
        )
        assessment = assess(outcome[known], treated[known], matrix, planned_share=planned_share, settings=settings)
    return UpliftMeasured(
        assessment, table.num_rows, int((~known).sum()), used, left_out, settings.level, time.perf_counter() - started
    )


def _treated(values: pa.ChunkedArray, data: Path) -> np.ndarray:
    text = pc.utf8_lower(pc.utf8_trim_whitespace(values.cast(pa.string()))).combine_chunks()
    is_treated = np.asarray(pc.is_in(text, pa.array(_TREATED)))
    wrong = np.flatnonzero(~(is_treated | np.asarray(pc.is_in(text, pa.array(_CONTROL)))))
    if len(wrong):
        raise ConfigurationError(
            f"--data: {data.name}, row {wrong[0] + 1}: treated must be 1 or 0 (or true or false, treatment or control)."
        )
    return is_treated


def _outcome(values: pa.ChunkedArray, data: Path) -> np.ndarray:
    """Numbers, with yes and no as 1 and 0; NaN where empty."""
    with duckdb.connect() as connection:
        connection.register("given", pa.table({"outcome": values.cast(pa.string())}))
        found = connection.execute(
            """
            select
                nullif(trim(outcome), '') is null as is_empty,
                case lower(trim(outcome))
                    when 'true' then 1.0 when 'yes' then 1.0 when 'false' then 0.0 when 'no' then 0.0
                    else try_cast(trim(outcome) as double)
                end as value
            from given
            """
        ).fetchnumpy()
    number = np.ma.filled(np.ma.asarray(found["value"], dtype=np.float64), np.nan)
    wrong = np.flatnonzero(~np.asarray(found["is_empty"], dtype=bool) & ~np.isfinite(number))
    if len(wrong):
        raise ConfigurationError(f"--data: {data.name}, row {wrong[0] + 1}: outcome is no number.")
    return number


def _attrition(treated: np.ndarray, known: np.ndarray, broken_below: float) -> str | None:
    """Why rows without an outcome spoil the comparison, if they do: more of one group are missing."""
    if known.all() or treated.all() or not treated.any():
        return None
    counts = np.array([[(known & group).sum(), (~known & group).sum()] for group in (treated, ~treated)])
    p_value = float(chi2_contingency(counts, correction=True).pvalue)
    if p_value >= broken_below:
        return None
    shares = counts[:, 1] / counts.sum(axis=1)
    return (
        f"the outcome is missing for {shares[0]:.1%} of the treated and {shares[1]:.1%} of the control "
        f"(p = {p_value:.1g}): those who are left are no draw any more"
    )


def _effect(prefix: str, effect: Effect | None) -> dict[str, float | None]:
    names = {
        "effect": "estimate",
        "standard_error": "standard_error",
        "ci_low": "low",
        "ci_high": "high",
        "p_value": "p_value",
    }
    return {
        prefix + name: _rounded(getattr(effect, attribute)) if effect else None for name, attribute in names.items()
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")
