"""Versions of models: registered once, promoted only where they are no worse, never from the future."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from models.evaluate.drift import Reference, psi, reference_of
from pipelines.scoring import (
    Calibrated,
    Card,
    current,
    drifted,
    model_marts,
    promote_if_better,
    record_drift,
    register,
)
from pipelines.settings import Settings
from pipelines.state import state

CARD = Card(
    model="churn",
    as_of=date(2026, 5, 31),
    window_start=date(2025, 1, 1),
    window_end=date(2026, 5, 31),
    rows=900,
    seed=7,
    parameters={"coefficients": [0.5, -1.25]},
    metrics={"auc": 0.8, "brier": None},
    baselines={"recency": {"auc": 0.7}},
    calibration=(Calibrated("1", 0.1, 0.12, 90),),
    inputs={"recency": {"edges": [1.0], "shares": [0.5, 0.5, 0.0]}},
    notes=("a note",),
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    with state(Settings(home=tmp_path)) as engine:
        yield engine


def promote(engine: sa.Engine, card: Card, in_use_value: float | None = None):
    in_use = current(engine, card.model, card.as_of)
    return promote_if_better(
        engine, card, "auc", higher_is_better=True, in_use=in_use, in_use_value=in_use_value
    )  # fmt: skip


def test_a_card_comes_back_from_its_json_as_it_was() -> None:
    assert Card.from_json(CARD.to_json()) == CARD
    assert Card.from_json(CARD.to_json()).version == CARD.version


def test_whatever_was_learned_or_measured_otherwise_is_another_version() -> None:
    others = [
        replace(CARD, seed=8),
        replace(CARD, parameters={"coefficients": [0.5, -1.26]}),
        replace(CARD, metrics={"auc": 0.81}),
        replace(CARD, window_start=date(2025, 1, 2)),
    ]
    assert len({card.version for card in [CARD, *others]}) == 5


def test_a_figure_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(CARD, metrics={"auc": float("nan")}).to_json()


def test_registering_twice_is_registering_once(engine: sa.Engine) -> None:
    assert register(engine, CARD) == register(engine, CARD)
    assert model_marts(engine)["model_versions"].num_rows == 1


def test_an_undecided_version_is_not_in_use(engine: sa.Engine) -> None:
    register(engine, CARD)
    assert current(engine, "churn", CARD.as_of) is None


def test_a_worse_version_is_refused_and_the_run_goes_on_with_the_old_one(engine: sa.Engine) -> None:
    first = promote(engine, CARD)
    worse = replace(CARD, as_of=date(2026, 6, 30), metrics={"auc": 0.79})
    second = promote(engine, worse)
    assert first.is_new
    assert not second.is_new
    assert second.in_use.version == first.in_use.version == CARD.version
    assert second.reason == "auc 0.79, the version in use 0.8 on the same data"
    assert current(engine, "churn", date(2026, 7, 1)) == first.in_use
    assert promote(engine, worse) == second


def test_what_the_version_in_use_does_on_the_new_data_decides(engine: sa.Engine) -> None:
    promote(engine, CARD)
    newer = replace(CARD, as_of=date(2026, 6, 30), metrics={"auc": 0.75})
    promotion = promote(engine, newer, in_use_value=0.72)
    assert promotion.is_new
    statuses = model_marts(engine)["model_versions"].select(["version", "status"]).to_pylist()
    assert {row["version"]: row["status"] for row in statuses} == {CARD.version: "retired", newer.version: "in_use"}


def test_a_version_without_the_metric_never_replaces_one_that_has_it(engine: sa.Engine) -> None:
    promote(engine, CARD)
    assert not promote(engine, replace(CARD, as_of=date(2026, 6, 30), metrics={"auc": None})).is_new


def test_a_run_for_an_earlier_date_never_meets_a_later_version(engine: sa.Engine) -> None:
    promote(engine, CARD)
    later = replace(CARD, as_of=date(2026, 6, 30), metrics={"auc": 0.9})
    promote(engine, later)
    assert current(engine, "churn", date(2026, 5, 30)) is None
    assert current(engine, "churn", date(2026, 6, 29)).version == CARD.version  # type: ignore[union-attr]
    assert current(engine, "churn", date(2026, 6, 30)).version == later.version  # type: ignore[union-attr]


def test_the_marts_show_the_model_beside_the_simple_rules(engine: sa.Engine) -> None:
    promote(engine, CARD)
    marts = model_marts(engine)
    figures = {(row["predictor"], row["metric"]): row["value"] for row in marts["model_metrics"].to_pylist()}
    assert figures == {("model", "auc"): 0.8, ("model", "brier"): None, ("recency", "auc"): 0.7}
    assert marts["model_calibration"].to_pylist() == [
        {"model": "churn", "version": CARD.version, "position": 1, "bin": "1", "predicted": 0.1, "actual": 0.12,
         "members": 90}
    ]  # fmt: skip


def test_drift_is_of_the_newest_date_and_replaced_when_it_is_run_again(engine: sa.Engine) -> None:
    version = promote(engine, CARD).in_use
    record_drift(engine, version, date(2026, 6, 1), {"recency": 0.5})
    assert drifted(engine, "churn", date(2026, 6, 1)) == {"recency": 0.5}
    record_drift(engine, version, date(2026, 6, 1), {"recency": 0.1, "frequency": 0.3})
    assert drifted(engine, "churn", date(2026, 6, 1)) == {"frequency": 0.3}
    record_drift(engine, version, date(2026, 6, 2), {"recency": 0.0, "frequency": 0.2})
    assert drifted(engine, "churn", date(2026, 6, 2)) == {}
    assert model_marts(engine)["model_drift"].num_rows == 4


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=60))
def test_what_has_not_moved_has_no_drift(values: list[float]) -> None:
    array = np.array(values)
    reference = reference_of(array)
    assert psi(reference, array) == pytest.approx(0, abs=1e-9)
    assert sum(reference.shares) == pytest.approx(1)
    assert Reference.from_dict(reference.as_dict()) == reference


def test_a_distribution_that_moved_has_much() -> None:
    rng = np.random.default_rng(1)
    reference = reference_of(rng.normal(0, 1, 5000))
    assert psi(reference, rng.normal(0, 1, 5000)) < 0.02
    assert psi(reference, rng.normal(1, 1, 5000)) > 0.25
    assert psi(reference, np.full(100, np.nan)) > 0.25
    assert psi(reference, np.empty(0)) == 0


def test_a_shift_by_hand() -> None:
    """Half and half became nine to one: 2 · 0.4 · ln 9 / 2 = 0.4·ln(1.8) + 0.4·ln(5)."""
    reference = Reference((0.0,), (0.5, 0.5, 0.0))
    moved = np.array([1.0] * 9 + [-1.0])
    assert psi(reference, moved) == pytest.approx(0.4 * np.log(0.9 / 0.5) - 0.4 * np.log(0.1 / 0.5), abs=1e-3)
