"""Configuration as tables: channels, the settings of a run, RFM scores and named segments.

Belongs here: reading and checking segments.yml, and writing the schema `reference` that dbt reads. Does not belong
here: channels.yml itself (pipelines.channels) and anything computed from orders (dbt).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import duckdb
import yaml

from pipelines.channels import Channels
from pipelines.errors import ConfigurationError
from pipelines.figure_settings import load_figure_settings
from pipelines.settings import PACKAGED_REFERENCE, Settings
from pipelines.survivorship import survivorship_tables

TABLES = (
    "channels", "run_settings", "rfm_settings", "rfm_cutoffs", "rfm_cells", "segments", "figure_settings",
    "attribution_weights", "golden_rules", "golden_sources", "consent_rules",
)  # fmt: skip
"""What `load_reference` writes into schema `reference`."""

SCORES = (1, 2, 3, 4, 5)
METHODS = ("fixed", "quantiles")
LIFECYCLE_STAGES = ("new", "active", "at_risk", "dormant", "lost")
LIFECYCLE_METHODS = ("fixed", "rhythm")
_LIFECYCLE_DAYS = ("new_days", "active_days", "at_risk_days", "dormant_days")
_LIFECYCLE_GAPS = {"active_gaps": Decimal(2), "at_risk_gaps": Decimal(3), "dormant_gaps": Decimal(6)}
_LEAST_REPEATERS = 30

Cell = tuple[int, int, int]


@dataclass(frozen=True)
class Segment:
    """A named audience. `cells` are its (r, f, m) scores, or None for a lifecycle stage."""

    name: str
    name_zh: str
    name_en: str
    definition_zh: str
    definition_en: str
    cells: frozenset[Cell] | None


@dataclass(frozen=True)
class SegmentRules:
    """segments.yml, checked.

    Cutoffs stand for the scores 2 to 5 in that order: at most so many days since the last qualified order, at least
    so many qualified orders, at least so much net sales after returns in the reporting currency.
    lifecycle_gaps: multiples of a customer's own gap after which active, at risk and dormant end, by method `rhythm`;
    below least_repeaters customers who came again lifecycle_days count instead, as by method `fixed`.
    """

    path: Path
    method: str
    recency_days: tuple[int, ...]
    frequency: tuple[int, ...]
    monetary: tuple[Decimal, ...]
    lifecycle_method: str
    lifecycle_days: tuple[int, ...]
    lifecycle_gaps: tuple[Decimal, ...]
    least_repeaters: int
    keep_daily_days: int
    segments: tuple[Segment, ...]


def find_segments_file(settings: Settings) -> Path:
    """HOME/reference/segments.yml, else the one that comes with the project."""
    own = settings.home / "reference" / "segments.yml"
    return own if own.is_file() else PACKAGED_REFERENCE / "segments.yml"


def load_segment_rules(settings: Settings) -> SegmentRules:
    """Read and check segments.yml. Raises ConfigurationError naming the file, the entry and the remedy.

    Every cell of r, f and m scores must belong to exactly one segment, and no segment may bear the name of a
    lifecycle stage, since both are audiences in one namespace.
    """
    path = find_segments_file(settings)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    top = _mapping(path, "the file", content)
    rfm = _mapping(path, "rfm", top.get("rfm"))
    method = rfm.get("method", "fixed")
    if method not in METHODS:
        raise ConfigurationError(f"{path}: rfm.method is {method!r}; choose one of {', '.join(METHODS)}.")
    recency_days = tuple(int(value) for value in _cutoffs(path, rfm, "recency_days", whole=True))
    frequency = tuple(int(value) for value in _cutoffs(path, rfm, "frequency", whole=True))
    monetary = _cutoffs(path, rfm, "monetary", whole=False)
    lifecycle = _mapping(path, "lifecycle", top.get("lifecycle"))
    lifecycle_days = tuple(_days(path, f"lifecycle.{name}", lifecycle.get(name)) for name in _LIFECYCLE_DAYS)
    if any(shorter >= longer for shorter, longer in pairwise(lifecycle_days)):
        raise ConfigurationError(f"{path}: lifecycle days must grow: {' < '.join(_LIFECYCLE_DAYS)}.")
    # A file from before there was a choice speaks of days alone.
    lifecycle_method = lifecycle.get("method", "fixed")
    if lifecycle_method not in LIFECYCLE_METHODS:
        raise ConfigurationError(
            f"{path}: lifecycle.method is {lifecycle_method!r}; choose one of {', '.join(LIFECYCLE_METHODS)}."
        )
    lifecycle_gaps = tuple(_gaps(path, name, lifecycle.get(name, usual)) for name, usual in _LIFECYCLE_GAPS.items())
    if any(shorter >= longer for shorter, longer in pairwise(lifecycle_gaps)):
        raise ConfigurationError(f"{path}: lifecycle gaps must grow: {' < '.join(_LIFECYCLE_GAPS)}.")
    snapshots = _mapping(path, "snapshots", top.get("snapshots", {}))
    rules = SegmentRules(
        path=path,
        method=method,
        # The file lists what earns 5, 4, 3, 2 by days and 2, 3, 4, 5 by orders and money: both from strict to lax
        # would read oddly for one of them. Here all stand for 2 to 5.
        recency_days=tuple(reversed(recency_days)),
        frequency=frequency,
        monetary=monetary,
        lifecycle_method=lifecycle_method,
        lifecycle_days=lifecycle_days,
        lifecycle_gaps=lifecycle_gaps,
        least_repeaters=_days(path, "lifecycle.least_repeaters", lifecycle.get("least_repeaters", _LEAST_REPEATERS)),
        keep_daily_days=_days(path, "snapshots.keep_daily_days", snapshots.get("keep_daily_days", 62)),
        segments=(),
    )
    segments = (*_segments(path, top.get("segments"), rules), *_lifecycle_stages(path, lifecycle, rules))
    names = [segment.name for segment in segments]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: the name {name!r} is used twice among segments and lifecycle stages.")
    _check_cells(path, segments)
    return SegmentRules(**{**rules.__dict__, "segments": segments})


def load_reference(
    connection: duckdb.DuckDBPyConnection, settings: Settings, channels: Channels, as_of: date
) -> SegmentRules:
    """Write the schema `reference` of the open warehouse, whole, in one transaction.

    Tables: channels, run_settings (one row), rfm_settings (one row), rfm_cutoffs (scores 2 to 5), rfm_cells (125
    rows), segments, figure_settings (one row), attribution_weights (a row a role). Raises ConfigurationError if
    segments.yml or figures.yml is wrong or a time zone is one that the database does not
    know; nothing is written then.
    """
    rules = load_segment_rules(settings)
    figures = load_figure_settings(settings)
    _check_timezones(connection, channels)
    tables: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
        "channels": (
            "channel VARCHAR, name VARCHAR, kind VARCHAR, brand VARCHAR, is_online BOOLEAN, timezone VARCHAR, "
            "business_day_cutoff TIME, currency VARCHAR",
            [
                (
                    channel.id,
                    channel.name,
                    channel.kind,
                    channel.brand,
                    channel.online,
                    channel.timezone,
                    channel.business_day_cutoff,
                    channel.currency,
                )
                for channel in channels.channels.values()
            ],
        ),
        "run_settings": (
            "as_of DATE, reporting_currency VARCHAR, timezone VARCHAR",
            [(as_of, channels.reporting_currency, channels.timezone)],
        ),
        "rfm_settings": (
            "method VARCHAR, new_days INTEGER, active_days INTEGER, at_risk_days INTEGER, dormant_days INTEGER, "
            "keep_daily_days INTEGER, lifecycle_method VARCHAR, active_gaps DECIMAL(6, 2), at_risk_gaps DECIMAL(6, 2), "
            "dormant_gaps DECIMAL(6, 2), least_repeaters INTEGER",
            [
                (
                    rules.method,
                    *rules.lifecycle_days,
                    rules.keep_daily_days,
                    rules.lifecycle_method,
                    *rules.lifecycle_gaps,
                    rules.least_repeaters,
                )
            ],
        ),
        "rfm_cutoffs": (
            "score INTEGER, recency_days INTEGER, frequency INTEGER, monetary DECIMAL(18,2)",
            list(zip(SCORES[1:], rules.recency_days, rules.frequency, rules.monetary, strict=True)),
        ),
        "rfm_cells": (
            "r_score INTEGER, f_score INTEGER, m_score INTEGER, segment VARCHAR",
            [(*cell, segment.name) for segment in rules.segments for cell in sorted(segment.cells or ())],
        ),
        "segments": (
            "segment VARCHAR, kind VARCHAR, position INTEGER, name_zh VARCHAR, name_en VARCHAR, "
            "definition_zh VARCHAR, definition_en VARCHAR",
            [
                (
                    segment.name,
                    "lifecycle" if segment.cells is None else "rfm",
                    position,
                    segment.name_zh,
                    segment.name_en,
                    segment.definition_zh,
                    segment.definition_en,
                )
                for position, segment in enumerate(rules.segments, start=1)
            ],
        ),
    }
    tables |= figures.tables()
    tables |= survivorship_tables(settings, channels)
    connection.begin()
    try:
        connection.execute("CREATE SCHEMA IF NOT EXISTS reference")
        for name, (columns, rows) in tables.items():
            connection.execute(f"CREATE OR REPLACE TABLE reference.{name} ({columns})")
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO reference.{name} VALUES ({marks})", rows)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return rules


def _check_timezones(connection: duckdb.DuckDBPyConnection, channels: Channels) -> None:
    # Python's list of zones may be newer than DuckDB's; an unknown zone would end a query half-way through the run.
    known = {name for (name,) in connection.execute("SELECT name FROM pg_timezone_names()").fetchall()}
    for channel in channels.channels.values():
        if channel.timezone not in known:
            raise ConfigurationError(
                f"{channels.path}: channel {channel.id!r} has timezone {channel.timezone!r}, which this DuckDB does "
                "not know; give another name of the same zone, such as Asia/Shanghai."
            )
    if channels.timezone not in known:
        raise ConfigurationError(
            f"{channels.path}: timezone {channels.timezone!r} is unknown to this DuckDB; give another name of it."
        )


def _mapping(path: Path, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: {where} must be a mapping of names to values.")
    return value


def _days(path: Path, where: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 36_500:
        raise ConfigurationError(f"{path}: {where} is {value!r}; give a whole number of days, 0 to 36500.")
    return value


def _gaps(path: Path, name: str, value: Any) -> Decimal:
    try:
        gaps = Decimal(str(value))
    except InvalidOperation:
        gaps = Decimal(0)
    if not gaps.is_finite() or not 0 < gaps <= 1000 or isinstance(value, bool):
        raise ConfigurationError(f"{path}: lifecycle.{name} is {value!r}; give a number above 0, at most 1000.")
    return gaps


def _cutoffs(path: Path, rfm: dict[str, Any], name: str, *, whole: bool) -> tuple[Decimal, ...]:
    values = rfm.get(name)
    wanted = f"{path}: rfm.{name} must list {len(SCORES) - 1} {'whole ' if whole else ''}numbers that grow"
    if not isinstance(values, list) or len(values) != len(SCORES) - 1:
        raise ConfigurationError(f"{wanted}; found {values!r}.")
    try:
        cutoffs = tuple(Decimal(str(value)) for value in values)
    except InvalidOperation as error:
        raise ConfigurationError(f"{wanted}; found {values!r}.") from error
    grows = all(lower < higher for lower, higher in pairwise(cutoffs))
    in_range = all(cutoff.is_finite() and 0 <= cutoff < 10**9 for cutoff in cutoffs)
    if not in_range or not grows or (whole and any(cutoff % 1 for cutoff in cutoffs)):
        raise ConfigurationError(f"{wanted}; found {values!r}.")
    return cutoffs


def _names(path: Path, where: str, entry: dict[str, Any]) -> tuple[str, str]:
    names = (entry.get("zh"), entry.get("en"))
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ConfigurationError(f"{path}: {where} needs a name in both languages, `zh` and `en`.")
    return str(names[0]), str(names[1])


def _segments(path: Path, entries: Any, rules: SegmentRules) -> list[Segment]:
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{path} needs a list `segments:`.")
    segments = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError(f"{path}: segment number {number} has no `name`.")
        where = f"segment {name!r}"
        blocks = entry.get("cells")
        blocks = blocks if isinstance(blocks, list) else [blocks]
        cells = [cell for block in blocks for cell in _cells(path, where, block)]
        if not cells:
            raise ConfigurationError(f"{path}: {where} has no cells; give r, f and m scores or leave the segment out.")
        repeated = {cell for cell in cells if cells.count(cell) > 1}
        if repeated:
            raise ConfigurationError(f"{path}: {where} lists cell {_cell_text(min(repeated))} twice.")
        name_zh, name_en = _names(path, where, entry)
        given = entry.get("definition", {})
        if not isinstance(given, dict):
            raise ConfigurationError(f"{path}: definition of {where} must give `zh` and `en`.")
        segments.append(
            Segment(
                name,
                name_zh,
                name_en,
                str(given.get("zh") or "；或".join(_block_text(path, where, block, rules, "zh") for block in blocks)),
                str(given.get("en") or "; or ".join(_block_text(path, where, block, rules, "en") for block in blocks)),
                frozenset(cells),
            )
        )
    return segments


def _scores(path: Path, where: str, block: Any, measure: str) -> list[int]:
    if not isinstance(block, dict) or not set(block) <= {"r", "f", "m"}:
        raise ConfigurationError(f"{path}: cells of {where} must be given as lists of scores for r, f and m.")
    scores = block.get(measure, list(SCORES))
    if not isinstance(scores, list) or not scores or not all(score in SCORES for score in scores):
        raise ConfigurationError(f"{path}: {measure} scores of {where} are {scores!r}; list scores from 1 to 5.")
    return [int(score) for score in scores]


def _cells(path: Path, where: str, block: Any) -> list[Cell]:
    r, f, m = (_scores(path, where, block, measure) for measure in "rfm")
    return list(product(r, f, m))


def _check_cells(path: Path, segments: tuple[Segment, ...]) -> None:
    for cell in product(SCORES, SCORES, SCORES):
        owners = [segment.name for segment in segments if segment.cells and cell in segment.cells]
        if not owners:
            raise ConfigurationError(
                f"{path}: no segment has the cell {_cell_text(cell)}; every cell must belong to exactly one."
            )
        if len(owners) > 1:
            raise ConfigurationError(
                f"{path}: the cell {_cell_text(cell)} is in {' and '.join(owners)}; it must belong to exactly one."
            )


def _cell_text(cell: Cell) -> str:
    return f"r={cell[0]}, f={cell[1]}, m={cell[2]}"


_MEASURE_TEXT = {
    "zh": {
        "r": ("距上次购买 {0} 天以内", "距上次购买超过 {0} 天", "距上次购买 {0} 至 {1} 天"),
        "f": ("订单至少 {0} 笔", "订单不足 {0} 笔", "订单 {0} 至 {1} 笔"),
        "m": ("净额不低于 {0}", "净额低于 {0}", "净额 {0} 至 {1} 以下"),
    },
    "en": {
        "r": ("last order within {0} days", "last order over {0} days ago", "last order {0} to {1} days ago"),
        "f": ("at least {0} orders", "fewer than {0} orders", "{0} to {1} orders"),
        "m": ("net {0} or more", "net below {0}", "net {0} to below {1}"),
    },
}

_EXACTLY = {"zh": "订单 {0} 笔", "en": "{0} orders"}


def _block_text(path: Path, where: str, block: Any, rules: SegmentRules, language: str) -> str:
    """A block of cells in words: the cutoffs where they are fixed and the scores adjoin, else the scores."""
    parts = []
    for measure in "rfm":
        scores = sorted(set(_scores(path, where, block, measure)))
        if scores == list(SCORES):
            continue
        if rules.method == "fixed" and scores == list(range(scores[0], scores[-1] + 1)):
            parts.append(_range_text(measure, scores[0], scores[-1], rules, language))
        else:
            parts.append(f"{measure.upper()} {'/'.join(map(str, scores))}")
    joiner, everybody = ("，", "所有买家") if language == "zh" else (", ", "every buyer")
    return joiner.join(parts) or everybody


def _range_text(measure: str, low: int, high: int, rules: SegmentRules, language: str) -> str:
    top_open, bottom_open, between = _MEASURE_TEXT[language][measure]
    if measure == "r":
        if high == SCORES[-1]:
            return top_open.format(rules.recency_days[low - 2])
        nearest = rules.recency_days[high - 1]
        return bottom_open.format(nearest) if low == 1 else between.format(nearest + 1, rules.recency_days[low - 2])
    cutoffs = rules.frequency if measure == "f" else rules.monetary
    if high == SCORES[-1]:
        return top_open.format(cutoffs[low - 2])
    above = cutoffs[high - 1]
    if low == 1:
        return bottom_open.format(above)
    if measure == "f" and cutoffs[low - 2] == above - 1:
        return _EXACTLY[language].format(cutoffs[low - 2])
    return between.format(cutoffs[low - 2], above - 1 if measure == "f" else above)


def _lifecycle_stages(path: Path, lifecycle: dict[str, Any], rules: SegmentRules) -> list[Segment]:
    names = _mapping(path, "lifecycle.names", lifecycle.get("names"))
    new, active, at_risk, dormant = (lifecycle[name] for name in _LIFECYCLE_DAYS)
    definitions = {
        "new": (f"首次购买在 {new} 天以内", f"first order within {new} days"),
        "active": (f"首次购买更早，上次购买在 {active} 天以内", f"older, last order within {active} days"),
        "at_risk": (f"距上次购买 {active + 1} 至 {at_risk} 天", f"last order {active + 1} to {at_risk} days ago"),
        "dormant": (f"距上次购买 {at_risk + 1} 至 {dormant} 天", f"last order {at_risk + 1} to {dormant} days ago"),
        "lost": (f"距上次购买超过 {dormant} 天", f"last order over {dormant} days ago"),
    }
    if rules.lifecycle_method == "rhythm":
        first, second, third = (f"{gaps.normalize():f}" for gaps in rules.lifecycle_gaps)
        definitions |= {
            "active": (
                f"首次购买更早，距上次购买不超过本人惯常间隔的 {first} 倍",
                f"older, last order within {first} of the own usual gaps",
            ),
            "at_risk": (
                f"距上次购买为本人惯常间隔的 {first} 至 {second} 倍",
                f"last order {first} to {second} own usual gaps ago",
            ),
            "dormant": (
                f"距上次购买为本人惯常间隔的 {second} 至 {third} 倍",
                f"last order {second} to {third} own usual gaps ago",
            ),
            "lost": (f"距上次购买超过本人惯常间隔的 {third} 倍", f"last order over {third} own usual gaps ago"),
        }
    stages = []
    for stage in LIFECYCLE_STAGES:
        where = f"lifecycle.names.{stage}"
        name_zh, name_en = _names(path, where, _mapping(path, where, names.get(stage)))
        stages.append(Segment(stage, name_zh, name_en, *definitions[stage], None))
    return stages
