"""Experiments whose effect is known: found, with honest intervals, or refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import ttest_ind

from models.uplift import Assessment, assess, encode_covariates
from models.uplift.experiment import adjusted_outcome, difference, expected_outcome, split_p_value, usual_share
from models.uplift.targeting import qini_coefficient
from tests.support.experiments import an_experiment


def assessed(frame: pl.DataFrame, planned_share: float | None = None) -> Assessment:
    covariates, _, _ = encode_covariates(frame.drop("treated", "outcome").select(pl.all().cast(pl.String)).to_arrow())
    return assess(
        frame["outcome"].to_numpy().astype(float),
        frame["treated"].to_numpy() == 1,
        covariates,
        planned_share=planned_share,
    )


def test_the_plain_effect_is_welchs() -> None:
    frame = an_experiment(3_000)
    outcome, treated = frame["outcome"].to_numpy().astype(float), frame["treated"].to_numpy() == 1
    ours = difference(outcome, treated, 0.95)
    theirs = ttest_ind(outcome[treated], outcome[~treated], equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high, ours.p_value) == pytest.approx((interval.low, interval.high, theirs.pvalue))


def test_a_lift_is_found_and_cuped_narrows_its_interval() -> None:
    found = assessed(an_experiment(6_000, effect=0.06))
    assert found.verdict == "lift"
    assert found.effect is not None
    assert found.adjusted is not None
    assert found.adjusted.low < 0.06 < found.adjusted.high
    assert found.adjusted.standard_error < found.effect.standard_error
    assert found.variance_reduction == pytest.approx(0.05, abs=0.03)


def test_a_harm_and_an_effect_too_small_to_see_are_told_apart() -> None:
    assert assessed(an_experiment(6_000, 2, effect=-0.06)).verdict == "harm"
    assert assessed(an_experiment(600, 3, effect=0.002)).verdict == "no_effect_seen"


def test_whom_it_works_on_is_claimed_where_it_differs_and_not_where_it_does_not() -> None:
    differs = assessed(an_experiment(6_000, 4, effect=0.0, more_for=0.12))
    assert differs.targeting_claimed
    assert differs.targeting is not None
    assert differs.targeting.qini > differs.targeting.random_high
    assert differs.targeting.top_effect > 0.05 > differs.targeting.rest_effect
    same = assessed(an_experiment(6_000, 5, effect=0.08))
    assert same.verdict == "lift"
    assert not same.targeting_claimed


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (an_experiment(500, share=0.0), "nobody was treated"),
        (an_experiment(500, share=1.0), "no control group"),
        (an_experiment(50), "too few"),
        (an_experiment(500).with_columns(outcome=pl.lit(0)), "same for everybody"),
        (an_experiment(800).with_columns(outcome=(pl.int_range(800) < 4).cast(pl.Int64)), "happened 4 times"),
        (an_experiment(4_000).with_columns(outcome=pl.col("outcome") * pl.col("treated")), "one of the groups"),
        (an_experiment(6_000, share=0.46), "the split is broken"),
        (an_experiment(2_000).with_columns(treated=(pl.col("age") > 0).cast(pl.Int64)), "not drawn at random"),
        (an_experiment(2_000).with_columns(opened=pl.col("treated") * (pl.int_range(2_000) % 3 == 0)), "not drawn"),
    ],
)  # fmt: skip
def test_what_an_experiment_cannot_bear_is_refused_in_words(frame: pl.DataFrame, words: str) -> None:
    found = assessed(frame)
    assert found.verdict == "refused"
    assert words in " ".join(found.reasons)
    assert (found.effect, found.adjusted, found.targeting) == (None, None, None)


def test_groups_chosen_by_a_rule_that_no_line_follows_are_refused() -> None:
    rng = np.random.default_rng(8)
    frame = an_experiment(6_000, 8)
    in_ring = (frame["age"].to_numpy() ** 2 < 0.45).astype(float)
    chosen = frame.with_columns(treated=pl.Series((rng.random(6_000) < 0.35 + 0.3 * in_ring).astype(int)))
    assert "not drawn at random" in " ".join(assessed(chosen, planned_share=float(chosen["treated"].mean())).reasons)


def test_a_planned_share_is_what_the_split_is_tested_against() -> None:
    frame = an_experiment(6_000, share=0.46)
    assert assessed(frame, planned_share=0.46).verdict != "refused"
    ninety = an_experiment(6_000, share=0.9)
    assert assessed(ninety).expected_share == 0.9
    assert assessed(ninety, planned_share=0.5).verdict == "refused"
    assert usual_share(0.47) == 0.5
    assert split_p_value(500, 500, 0.5) == 1
    assert split_p_value(560, 440, 0.5) < 0.001


def test_qini_is_greatest_where_those_it_works_on_come_first() -> None:
    treated = np.tile([True, False], 200)
    reacts = np.arange(400) < 200
    outcome = (treated & reacts).astype(float)
    best = qini_coefficient(outcome, treated)
    worst = qini_coefficient(outcome[::-1], treated[::-1])
    assert best == pytest.approx(0.0625, rel=0.02)
    assert worst < 0 < best
    assert qini_coefficient(outcome, treated) == best


def test_covariates_of_any_kind_become_numbers_and_names_of_rows_are_left_out() -> None:
    n = 60
    table = pa.table(
        {
            "id": [str(number) for number in range(n)],
            "mail": [f"person{number}" for number in range(n)],
            "same": ["x"] * n,
            "empty": pa.nulls(n, pa.string()),
            "spend": [None if number % 5 == 0 else str(number / 7) for number in range(n)],
            "city": [["a", "b", "", None][number % 4] for number in range(n)],
            "wild": ["1e9" if number == 3 else str(number % 4) for number in range(n)],
            "endless": ["inf" if number == 3 else "1" for number in range(n)],
        }
    )
    matrix, used, left_out = encode_covariates(table)
    assert left_out == ["id", "mail", "same", "empty"]
    assert used == ["spend", "city", "wild", "endless"]
    assert matrix.shape == (n, 2 + 2 + 1 + 1)
    assert np.isfinite(matrix).all()
    assert np.abs(matrix).max() <= 8


@pytest.mark.slow
def test_intervals_hold_what_they_promise_and_nothing_is_found_in_nothing() -> None:
    """600 experiments of 800 people: coverage, bias and false alarms of both effects, and false claims of targeting."""
    covered, alarms, errors = np.zeros(2), np.zeros(2), []
    for seed in range(600):
        for effect in (0.06, 0.0):
            frame = an_experiment(800, 1_000 + seed, effect=effect)
            outcome, treated = frame["outcome"].to_numpy().astype(float), frame["treated"].to_numpy() == 1
            matrix, _, _ = encode_covariates(
                frame.drop("treated", "outcome").select(pl.all().cast(pl.String)).to_arrow()
            )
            adjusted = adjusted_outcome(outcome, expected_outcome(matrix, outcome, 7))
            for place, values in enumerate((outcome, adjusted)):
                found = difference(values, treated, 0.95)
                if effect:
                    covered[place] += found.low <= effect <= found.high
                    errors.append(found.estimate - effect)
                else:
                    alarms[place] += found.low > 0 or found.high < 0
    assert (np.abs(covered / 600 - 0.95) < 0.025).all()
    assert (np.abs(alarms / 600 - 0.05) < 0.025).all()
    assert abs(np.mean(errors)) < 0.003


@pytest.mark.slow
def test_targeting_is_rarely_claimed_without_cause_and_mostly_with() -> None:
    claims = [assessed(an_experiment(3_000, 5_000 + seed, effect=0.05)).targeting_claimed for seed in range(60)]
    assert sum(claims) <= 4
    found = [
        assessed(an_experiment(3_000, 6_000 + seed, effect=0.0, more_for=0.12)).targeting_claimed for seed in range(20)
    ]
    assert sum(found) >= 17
