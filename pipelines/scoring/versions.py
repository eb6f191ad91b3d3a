"""Registered versions, which of them is in use, and how far tonight's inputs drifted from what it learned.

A version is promoted or refused when it is registered, and stays so: which one is in use on a date follows from the
promotions up to it, so that a run for an earlier date never scores with a model that knows its future.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from pipelines.runs import now
from pipelines.scoring.cards import Card
from pipelines.state import metadata

model_versions = sa.Table(
    "model_versions",
    metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("version", sa.String, primary_key=True),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("registered_at", sa.DateTime, nullable=False),
    sa.Column("is_promoted", sa.Boolean),
    sa.Column("reason", sa.String),
    sa.Column("card", sa.Text, nullable=False),
)

model_drift = sa.Table(
    "model_drift",
    metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("as_of", sa.Date, primary_key=True),
    sa.Column("input", sa.String, primary_key=True),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("psi", sa.Float, nullable=False),
)

DRIFT_WARNING = 0.25
"""Population stability index from which the literature speaks of a shift that calls for another fit (Siddiqi, Credit
Risk Scorecards, 2006; 0.1 to 0.25 is a slight one)."""


@dataclass(frozen=True)
class Version:
    """A registered version. is_promoted is None until it was decided upon."""

    model: str
    version: str
    card: Card
    is_promoted: bool | None
    reason: str | None


@dataclass(frozen=True)
class Promotion:
    """What a run goes on with. is_new: the candidate was promoted; reason says why, or why not, for people."""

    in_use: Version
    is_new: bool
    reason: str


def register(engine: sa.Engine, card: Card) -> str:
    """Record the card, undecided; returns its version. Registering the same card again changes nothing."""
    version = card.version
    with engine.begin() as connection:
        if _find(connection, card.model, version) is None:
            connection.execute(
                sa.insert(model_versions).values(
                    model=card.model, version=version, as_of=card.as_of, registered_at=now(), card=card.to_json()
                )
            )
    return version


def current(engine: sa.Engine, model: str, as_of: date) -> Version | None:
    """The version in use on a date: the last one that was promoted for that date or an earlier one."""
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(model_versions)
            .where(
                model_versions.c.model == model, model_versions.c.is_promoted.is_(True), model_versions.c.as_of <= as_of
            )
            .order_by(
                model_versions.c.as_of.desc(), model_versions.c.registered_at.desc(), model_versions.c.version.desc()
            )
            .limit(1)
        ).first()
    return _version(row) if row else None


def last_attempt(engine: sa.Engine, model: str, as_of: date) -> date | None:
    """The last date up to `as_of` for which a version was fitted, taken into use or not."""
    with engine.connect() as connection:
        found: date | None = connection.execute(
            sa.select(sa.func.max(model_versions.c.as_of)).where(
                model_versions.c.model == model, model_versions.c.as_of <= as_of
            )
        ).scalar()
    return found


def promote_if_better(
    engine: sa.Engine,
    card: Card,
    metric: str,
    *,
    higher_is_better: bool,
    in_use: Version | None,
    in_use_value: float | None = None,
    tolerance: float = 0.0,
) -> Promotion:
    """Register the card and take it into use unless it does worse than the version in use.

    metric: the one of `card.metrics` that decides. in_use: of `current`. in_use_value: the same metric of the version
    in use, measured on the very data that the candidate was measured on; where that can't be had, its own card's
    figure. tolerance: how much worse a candidate may be and still be taken, for its data are newer; in the metric's
    unit. A version that was decided upon keeps its decision.
    """
    version = register(engine, card)
    candidate = card.metrics.get(metric)
    standing = in_use_value
    if in_use is not None and standing is None:
        standing = in_use.card.metrics.get(metric)
    is_promoted, reason = _decide(candidate, standing, in_use, metric, higher_is_better, tolerance)
    with engine.begin() as connection:
        connection.execute(
            sa.update(model_versions)
            .where(
                model_versions.c.model == card.model,
                model_versions.c.version == version,
                model_versions.c.is_promoted.is_(None),
            )
            .values(is_promoted=is_promoted, reason=reason)
        )
        decided = _version(_find(connection, card.model, version))
    if decided.is_promoted or in_use is None:
        return Promotion(decided, True, decided.reason or reason)
    return Promotion(in_use, False, decided.reason or reason)


def record_drift(engine: sa.Engine, version: Version, as_of: date, psi: Mapping[str, float]) -> None:
    """Replace what is recorded of the model's drift on that date. psi: population stability index by input."""
    rows = [
        {"model": version.model, "as_of": as_of, "input": name, "version": version.version, "psi": value}
        for name, value in psi.items()
    ]
    with engine.begin() as connection:
        connection.execute(
            sa.delete(model_drift).where(model_drift.c.model == version.model, model_drift.c.as_of == as_of)
        )
        if rows:
            connection.execute(sa.insert(model_drift), rows)


def drifted(engine: sa.Engine, model: str, as_of: date) -> dict[str, float]:
    """Inputs and scores of the model that had drifted beyond DRIFT_WARNING on that date."""
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(model_drift.c.input, model_drift.c.psi)
            .where(
                model_drift.c.model == model, model_drift.c.as_of == as_of, model_drift.c.psi >= DRIFT_WARNING
            )
            .order_by(model_drift.c.psi.desc(), model_drift.c.input)
        )  # fmt: skip
        return {row.input: row.psi for row in rows}


def _decide(
    candidate: float | None,
    standing: float | None,
    in_use: Version | None,
    metric: str,
    higher_is_better: bool,
    tolerance: float,
) -> tuple[bool, str]:
    if in_use is None:
        return True, "first version"
    if standing is None or not math.isfinite(standing):
        return True, f"the version in use has no {metric}"
    if candidate is None or not math.isfinite(candidate):
        return False, f"has no {metric}, the version in use has {standing:.4g}"
    loss = standing - candidate if higher_is_better else candidate - standing
    words = f"{metric} {candidate:.4g}, the version in use {standing:.4g} on the same data"
    return loss <= tolerance, words


def _find(connection: sa.Connection, model: str, version: str) -> sa.Row | None:
    return connection.execute(
        sa.select(model_versions).where(model_versions.c.model == model, model_versions.c.version == version)
    ).first()


def _version(row: sa.Row | None) -> Version:
    if row is None:
        raise LookupError("The version was registered in this very step; its row must be there.")
    return Version(row.model, row.version, Card.from_json(row.card), row.is_promoted, row.reason)
