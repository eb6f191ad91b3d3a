"""Models of counting against simulated buyers, numerical integrals, and the published figures of cdnow."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from models import clv
from models.clv.beta_geometric import BetaGeometric
from models.clv.counting import CountingModel
from models.clv.pareto_nbd import ParetoNbd
from tests.unit.imports.real_data import dataset_folder

MODELS = list(clv.CANDIDATES)
HISTORY = clv.group_histories(np.array([0, 1, 3, 40]), np.array([0, 70, 30, 300]), np.array([200, 210, 250, 301]))
THETA = np.log([0.6, 6.0, 0.8, 2.0])


def simulated(n: int, seed: int, weeks: float = 78.0) -> tuple[clv.Histories, np.ndarray]:
    """BG/NBD buyers (r .8, alpha 6, a .7, b 2.5), observed for up to `weeks`; and what they buy in the 26 after it."""
    rng = np.random.default_rng(seed)
    rate, stop = rng.gamma(0.8, 1 / 6, n), rng.beta(0.7, 2.5, n)
    age = rng.integers(int(weeks * 3.5), int(weeks * 7) + 1, n)
    repeats, last, later = np.zeros(n, int), np.zeros(n, int), np.zeros(n, int)
    for customer in range(n):
        day = 0.0
        while True:
            day += rng.exponential(7 / rate[customer])
            if day > age[customer] + 182:
                break
            if day <= age[customer]:
                repeats[customer] += 1
                last[customer] = max(math.ceil(day), 1)
            else:
                later[customer] += 1
            if rng.random() < stop[customer]:
                break
    return clv.group_histories(repeats, np.minimum(last, age), age), later


@pytest.fixture(scope="module")
def buyers() -> tuple[clv.Histories, np.ndarray]:
    return simulated(2000, 3)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@given(steps=st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4))
@settings(max_examples=15, deadline=None)
def test_gradients_are_those_of_the_likelihood(model: CountingModel, steps: list[float]) -> None:
    theta = THETA + np.array(steps)
    value, gradient = model.log_likelihood(theta, HISTORY)
    assert np.isfinite(value).all()
    for position in range(4):
        step = np.zeros(4)
        step[position] = 1e-5
        there, _ = model.log_likelihood(theta + step, HISTORY)
        back, _ = model.log_likelihood(theta - step, HISTORY)
        np.testing.assert_allclose(gradient[:, position], (there - back) / 2e-5, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("extreme", [np.full(4, 8.0), np.full(4, -8.0), np.array([8.0, -8.0, -8.0, 8.0])])
def test_likelihoods_stay_numbers_far_out(model: CountingModel, extreme: np.ndarray) -> None:
    value, gradient = model.log_likelihood(extreme, HISTORY)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


def test_the_pareto_likelihood_is_its_integral() -> None:
    r, alpha, s, beta = np.exp(THETA)
    value, _ = ParetoNbd().log_likelihood(THETA, HISTORY)
    for row in range(len(HISTORY)):
        x, last, age = HISTORY.repeats[row], HISTORY.last[row], HISTORY.age[row]

        def stopped(t: float, x: float = x) -> float:
            return (alpha + t) ** -(r + x) * s * (beta + t) ** -(s + 1)

        whole = (alpha + age) ** -(r + x) * (beta + age) ** -s + quad(stopped, last, age, epsabs=0, epsrel=1e-11)[0]
        expected = math.lgamma(r + x) - math.lgamma(r) + r * math.log(alpha) + s * math.log(beta) + math.log(whole)
        assert value[row] == pytest.approx(expected, rel=1e-9)


def test_nobody_who_came_once_has_stopped_by_bg_nbd_and_some_have_by_its_modification() -> None:
    once = HISTORY.repeats == 0
    assert (BetaGeometric().p_alive(THETA, HISTORY)[once] == 1).all()
    assert (BetaGeometric(1, stops_at_first=True).p_alive(THETA, HISTORY)[once] < 1).all()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_survival_falls_from_the_chance_of_any_purchase_to_nothing(model: CountingModel) -> None:
    terms = model.survival(THETA, HISTORY, 26.0)
    found = np.array([next(terms) for _ in range(120)])
    assert (found[0] <= model.p_alive(THETA, HISTORY) + 1e-12).all()
    assert (np.diff(found, axis=0) <= 1e-12).all()
    assert found[-1].max() < 1e-6
    assert (clv.expected_purchases(model, THETA, HISTORY, 0.0) == 0).all()


@pytest.mark.parametrize(
    "model", [model for model in MODELS if model.name != "pareto_nbd"], ids=lambda model: model.name
)
def test_half_of_those_who_have_not_stopped_have_come_by_the_median_wait(model: CountingModel) -> None:
    wait = model.waiting_quantile(THETA, HISTORY, 0.5)
    for row, weeks in enumerate(wait):
        reached = next(model.survival(THETA, HISTORY, float(weeks)))[row] / model.p_alive(THETA, HISTORY)[row]
        assert reached == pytest.approx(0.5, abs=1e-6)


def test_bg_nbd_finds_the_parameters_that_made_the_buyers(buyers: tuple[clv.Histories, np.ndarray]) -> None:
    fitted = clv.fit(clv.BG_NBD, buyers[0])
    errors = np.sqrt(np.diag(fitted.covariance))
    assert (np.abs(fitted.theta - np.log([0.8, 6.0, 0.7, 2.5])) < 3.5 * errors).all()


def test_later_purchases_are_as_many_as_predicted_and_intervals_cover_them(
    buyers: tuple[clv.Histories, np.ndarray],
) -> None:
    histories, later = buyers
    fitted = clv.fit(clv.BG_NBD, histories)
    purchases = clv.predict(fitted, histories, 26.0)
    total = clv.total_purchases(fitted, histories, purchases, 26.0)
    spread = (total.high - total.low) / 2
    assert abs(later.sum() - total.expected) < 2.5 * spread
    group = histories.group
    covered = (later >= purchases.low[group]) & (later <= purchases.high[group])
    assert covered.mean() >= 0.8
    assert (later > purchases.high[group]).mean() < 0.1 + 0.02
    wider = clv.total_purchases(fitted, histories, purchases, 26.0, missed=0.2)
    assert wider.high - wider.low > 2 * 0.2 * total.expected


def test_the_sum_over_survival_is_the_published_expectation() -> None:
    """Fader, Hardie, Lee 2005, equation 10."""
    from scipy.special import hyp2f1

    r, alpha, a, b = np.exp(THETA)
    x, last, age, t = HISTORY.repeats, HISTORY.last, HISTORY.age, 26.0
    first = (a + b + x - 1) / (a - 1)
    second = 1 - ((alpha + age) / (alpha + age + t)) ** (r + x) * hyp2f1(
        r + x, b + x, a + b + x - 1, t / (alpha + age + t)
    )
    third = 1 + (x > 0) * a / (b + x - 1) * ((alpha + age) / (alpha + last)) ** (r + x)
    found = clv.expected_purchases(clv.BG_NBD, THETA, HISTORY, t)
    np.testing.assert_allclose(found, first * second / third, rtol=1e-5)


def test_customers_of_whom_none_stops_do_not_run_away_with_the_parameters() -> None:
    rng = np.random.default_rng(1)
    age = rng.integers(200, 400, 300)
    repeats = rng.poisson(rng.gamma(0.7, 1 / 60, 300) * age)
    last = np.where(repeats > 0, np.maximum((age * repeats / (repeats + 1)).astype(int), 1), 0)
    for model in (clv.BG_NBD, ParetoNbd()):
        fitted = clv.fit(model, clv.group_histories(repeats, last, age))
        assert all(1e-4 < value < 1e5 for value in fitted.parameters.values()), fitted.parameters


@pytest.mark.parametrize("repeats", [[], [0] * 500, [1] * 9 + [0] * 500])
def test_too_few_who_came_again_are_refused(repeats: list[int]) -> None:
    x = np.array(repeats, dtype=int)
    histories = clv.group_histories(x, x * 10, np.full(len(x), 100))
    with pytest.raises(clv.TooFewError, match="a fit needs 10"):
        clv.fit(clv.BG_NBD, histories)


def test_an_impossible_history_is_refused() -> None:
    with pytest.raises(ValueError, match="0 <= last <= age"):
        clv.group_histories(np.array([1]), np.array([11]), np.array([10]))
    with pytest.raises(ValueError, match="0 <= last <= age"):
        clv.group_histories(np.array([1]), np.array([0]), np.array([10]))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 400), st.integers(0, 200)), min_size=1, max_size=50))
def test_grouping_keeps_every_customer(raw: list[tuple[int, int, int]]) -> None:
    repeats = np.array([x for x, _, _ in raw])
    last = np.array([days if x else 0 for x, days, _ in raw])
    age = last + np.array([since for _, _, since in raw])
    histories = clv.group_histories(repeats, last, age)
    assert histories.n_customers == len(raw)
    np.testing.assert_array_equal(histories.repeats[histories.group], repeats)
    np.testing.assert_allclose(histories.last[histories.group] * 7, last)
    np.testing.assert_allclose(histories.age[histories.group] * 7, age)


@pytest.mark.slow
def test_regular_buyers_are_seen_as_regular_and_chance_buyers_are_left_to_bg_nbd() -> None:
    rng = np.random.default_rng(5)

    def halves(shape: int) -> tuple[clv.Histories, clv.Histories]:
        columns: dict[int, list[list[float]]] = {250: [], 400: []}
        for _ in range(250):
            days = np.cumsum(rng.gamma(shape, rng.gamma(3, 12) / shape, 60))
            for until, rows in columns.items():
                seen = np.unique(np.ceil(days[days <= until]))
                gaps = np.diff(np.append(0.0, seen)) / 7
                rows.append([len(seen), seen[-1] if len(seen) else 0, until, np.log(gaps).sum()])
        return tuple(  # type: ignore[return-value]
            clv.group_histories(*(np.array(rows).T[:3].astype(int)), np.array(rows).T[3]) for rows in columns.values()
        )

    assert clv.choose(*halves(4)).model.name in ("mbg_cnbd_2", "mbg_cnbd_3")
    assert clv.choose(*halves(1)).model.name in ("bg_nbd", "pareto_nbd", "mbg_nbd")


@pytest.fixture(scope="module")
def cdnow() -> tuple[clv.Histories, np.ndarray, np.ndarray]:
    end = pl.date(1997, 9, 30)
    days = (
        pl.read_parquet(dataset_folder("cdnow") / "cdnow_sample.parquet")
        .group_by("customer_id", day=pl.col("date").dt.date())
        .agg(pl.col("amount").sum())
        .with_columns(first=pl.col("day").min().over("customer_id"))
    )
    later = days.filter(pl.col("day") > end).group_by("customer_id").agg(later=pl.len())
    known = (
        days.filter(pl.col("day") <= end)
        .group_by("customer_id")
        .agg(
            repeats=pl.len() - 1,
            last=(pl.col("day").max() - pl.col("day").min()).dt.total_days(),
            age=(end - pl.col("day").min()).dt.total_days().first(),
            value=pl.col("amount").filter(pl.col("day") > pl.col("first")).mean(),
        )
        .join(later, on="customer_id", how="left")
        .sort("customer_id")
    )
    histories = clv.group_histories(*(known[name].to_numpy() for name in ("repeats", "last", "age")))
    return histories, known["value"].fill_null(0).to_numpy(), known["later"].fill_null(0).to_numpy()


@pytest.mark.parametrize(
    ("model", "published", "log_likelihood"),
    [
        (clv.BG_NBD, [0.243, 4.414, 0.793, 2.426], -9582.43),
        (ParetoNbd(), [0.553, 10.578, 0.606, 11.669], -9594.98),
    ],
    ids=["bg_nbd", "pareto_nbd"],
)
def test_cdnow_has_the_published_parameters(
    cdnow: tuple[clv.Histories, np.ndarray, np.ndarray],
    model: CountingModel,
    published: list[float],
    log_likelihood: float,
) -> None:
    fitted = clv.fit(model, cdnow[0])
    assert list(fitted.parameters.values()) == pytest.approx(published, rel=0.01)
    assert fitted.log_likelihood == pytest.approx(log_likelihood, abs=0.1)


def test_cdnow_holdout_is_no_worse_than_published(cdnow: tuple[clv.Histories, np.ndarray, np.ndarray]) -> None:
    histories, _, later = cdnow
    purchases = clv.predict(clv.fit(clv.BG_NBD, histories), histories, 39.0)
    predicted = purchases.expected[histories.group]
    assert later.sum() == 1882
    assert predicted.sum() == pytest.approx(1653, abs=1)
    assert np.abs(predicted - later).mean() <= 0.786


def test_cdnow_has_the_published_values(cdnow: tuple[clv.Histories, np.ndarray, np.ndarray]) -> None:
    histories, value, _ = cdnow
    repeats = histories.repeats[histories.group]
    found = clv.fit_gamma_gamma(repeats, value)
    assert [found.p, found.q, found.rate] == pytest.approx([6.25, 3.74, 15.45], rel=0.01)


def test_spend_is_made_of_purchases_and_their_value_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(2)
    n = 4000
    days = rng.integers(1, 9, n)
    true_mean = 6.0 / rng.gamma(4.0, 1 / 15.0, n)
    value = rng.gamma(6.0 * days, 1 / (6.0 * days)) * true_mean
    fitted = clv.fit_gamma_gamma(days.astype(float), value)
    assert [fitted.p, fitted.q] == pytest.approx([6.0, 4.0], rel=0.15)
    chance = np.full(1, 0.7)
    purchases = clv.Purchases(
        expected=np.full(1, 0.7), p_any=chance, second_moment=np.full(1, 0.7), low=np.zeros(1), high=np.ones(1),
        p_alive=np.ones(1),
    )  # fmt: skip
    group = np.zeros(n, dtype=np.int64)
    spend = clv.spend(fitted, purchases, group, days.astype(float), value)
    np.testing.assert_allclose(spend.expected, 0.7 * fitted.mean_value(days.astype(float), value))
    actual = np.where(rng.random(n) < 0.7, rng.gamma(6.0, 1 / 6.0, n) * true_mean, 0.0)
    assert ((actual >= spend.low) & (actual <= spend.high)).mean() == pytest.approx(0.9, abs=0.03)
    assert (spend.low == 0).all()


@pytest.mark.parametrize("value", [[], [5.0] * 50, [-1.0] * 50, [0.0] * 50])
def test_values_that_say_nothing_are_refused(value: list[float]) -> None:
    with pytest.raises(clv.TooFewError):
        clv.fit_gamma_gamma(np.full(len(value), 3.0), np.array(value))
