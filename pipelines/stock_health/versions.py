"""Versions of the demand model: when it is learned again, how it did, which one forecasts tonight.

Belongs here: rehearsal, promotion, and the file that a version's trees live in. Does not belong here: the mart.

A version's card is in the state database; what it learned is a file beneath the lake, which can be lost: then the
model is learned again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import sqlalchemy as sa

from models.demand import DemandModel, DemandSettings, Panel, fit
from models.demand.features import level_of
from models.demand.panel import any_known, mean_known
from models.demand.simple import naive, seasonal_naive
from models.evaluate.demand import Errors
from models.evaluate.drift import Reference, psi, reference_of
from pipelines.scoring import Card, current, promote_if_better, record_drift
from pipelines.settings import Settings
from pipelines.stock_health.history import DemandHistory

MODEL = "demand"
HORIZON = 14
DECIDES = "wape_of_sums"
"""What stock is ordered by is the sum of the fortnight."""
REFIT_DAYS = 28
TOLERANCE = 0.02
"""Share by which a newer version may do worse and still be taken: it knows what the other one doesn't."""
SETTINGS = DemandSettings(horizon=HORIZON, sampled_series=1_000, boosted_rows=30_000)
KEPT_FILES = 6
PROTOCOL = (
    "Learned from what lies before the newest 14 days, compared with these days; days without stock are not scored. "
    "Prices and campaigns of these days are known."
)


def model_of_tonight(
    settings: Settings, engine: sa.Engine, history: DemandHistory, as_of: date
) -> tuple[DemandModel, str, str]:
    """The model in use, learned anew where one is due: (model, version, words for people)."""
    in_use = current(engine, MODEL, as_of)
    model = _load(settings, in_use.version) if in_use is not None else None
    if model is not None and model.settings != SETTINGS:
        model = None
    sample = history.panel(0, min(history.n_series, SETTINGS.sampled_series))
    words = "as before"
    if in_use is None or model is None or (as_of - in_use.card.as_of).days >= REFIT_DAYS:
        learned, card = _learn(sample, history, as_of)
        standing = getattr(_rehearse(model, sample)[0], DECIDES) if model is not None else None
        _save(settings, card.version, learned)
        promotion = promote_if_better(
            engine, card, DECIDES, higher_is_better=False, in_use=in_use if model is not None else None,
            in_use_value=standing, tolerance=TOLERANCE * (standing or 0.0),
        )  # fmt: skip
        if model is None or promotion.is_new:
            model = learned
            words = f"version {promotion.in_use.version} is taken into use ({promotion.reason}). {card.notes[0]}"
        else:
            words = f"the new version is worse ({promotion.reason}); {promotion.in_use.version} stays in use."
        in_use = promotion.in_use
    inputs = {name: Reference.from_dict(known) for name, known in in_use.card.inputs.items()}
    found = _inputs(sample)
    record_drift(engine, in_use, as_of, {name: psi(known, found[name]) for name, known in inputs.items()})
    return model, in_use.version, words


def _learn(sample: Panel, history: DemandHistory, as_of: date) -> tuple[DemandModel, Card]:
    rehearsed, simple, covered = _rehearse(None, sample)
    learned = fit(sample, SETTINGS)
    ours, best = getattr(rehearsed, DECIDES), _least(getattr(errors, DECIDES) for errors in simple.values())
    notes = ["Too little was sold to rehearse on; the newest value is repeated."]
    if ours is not None and best is not None:
        wins = ours < best
        learned = replace(learned, simple_only=not wins)
        gain = 1 - ours / best if best > 0 else 0.0
        notes = [
            f"The fortnight's error is {gain:.0%} below the better simple rule's ({ours:.3f} against {best:.3f})."
            if wins
            else f"A simple rule won ({best:.3f} against {ours:.3f}) and is what forecasts."
        ]
    notes += [
        f"{row['kind']}: {row['series']} series, "
        + ", ".join(f"{method} {count}" for method, count in row["methods"].items())
        for row in learned.gains
    ]
    card = Card(
        model=MODEL,
        as_of=as_of,
        window_start=history.first,
        window_end=history.first + timedelta(days=history.days - 1),
        rows=int((~np.isnan(sample.units)).sum()),
        seed=SETTINGS.seed,
        parameters=asdict(SETTINGS) | {"simple_only": learned.simple_only},
        metrics=_figures(rehearsed) | {"interval_coverage": covered},
        baselines={name: _figures(errors) for name, errors in simple.items()},
        inputs={name: reference_of(values).as_dict() for name, values in _inputs(sample).items()},
        protocol=PROTOCOL,
        notes=tuple(notes),
    )
    return learned, card


def _rehearse(model: DemandModel | None, sample: Panel) -> tuple[Errors, dict[str, Errors], float | None]:
    """Errors of the newest horizon, of a model (None: one learned from before it) and of the simple rules; coverage."""
    origin = sample.n_periods - HORIZON
    past, actual = sample.before(origin, HORIZON), sample.units[:, origin:]
    made = (model or fit(past, SETTINGS)).forecast(past)
    begun = any_known(past.units)
    actual = np.where(begun[:, None], actual, np.nan)
    ours = Errors.of(made.units, actual)
    covered = ((actual >= made.low) & (actual <= made.high)).sum()
    simple = {
        "naive": Errors.of(naive(past.units, HORIZON), actual),
        "seasonal_naive": Errors.of(seasonal_naive(past.units, HORIZON, past.calendar.season), actual),
    }
    return ours, simple, float(covered / ours.periods) if ours.periods else None


def _figures(errors: Errors) -> dict[str, float | None]:
    return {name: getattr(errors, name) for name in ("wape", "mape", "bias", "wape_of_sums")}


def _least(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _inputs(sample: Panel) -> dict[str, np.ndarray]:
    """What is watched for drift: how much the series sell, and on how few days."""
    return {
        "level": np.log(level_of(sample.units, sample.calendar.season)),
        "share_of_days_without_sale": mean_known(np.where(np.isnan(sample.units), np.nan, sample.units == 0)),
    }


def _folder(settings: Settings) -> Path:
    return settings.lake / "models"


def _save(settings: Settings, version: str, model: DemandModel) -> None:
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{version}.joblib.part"
    joblib.dump(model, part)
    part.rename(folder / f"{version}.joblib")
    for old in sorted(folder.glob(f"{MODEL}-*.joblib"))[:-KEPT_FILES]:
        old.unlink()


def _load(settings: Settings, version: str) -> DemandModel | None:
    path = _folder(settings) / f"{version}.joblib"
    try:
        model = joblib.load(path)
    except Exception:  # noqa: BLE001 - lost, torn, or of another version of the libraries: it is learned again
        return None
    return model if isinstance(model, DemandModel) else None
