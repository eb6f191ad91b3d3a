"""What the demand model promises, on histories whose best forecast is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.demand import Calendar, DemandSettings, Panel, fit
from models.demand.classical import SIMPLE
from models.demand.effects import estimate_effects
from models.demand.methods import METHODS
from models.demand.seasons import guess_season
from models.demand.selection import KINDS, kind_of
from models.demand.simple import naive, seasonal_naive
from models.demand.smoothing import damped_trend, intermittent, seasonal_profile, smoothed_level
from models.evaluate.demand import Errors
from tests.support.demand_sets import DAYS, WEEK, past_and_future, promoted, rare, wandering, weekly

HORIZON = 14
SMALL = DemandSettings(horizon=HORIZON, boosted_rows=3_000)
WITHOUT_TREES = DemandSettings(horizon=HORIZON, boosted_floor=10**9)


def wape(forecast: np.ndarray, actual: np.ndarray) -> float:
    found = Errors.of(forecast, actual).wape
    assert found is not None
    return found


def test_a_weekly_pattern_is_forecast_much_better_than_by_the_seasonal_naive_rule() -> None:
    panel, actual = past_and_future(weekly(20, 126), HORIZON)
    made = fit(panel, SMALL).forecast(panel)
    assert wape(made.units, actual) < 0.85 * wape(seasonal_naive(panel.units, HORIZON, 7), actual)
    covered = ((actual >= made.low) & (actual <= made.high)).mean()
    assert 0.84 <= covered <= 0.97
    totals = actual.sum(axis=1)
    assert ((totals >= made.total_low) & (totals <= made.total_high)).mean() >= 0.7


def test_where_the_naive_rule_is_best_it_is_kept() -> None:
    panel, actual = past_and_future(wandering(20, 126), HORIZON)
    made = fit(panel, SMALL).forecast(panel)
    assert wape(made.units, actual) <= 1.05 * wape(naive(panel.units, HORIZON), actual)
    simple = [METHODS.index(name) for name in SIMPLE]
    assert np.isin(made.method, simple).mean() > 0.6


def test_a_single_wandering_series_keeps_the_naive_rule() -> None:
    panel, _ = past_and_future(wandering(1, 120), HORIZON)
    assert METHODS[fit(panel, SMALL).forecast(panel).method[0]] in SIMPLE


def test_growth_goes_on() -> None:
    panel, actual = past_and_future(weekly(6, 160, 300, growth=3.0), HORIZON)
    made = fit(panel, WITHOUT_TREES).forecast(panel)
    assert wape(made.units, actual) < 0.8 * wape(seasonal_naive(panel.units, HORIZON, 7), actual)


def test_rare_demand_is_forecast_in_sum_without_bias() -> None:
    panel, actual = past_and_future(rare(300, 154), HORIZON)
    made = fit(panel, WITHOUT_TREES).forecast(panel)
    assert abs(made.total.sum() / actual.sum() - 1) < 0.12
    ours = np.abs(made.total - actual.sum(axis=1)).sum()
    assert ours < 0.75 * np.abs(naive(panel.units, HORIZON).sum(axis=1) - actual.sum(axis=1)).sum()


def test_planned_promotions_and_prices_are_used() -> None:
    units, price, promotion = promoted(15, 126)
    panel = Panel(units[:, :-HORIZON], DAYS, price, promotion)
    actual = units[:, -HORIZON:]
    blind = Panel(units[:, :-HORIZON], DAYS)
    with_plans = wape(fit(panel, SMALL).forecast(panel).units, actual)
    assert with_plans < 0.6 * wape(fit(blind, WITHOUT_TREES).forecast(blind).units, actual)
    effects = estimate_effects(panel, HORIZON)
    assert effects.common == pytest.approx([0.9, -1.5], abs=0.25)


def test_days_without_stock_are_no_days_without_demand() -> None:
    units = np.random.default_rng(5).poisson(8, (40, 126)).astype(float)
    sold_out = np.random.default_rng(6).random((40, 126)) < 0.35
    zeros = Panel(np.where(sold_out, 0.0, units), DAYS)
    censored = Panel(np.where(sold_out, np.nan, units), DAYS)
    settings = DemandSettings(horizon=7, boosted_floor=10**9)
    assert fit(censored, settings).forecast(censored).units.mean() == pytest.approx(8, rel=0.06)
    assert fit(zeros, settings).forecast(zeros).units.mean() < 6


def test_the_future_never_reaches_the_forecast() -> None:
    units = weekly(8, 98)
    shuffled = units.copy()
    shuffled[:, -HORIZON:] = 1e6
    first, second = (Panel(values, DAYS).before(84, HORIZON) for values in (units, shuffled))
    np.testing.assert_array_equal(fit(first, SMALL).forecast(first).units, fit(second, SMALL).forecast(second).units)


def test_the_same_panel_gives_the_same_forecast_in_any_batches() -> None:
    panel, _ = past_and_future(weekly(12, 98), HORIZON)
    model = fit(panel, SMALL)
    whole = model.forecast(panel)
    np.testing.assert_array_equal(whole.units, fit(panel, SMALL).forecast(panel).units)
    alone = [model.forecast(panel.rows(np.array([row]))).units[0] for row in (0, 7, 11)]
    np.testing.assert_allclose(alone, whole.units[[0, 7, 11]], rtol=0.05)


@given(
    n=st.integers(1, 4),
    periods=st.integers(1, 40),
    horizon=st.integers(1, 16),
    season=st.sampled_from([1, 4, 7, 12]),
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_any_history_gives_finite_forecasts_within_their_intervals(
    n: int, periods: int, horizon: int, season: int, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    units = rng.choice([0.0, 0.0, 1.0, 3.0, 1e6], (n, periods))
    units[rng.random((n, periods)) < share] = np.nan
    price = np.where(
        rng.random((n, periods + horizon)) < 0.3, np.nan, rng.choice([0.0, 9.9, 12.5], (n, periods + horizon))
    )
    promotion = rng.choice([0.0, 1.0, np.nan], (n, periods + horizon))
    panel = Panel(units, Calendar("day", DAYS.start, season), price, promotion)
    made = fit(panel, DemandSettings(horizon=horizon, boosted_floor=10_000)).forecast(panel)
    assert made.units.shape == (n, horizon)
    for values in (made.units, made.low, made.high, made.total, made.total_low, made.total_high):
        assert np.isfinite(values).all()
    assert (made.low >= 0).all()
    assert (made.low <= made.units).all()
    assert (made.units <= made.high).all()
    assert (made.total_low <= made.total).all()
    assert (made.total <= made.total_high).all()


def test_three_points_keep_the_newest() -> None:
    panel = Panel(np.array([[3.0, 5.0, 4.0]]), Calendar("step"))
    made = fit(panel, DemandSettings(horizon=2)).forecast(panel)
    assert made.units.tolist() == [[4.0, 4.0]]
    assert KINDS[made.kind[0]] == "short"
    assert made.high[0, 0] > 4 > made.low[0, 0]


def test_seasonal_naive_takes_the_newest_known_of_the_same_place() -> None:
    units = np.array([[1.0, 2, 3, 4, 5, 6], [1, 2, 3, np.nan, 5, 6], [np.nan, np.nan, 3, np.nan, np.nan, 6]])
    assert seasonal_naive(units, 4, 3).tolist() == [[4, 5, 6, 4], [1, 5, 6, 1], [6, 6, 6, 6]]
    assert seasonal_naive(units, 2, 12).tolist() == [[6, 6]] * 3


def test_smoothing_finds_a_constant_a_line_and_a_rate() -> None:
    assert smoothed_level(np.full((1, 30), 7.0), 3) == pytest.approx(np.full((1, 3), 7.0))
    line = np.arange(1.0, 61.0)[None, :]
    assert damped_trend(line, 3)[0] == pytest.approx([61, 62, 63], rel=0.02)
    every_fourth = (np.arange(80) % 4 == 0).astype(float)[None, :] * 8
    assert intermittent(every_fourth, 1)[0, 0] == pytest.approx(2, rel=0.25)


def test_a_profile_of_the_week_is_found_in_spite_of_growth() -> None:
    profile = seasonal_profile(weekly(1, 210, 400, growth=1.0), 7)[0]
    assert profile == pytest.approx(WEEK / WEEK.mean(), abs=0.08)


def test_kinds_of_demand_follow_intervals_and_sizes() -> None:
    rows = [[5.0] * 12, [1, 20] * 6, [0, 0, 0, 3] * 3, [0, 0, 0, 1, 0, 0, 0, 30, 0, 0, 0, 2], [1, 2, 3] + [np.nan] * 9]
    assert [KINDS[kind] for kind in kind_of(np.array(rows))] == ["smooth", "erratic", "intermittent", "lumpy", "short"]


@pytest.mark.parametrize(("season", "length"), [(7, 90), (12, 60)])
def test_a_marked_season_of_bare_numbers_is_guessed(season: int, length: int) -> None:
    rng = np.random.default_rng(season)
    units = 50 + 20 * np.sin(2 * np.pi * np.arange(length) / season) + rng.normal(0, 4, (3, length))
    assert guess_season(units) == season


def test_a_season_is_not_guessed_into_noise() -> None:
    assert guess_season(np.random.default_rng(1).normal(50, 5, (5, 200))) == 1


def test_errors_add_up_and_leave_unknown_periods_out() -> None:
    forecast, actual = np.array([[1.0, 2, 3], [0, 0, 5]]), np.array([[2.0, np.nan, 3], [0, 4, 5]])
    whole = Errors.of(forecast, actual)
    assert whole == Errors.of(forecast[:1], actual[:1]) + Errors.of(forecast[1:], actual[1:])
    assert (whole.periods, whole.wape, whole.bias) == (5, 5 / 14, -5 / 14)
    assert whole.mape == pytest.approx((0.5 + 0 + 1 + 0) / 4)
    assert Errors().wape is None


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="horizon"):
        DemandSettings(horizon=0)
    with pytest.raises(ValueError, match="coverage"):
        DemandSettings(coverage=1.0)
