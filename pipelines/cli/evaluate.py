"""Commands that measure our models on data of the user's own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from pipelines.cli.base import HomeCommand, HomeGroup, business_date, existing_path, print_dicts


@click.group(cls=HomeGroup)
def evaluate() -> None:
    """Our models measured on data of your own."""


@evaluate.command(name="identity", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help="Which column holds which field.")
@click.option("--json", "as_json", is_flag=True, help="An array of one object.")
def evaluate_identity(data: Path, map_text: str | None, as_json: bool) -> None:
    """Link the records of a file by what they say of a person, and compare with the truth.

    Fields: truth (who it is), name, given_name, surname, birthday, city, postcode, gender, occupation, email, phone,
    address. A field takes the column of its own name unless --map names another; a+b joins two columns.

    \b
    Protocol: the linker sees the fields, never the truth. What each agreement
    weighs, and how many records are one person, is learned from the records
    themselves; records are one person where that is the likelier answer
    (threshold: bits of evidence). Pairwise figures count the pairs of records
    in one cluster; B-cubed ones are means over records.
    """
    from pipelines.evaluation.identity import evaluate_identity as measure

    _print(measure(data, map_text).row(), as_json)


@evaluate.command(name="demand", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option("--horizon", default=14, show_default=True, type=int, metavar="N", help="Periods ahead.")
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help="Which column holds which field.")
@click.option("--json", "as_json", is_flag=True, help="An array of one object.")
def evaluate_demand(data: Path, horizon: int, map_text: str | None, as_json: bool) -> None:
    """Forecast the last periods of a history of units, beside naive and seasonal naive.

    Fields: period* (a date, 2026-05, 2026-W22, 2026Q2 or a number), units*, series (left out: one series), price,
    promotion (0 or 1, its depth, or its name). One row a series and period; a field takes the column of its own name
    unless --map names another.

    \b
    Protocol: rolling origin. From up to three points, the last one N periods
    before the file's end and each N apart, the model learns from the units
    before the point alone and forecasts the N periods after it. Price and
    promotion of these periods are known to it, being what a retailer plans.
    A period without a row, or with empty units, is unknown, as when nothing was
    in stock: it is neither zero nor scored. wape = sum |error| / sum |units|;
    mape over periods with any units; bias = sum (forecast - units) / sum |units|;
    wape_of_sums compares each series' sum over the horizon; interval_coverage is
    the share of units within the interval, which is made for `interval`.
    Naive repeats the last known units, seasonal naive those of the same day of
    the week (month of the year ...). A simple rule is kept where nothing beats
    it in the past before the point.
    """
    from pipelines.evaluation.demand import evaluate_demand as measure

    _print(measure(data, horizon, map_text).row(), as_json)


@evaluate.command(name="uplift", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option("--share", type=float, metavar="SHARE", help="Part that was to be treated, such as 0.9.")
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help="Which column holds which field.")
@click.option("--json", "as_json", is_flag=True, help="An array of one object.")
def evaluate_uplift(data: Path, share: float | None, map_text: str | None, as_json: bool) -> None:
    """What an experiment did, whom it worked on, and whether it can bear either claim.

    Fields: treated* (1 or 0, true or false, treatment or control) and outcome* (a number, or yes and no). Every other
    column is a covariate: it must have been known before the treatment. One row a person, in the group of the draw.

    \b
    Protocol: verdict is refused (reason says why; an answer, exit code 0), lift,
    harm or no_effect_seen. Refused: a group is missing or too small, the outcome
    never varies, the split is not the planned one (srm_p_value below 0.001;
    without --share the nearest usual share, such as 50 or 90 %, is taken for
    planned), covariates tell who was treated (balance_p_value), or outcomes are
    missing more often in one group. effect = mean of the treated less mean of
    the control with its 95 % interval, by intention to treat; cuped_effect the
    same with what covariates foretell taken out, each row foretold by a model
    that did not see it; the verdict is that interval's. qini: area between the
    Qini curve of cross-fitted scores and random targeting, a person;
    qini_random_95: what 95 of 100 random orders stay below; targeting_claimed
    only with qini_p_value below 0.02. Columns that name rows are left out.
    """
    from pipelines.evaluation.uplift import evaluate_uplift as measure

    _print(measure(data, map_text, share).row(), as_json)


def _print(row: dict[str, Any], as_json: bool) -> None:
    """One record as JSON, or as a list of figures."""
    if as_json:
        print_dicts([row], tuple(row), as_json=True)
    else:
        print_dicts(
            [{"figure": name, "value": value} for name, value in row.items()], ("figure", "value"), as_json=False
        )


_TRANSACTIONS_MAP = "Which column holds customer_id, date, amount."


@evaluate.command(name="clv", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option(
    "--calibration-end", required=True, callback=business_date, metavar="DATE", help="Last day that models may know."
)
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help=_TRANSACTIONS_MAP)
@click.option("--json", "as_json", is_flag=True, help="An array with an object a model.")
def evaluate_clv(data: Path, calibration_end: date, map_text: str | None, as_json: bool) -> None:
    """Fit models of purchases and of value up to a day, and ask them for what came after it.

    Fields: customer_id, date (ISO 8601; the day is the one written) and amount (may be left out; then there is no
    value). Rows of one customer and day are one order; a negative amount is a return and no order.

    \b
    Protocol: customers are those with an order by --calibration-end. A history
    is the days with an order after the first one, and times of these in weeks.
    Every model is fitted on all of the calibration; which one the nightly job
    would take (is_chosen, the first row) is decided by the likelihood of the
    last part of the calibration given the part before. Purchases are counted
    in days with an order, from the day after --calibration-end to the last day
    of the file. mae and rmse: of each customer's purchases; auc: of having
    any. The interval of their sum is for 80 %, widened by what the model missed
    in the last part of the calibration. value_parameters: gamma-gamma on repeat
    days, as published; predicted_value: from all order days, as nightly.
    Rows below the models are simple rules: each customer's own rate, the same
    as in as many days before, days since the last order, purchase frequency.
    """
    from pipelines.evaluation.clv import COLUMNS, SHOWN
    from pipelines.evaluation.clv import evaluate_clv as measure

    print_dicts(
        measure(data, map_text, calibration_end, datetime.now(UTC).date()), COLUMNS if as_json else SHOWN, as_json
    )


@evaluate.command(name="churn", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option(
    "--calibration-end", required=True, callback=business_date, metavar="DATE", help="Last day that models may know."
)
@click.option("--horizon", type=int, metavar="DAYS", help="Days to come back in [default: 90, or what the file has].")
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help=_TRANSACTIONS_MAP)
@click.option("--json", "as_json", is_flag=True, help="An array with an object a model.")
def evaluate_churn(data: Path, calibration_end: date, horizon: int | None, map_text: str | None, as_json: bool) -> None:
    """Learn who comes back before a day, and ask on that day who will, beside the simple rules.

    Fields: customer_id, date (ISO 8601; the day is the one written) and amount (may be left out).

    \b
    Protocol: the model learns from customers as they were a horizon before
    --calibration-end and who had an order by it. It is measured on all
    customers with an order by --calibration-end, against an order in the
    horizon after it. auc: of coming back (that of churn is the same); brier:
    of the chance to. recency and frequency are the simple rules, each as a
    chance learned on the same customers; the first row is what the nightly
    job would ship: the model where it clearly wins, else the better rule.
    bg_nbd: chance of an order by BG/NBD; p_alive: why that alone misleads.
    """
    from pipelines.evaluation.churn import COLUMNS, SHOWN
    from pipelines.evaluation.churn import evaluate_churn as measure

    print_dicts(
        measure(data, map_text, calibration_end, horizon, datetime.now(UTC).date()),
        COLUMNS if as_json else SHOWN,
        as_json,
    )


@evaluate.command(name="recommend", cls=HomeCommand)
@click.option("--data", required=True, type=existing_path(dir_okay=False), metavar="FILE", help="CSV or Parquet.")
@click.option("-k", default=10, show_default=True, type=int, metavar="N", help="Length of each list.")
@click.option("--map", "map_text", metavar="FIELD=COLUMN,…", help="Which column holds which field.")
@click.option("--json", "as_json", is_flag=True, help="An array of one object.")
def evaluate_recommend(data: Path, k: int, map_text: str | None, as_json: bool) -> None:
    """Guess what is in each customer's last basket, beside what is popular and what they bought most often.

    Fields: customer_id*, sku*, basket_no (a number that rises) or ordered_at (ISO 8601) or both, quantity (may be left
    out; lines that are not above 0 are returns, and no purchase). One row a line; a field takes the column of its own
    name unless --map names another.

    \b
    Protocol: the last basket of each customer with two or more is held out;
    everything else is known, also the baskets of customers with a single one.
    With basket_no, lines of one number are a basket, in the order of ordered_at
    if that is there; with ordered_at alone, lines of one moment are. Any item
    may be recommended, also one bought before. recall = hits in the first k /
    items of the basket; ndcg against the ideal list of all of them, not only k;
    phr = share of customers with a hit. Means over customers. popularity: what
    was bought most; personal_top: what the customer bought on most days, then
    what is popular. Which order serves (chosen) is decided by the last known
    basket of each customer, learned orders on customers that they did not see.
    """
    from pipelines.evaluation.recommend import evaluate_recommend as measure

    _print(measure(data, k, map_text).row(), as_json)
