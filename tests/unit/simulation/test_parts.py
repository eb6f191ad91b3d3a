"""The simulation's parts: money, phones, life stages, baskets, prices, demand."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from decimal import Decimal

import numpy as np
import phonenumbers
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st

from pipelines.simulation.baskets import MONTH, BasketMaker
from pipelines.simulation.catalogue import build_catalogue, price_cents
from pipelines.simulation.delivery import Style, text_lines, text_payload
from pipelines.simulation.doors import DOOR_INDEX, DOORS
from pipelines.simulation.orders import World, appetite, build_world, day_weights
from pipelines.simulation.people import DAY, NO_CHILD, People, build_people, write_phone
from pipelines.simulation.rows import cents, scaled_integers

CATALOGUE = build_catalogue()
FIRST = date(2026, 1, 2)


@pytest.fixture(scope="module")
def people() -> People:
    return build_people(3000, 1_767_283_200, 1_767_283_200 + 180 * DAY, np.random.default_rng(1))


@pytest.fixture(scope="module")
def world(people: People) -> World:
    return build_world(people, CATALOGUE, FIRST, 180, np.random.default_rng(2))


@checked(deadline=None)
@given(st.lists(st.integers(-(10**15), 10**15)))
def test_cents_become_decimals_exactly(values: list[int]) -> None:
    assert cents(np.array(values, dtype=np.int64)).to_list() == [Decimal(value).scaleb(-2) for value in values]


@checked(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_money_in_json_has_two_decimals_at_most(values: list[int]) -> None:
    rows = pl.DataFrame({"amount": cents(np.array(values, dtype=np.int64))})
    _, lines = text_lines(rows, Style("jsonl", "utc"))
    assert [json.loads(line, parse_float=Decimal)["amount"] for line in lines] == [
        Decimal(value).scaleb(-2) for value in values
    ]


def test_scaled_integers_keep_their_places() -> None:
    assert scaled_integers(np.array([-1, 0, 1234567]), 6).to_list() == [
        Decimal("-0.000001"), Decimal("0.000000"), Decimal("1.234567"),
    ]  # fmt: skip


def test_a_phone_is_the_same_number_in_every_form() -> None:
    numbers = pl.Series(["19900001234"] * 300 + ["+61491123456"] * 20)
    written = write_phone(numbers, np.random.default_rng(4))
    parsed = {
        phonenumbers.format_number(phonenumbers.parse(text, "CN"), phonenumbers.PhoneNumberFormat.E164)
        for text in written
    }
    assert parsed == {"+8619900001234", "+61491123456"}
    assert written.n_unique() >= 8


def test_simulated_phones_are_valid_and_one_a_person_but_for_households(people: People) -> None:
    sample = people.phone.head(200).to_list()
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number, "CN")) for number in sample)
    assert people.phone.n_unique() == len(people) - len(people.households) // 2


@pytest.mark.parametrize(
    ("months", "stage"), [(-2, 1), (0, 1), (5.9, 1), (6.1, 2), (11.9, 2), (12.1, 3), (35.9, 3), (36.1, 4), (72.5, 5)]
)
def test_the_milk_powder_stage_follows_the_childs_age(months: float, stage: int) -> None:
    baskets = BasketMaker(CATALOGUE)
    born = np.array([1_700_000_000], dtype=np.int64)
    assert baskets.life_stage(born, born + int(months * MONTH)).tolist() == [stage]


def test_without_a_child_there_is_no_stage() -> None:
    assert BasketMaker(CATALOGUE).life_stage(np.array([NO_CHILD * DAY]), np.array([1_700_000_000])).tolist() == [0]


def test_milk_powder_in_a_basket_is_of_the_childs_stage() -> None:
    baskets = BasketMaker(CATALOGUE)
    count = 4000
    drawn = baskets.fill(
        np.arange(count),
        np.full(count, 2),
        np.zeros(count, dtype=int),
        np.zeros(count, dtype=int),
        np.random.default_rng(5),
    )
    stages = {CATALOGUE.stage[sku] for sku in drawn.sku if (CATALOGUE.stage[sku] or "").startswith("milk_powder")}
    assert stages == {"milk_powder:2"}


def test_a_basket_never_holds_a_product_on_two_paid_lines() -> None:
    baskets = BasketMaker(CATALOGUE)
    zeros = np.zeros(3000, dtype=int)
    drawn = baskets.fill(np.arange(3000), zeros + 3, zeros, zeros, np.random.default_rng(6))
    paid = pl.DataFrame({"order": drawn.order, "sku": drawn.sku}).filter(pl.Series(~drawn.is_gift))
    assert paid.is_duplicated().sum() == 0
    assert set(drawn.order.tolist()) == set(range(3000))
    assert np.all(np.diff(drawn.order) >= 0)


def test_some_products_are_bought_together_far_more_often_than_by_chance() -> None:
    baskets = BasketMaker(CATALOGUE)
    zeros = np.zeros(20_000, dtype=int)
    drawn = baskets.fill(np.arange(20_000), zeros + 2, zeros, zeros, np.random.default_rng(7))
    lines = pl.DataFrame({"order": drawn.order, "sku": drawn.sku})
    pairs = lines.join(lines, on="order", suffix="_other").filter(pl.col("sku") < pl.col("sku_other"))
    counted = pairs.group_by("sku", "sku_other").len()
    share = dict(lines.group_by("sku").len().rows())
    lifts = [count * 20_000 / (share[a] * share[b]) for a, b, count in counted.filter(pl.col("len") > 30).rows()]
    assert max(lifts) > 4


def test_gift_cards_are_never_marked_down_and_no_price_is_above_its_list() -> None:
    prices = price_cents(CATALOGUE, 10, np.random.default_rng(8))
    card = CATALOGUE.category.index("gift_card/electronic")
    chinese = [index for index, door in enumerate(DOORS) if door.currency == "CNY"]
    assert set(prices[card, chinese].ravel().tolist()) == {CATALOGUE.list_cents[card]}
    assert np.all(prices[:, chinese] <= np.array(CATALOGUE.list_cents)[:, None, None] + 9)
    assert prices.min() > 0


def test_channels_differ_in_price_for_some_products() -> None:
    prices = price_cents(CATALOGUE, 1, np.random.default_rng(9))[:, :, 0]
    assert np.mean(prices[:, DOOR_INDEX["app"]] != prices[:, DOOR_INDEX["market"]]) > 0.2


def test_demand_peaks_at_the_shopping_feast_and_on_weekends(world: World) -> None:
    weights = np.concatenate([day_weights(world, week) for week in range(world.weeks)])
    assert len(weights) == 180
    feast = (date(2026, 6, 18) - FIRST).days
    assert weights[feast] == weights.max()
    assert weights[(date(2026, 4, 18) - FIRST).days] > weights[(date(2026, 4, 20) - FIRST).days]


def test_people_buy_at_very_different_rates_and_only_while_they_live_here(world: World) -> None:
    wanted = appetite(world, 10)
    assert np.all(wanted[world.people.lapsed_s < world.start_s + 70 * DAY] == 0)
    assert np.quantile(world.people.rate, 0.9) > 8 * np.quantile(world.people.rate, 0.1)


def test_nested_cells_in_csv_are_json_and_missing_ones_are_empty() -> None:
    rows = pl.DataFrame({"id": ["1", "2"], "lines": [[{"sku": "a,b", "n": 1}], None]})
    header, lines = text_lines(rows, Style("csv", "naive"))
    assert header == "id,lines"
    cells = list(csv.reader(io.StringIO("\n".join(lines))))
    assert json.loads(cells[0][1]) == [{"sku": "a,b", "n": 1}]
    assert cells[1] == ["2", ""]


@pytest.mark.parametrize(
    ("times", "written"),
    [("utc", "2026-01-01T16:30:00Z"), ("offset", "2026-01-02T03:30:00+11:00"), ("naive", "2026-01-02 03:30:00")],
)
def test_an_instant_is_written_in_the_doors_style(times: str, written: str) -> None:
    rows = pl.DataFrame({"at_s": [1_767_285_000]})
    _, lines = text_lines(rows, Style("jsonl", times, "Australia/Sydney"))
    assert json.loads(lines[0]) == {"at": written}


def test_gzip_and_byte_order_marks_carry_no_time_of_their_own() -> None:
    style = Style("csv.gz", "utc", bom=True)
    assert text_payload("a", ["1"], style) == text_payload("a", ["1"], style)
    assert text_payload("a", ["1"], Style("csv", "utc", bom=True)).startswith(b"\xef\xbb\xbfa\n1\n")
