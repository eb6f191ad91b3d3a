"""Nightly scores: nothing of the future, the same again, nulls and words where there is nothing to learn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
import sqlalchemy as sa

from models.churn import FEATURES, RULES, ChurnModel, Known, TooFewOutcomesError, fit_churn, measure
from models.evaluate.ranking import auc, auc_lead, brier, calibration
from pipelines.customer_scores import churn_version, clv_version, nightly, score_customers
from pipelines.customer_scores.order_days import draw_customers, read_customers, read_histories, read_later
from pipelines.scoring import current, model_marts
from pipelines.settings import Settings
from pipelines.state import state
from tests.unit.value.shop import DAYS, LAST, fill, orders


@pytest.fixture(scope="module")
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        fill(connection, orders())
        yield connection


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    with state(Settings(home=tmp_path)) as engine:
        yield engine


def scores(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM marts.customer_scores ORDER BY customer_id").fetchall()


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[duckdb.DuckDBPyConnection, sa.Engine]]:
    """A shop that was scored once."""
    with duckdb.connect() as connection, state(Settings(home=tmp_path_factory.mktemp("scored"))) as engine:
        fill(connection, orders())
        score_customers(connection, engine, LAST)
        yield connection, engine


def test_what_is_known_on_a_day_is_not_moved_by_what_comes_after_it() -> None:
    cut = LAST - timedelta(days=90)
    found = []
    for rows in (orders(), [row for row in orders() if row[1] <= cut]):
        with duckdb.connect() as connection:
            fill(connection, rows)
            customers = read_customers(connection, cut)
            histories = read_histories(connection, cut, cut)
            found.append((customers.ids.to_pylist(), customers.known, histories))
    (ids, known, histories), (cut_ids, cut_known, cut_histories) = found
    assert ids == cut_ids
    for name in Known.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(known, name), getattr(cut_known, name))
    np.testing.assert_array_equal(histories.repeats[histories.group], cut_histories.repeats[cut_histories.group])
    np.testing.assert_array_equal(histories.log_gaps, cut_histories.log_gaps)


def test_histories_are_days_after_the_first_their_distance_and_the_age() -> None:
    first = date(2026, 1, 1)
    rows = [("a", first, 500), ("a", first, 700), ("a", date(2026, 1, 8), 100), ("a", date(2026, 1, 22), 100)]
    with duckdb.connect() as connection:
        fill(connection, [*rows, ("b", date(2026, 1, 15), 100), ("late", date(2026, 2, 1), 100)])
        found = read_histories(connection, date(2026, 1, 20), date(2026, 1, 29))
        known = read_customers(connection, date(2026, 1, 29)).known
        days, amount = read_later(connection, date(2026, 1, 10), date(2026, 1, 22))
    assert found.repeats[found.group].tolist() == [2, 0]
    assert found.last[found.group].tolist() == [3, 0]
    assert found.age[found.group].tolist() == [4, 2]
    assert found.log_gaps.tolist() == pytest.approx([np.log(1) + np.log(2), 0])
    assert known.order_days.tolist() == [3, 1]
    assert known.amount.tolist() == [14, 1]
    assert (known.last_gap[0], known.longest_gap[0], known.days_30[0]) == (14, 14, 3)
    assert (days.tolist(), amount.tolist()) == ([1], [1])


def test_every_customer_has_scores_within_their_bounds(
    scored: tuple[duckdb.DuckDBPyConnection, sa.Engine],
) -> None:
    connection, engine = scored
    buyers = connection.execute("SELECT count(DISTINCT customer_id) FROM marts.orders").fetchall()
    assert (
        connection.execute(
            """
        SELECT count(*) FROM marts.customer_scores
        WHERE p_alive BETWEEN 0 AND 1 AND churn_probability BETWEEN 0 AND 1
            AND expected_orders_90d_low <= expected_orders_90d_high AND expected_orders_90d >= 0
            AND clv_12m_low <= clv_12m_high AND clv_12m >= 0
            AND next_order_earliest <= coalesce(next_order_due, next_order_earliest)
            AND next_order_earliest > as_of AND as_of = DATE '2026-06-30'
        """
        ).fetchall()
        == buyers
    )
    kinds = dict(connection.execute("SELECT column_name, data_type FROM duckdb_columns() "
                                    "WHERE table_name = 'customer_scores'").fetchall())  # fmt: skip
    assert kinds["clv_12m"] == "DECIMAL(18,2)"
    assert {row["model"] for row in model_marts(engine)["model_versions"].to_pylist()} == {"clv", "churn"}


def test_who_is_overdue_by_their_own_rhythm_is_likelier_to_be_lost(
    scored: tuple[duckdb.DuckDBPyConnection, sa.Engine],
) -> None:
    connection, _ = scored
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE seen AS SELECT customer_id, count(*) AS n, max(business_date) AS newest "
        "FROM marts.orders GROUP BY 1"
    )
    ((overdue, lately),) = connection.execute(
        """
        SELECT
            avg(churn_probability) FILTER (as_of - newest > 90), avg(churn_probability) FILTER (as_of - newest <= 14)
        FROM marts.customer_scores INNER JOIN seen USING (customer_id)
        WHERE n >= 8
        """
    ).fetchall()
    assert overdue > lately + 0.3


def test_the_same_night_again_changes_nothing(scored: tuple[duckdb.DuckDBPyConnection, sa.Engine]) -> None:
    connection, engine = scored
    before, marts = scores(connection), model_marts(engine)
    report = score_customers(connection, engine, LAST)
    assert report.words == ()
    assert scores(connection) == before
    assert model_marts(engine) == marts


def test_another_machine_makes_the_same_version_of_the_same_data(
    scored: tuple[duckdb.DuckDBPyConnection, sa.Engine], tmp_path: Path
) -> None:
    with duckdb.connect(config={"threads": 1}) as connection, state(Settings(home=tmp_path)) as engine:
        fill(connection, orders()[::-1])
        score_customers(connection, engine, LAST)
        for name in ("clv", "churn"):
            assert current(engine, name, LAST) == current(scored[1], name, LAST)
        assert scores(connection) == scores(scored[0])


@pytest.mark.slow
def test_a_version_is_fitted_again_after_four_weeks_and_not_before(engine: sa.Engine) -> None:
    with duckdb.connect() as connection:
        fill(connection, orders(150))
        start = LAST - timedelta(days=nightly.REFIT_DAYS)
        assert len(score_customers(connection, engine, start).words) == 2
        nightly_words = score_customers(connection, engine, start + timedelta(days=1)).words
        assert nightly_words == ()
        assert len(score_customers(connection, engine, LAST).words) == 2


@pytest.mark.slow
def test_a_night_killed_before_the_mart_was_written_is_made_up_for(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect() as connection:
        fill(connection, orders(150))

        def killed(*_arguments: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(nightly, "_batches", killed)
            with pytest.raises(KeyboardInterrupt):
                score_customers(connection, engine, LAST)
        report = score_customers(connection, engine, LAST)
        assert report.customers == len({row[0] for row in orders(150)})
        assert report.words == ()


@pytest.mark.parametrize("n", [0, 1, 30, 500])
def test_customers_who_never_came_again_have_nulls_and_the_report_words(engine: sa.Engine, n: int) -> None:
    with duckdb.connect() as connection:
        fill(connection, [(f"c{number}", LAST - timedelta(days=number % DAYS), 1000) for number in range(n)])
        report = score_customers(connection, engine, LAST)
        assert report.customers == n
        assert all("to learn from" in words for words in report.words)
        assert len(report.words) == 2
        assert connection.execute(
            "SELECT count(*), count(p_alive), count(clv_12m), count(churn_probability), count(next_order_due) "
            "FROM marts.customer_scores"
        ).fetchall() == [(n, 0, 0, 0, 0)]


def test_a_drawn_sample_has_whole_customers_and_is_drawn_alike(shop: duckdb.DuckDBPyConnection) -> None:
    drawn = []
    for _ in range(2):
        draw_customers(shop, "order_days", "drawn", 50, seed=7)
        drawn.append(shop.execute("SELECT * FROM drawn ORDER BY ALL").fetchall())
    assert drawn[0] == drawn[1]
    customers = {row[0] for row in drawn[0]}
    assert len(customers) == 50
    marks = ", ".join("?" * 50)
    ((whole,),) = shop.execute(
        f"SELECT count(*) FROM order_days WHERE customer_id IN ({marks})", sorted(customers)
    ).fetchall()
    assert whole == len(drawn[0])


def test_a_clv_card_makes_the_model_again(shop: duckdb.DuckDBPyConnection) -> None:
    found = clv_version.fit_version(shop, LAST, 7)
    assert found is not None
    card, cut = found
    assert cut == LAST - timedelta(days=90)
    again = clv_version.read_version(type(card).from_json(card.to_json()))
    assert again.counting.parameters == pytest.approx(card.parameters["parameters"], rel=1e-5)
    assert card.metrics["rmse"] is not None
    assert card.metrics["rmse"] < card.baselines["own_rate"]["rmse"]  # type: ignore[operator]


def test_the_churn_model_beats_the_rules_where_customers_have_a_rhythm_and_says_by_how_much(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    found = churn_version.fit_version(shop, LAST, 7)
    assert found is not None
    card, rehearsed = found
    assert rehearsed.measured.winner == "rhythm"
    assert card.notes[0].startswith("The model beats the best simple rule (")
    assert card.metrics["auc"] > max(card.baselines[name]["auc"] for name in RULES)  # type: ignore[type-var,operator]
    model = ChurnModel.from_dict(card.parameters)
    assert rehearsed.of(model) is not None


def test_where_the_model_knows_nothing_more_the_rule_is_shipped() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    zeros = np.zeros(n)
    recency = rng.integers(0, 300, n).astype(float)
    known = Known(
        order_days=np.ones(n), span_days=zeros, age_days=recency, deviation_log_gap=zeros, last_gap=zeros,
        longest_gap=zeros, days_30=zeros, days_90=zeros, days_180=zeros, amount=np.ones(n), last_amount=np.ones(n),
    )  # fmt: skip
    came_back = rng.random(n) < 1 / (1 + recency / 30)
    half = np.arange(n) < n // 2
    models = fit_churn(known.part(half), came_back[half], 90)
    measured = measure(models, known.part(~half), came_back[~half])
    assert measured.winner == measured.best_rule == "recency"
    assert list(models["recency"].weights) == ["log_recency"]
    assert set(models["rhythm"].weights) <= set(FEATURES)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_is_learned_where_everybody_did_the_same(shop: duckdb.DuckDBPyConnection, share: float) -> None:
    known = read_customers(shop, LAST).known
    with pytest.raises(TooFewOutcomesError, match="learning takes 20 of both"):
        fit_churn(known, np.full(len(known), bool(share)), 90)


def test_auc_brier_and_calibration_by_hand() -> None:
    happened = np.array([True, False, True, False])
    score = np.array([0.9, 0.8, 0.8, 0.1])
    assert auc(happened, score) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert brier(happened, score) == pytest.approx((0.01 + 0.64 + 0.04 + 0.01) / 4)
    assert auc(np.ones(3, bool), np.ones(3)) is None
    assert auc_lead(np.array([True, False]), score[:2], score[:2]) is None
    points = calibration(score, happened.astype(float), bins=2)
    assert [(point.members, point.actual) for point in points] == [(3, pytest.approx(1 / 3)), (1, 1.0)]


def test_a_lead_and_its_error_agree_with_resampling() -> None:
    rng = np.random.default_rng(4)
    n = 600
    happened = rng.random(n) < 0.4
    good, poor = happened + rng.normal(0, 1, n), happened + rng.normal(0, 2, n)
    lead = auc_lead(happened, good, poor)
    assert lead is not None
    assert lead.difference == pytest.approx(auc(happened, good) - auc(happened, poor))  # type: ignore[operator]
    resampled = []
    for _ in range(300):
        rows = rng.integers(0, n, n)
        resampled.append(auc(happened[rows], good[rows]) - auc(happened[rows], poor[rows]))  # type: ignore[operator]
    assert lead.standard_error == pytest.approx(np.std(resampled), rel=0.2)
