from __future__ import annotations

import json
from itertools import pairwise

import pandas as pd
import pytest

from dashboards import charts
from dashboards.formats import Formats

TITLES = {"name": "Name", "value": "Value", "day": "Day", "label": "Label", "kind": "Kind"}


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_ramp_darkens_at_every_step_so_it_holds_in_greyscale() -> None:
    steps = [luminance(colour) for colour in charts.RAMP]
    assert all(lighter - darker > 0.04 for lighter, darker in pairwise(steps))


def test_no_two_colours_of_the_palette_are_the_same() -> None:
    assert len(set(charts.PALETTE)) == len(charts.PALETTE)


def test_bars_keep_their_order_and_leave_room_for_the_longest_figure() -> None:
    frame = pd.DataFrame({"name": ["b", "a"], "value": [30.0, 10.0], "label": ["30", "10"]})
    spec = charts.bars(
        frame, category="name", value="value", label="label", titles=TITLES, formats=Formats("en"), order=["b", "a"]
    ).to_dict()
    encoding = spec["layer"][0]["encoding"]
    assert encoding["y"]["sort"] == ["b", "a"]
    assert encoding["x"]["scale"]["domain"][1] > 30


@pytest.mark.parametrize("values", [[-5.0, -1.0], [0.0, 0.0], [-5.0, 5.0]])
def test_bars_draw_negative_and_empty_figures(values: list[float]) -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "value": values, "label": ["x", "y"]})
    built = charts.bars(frame, category="name", value="value", label="label", titles=TITLES, formats=Formats("zh"))
    low, high = built.to_dict()["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low <= min(values) <= 0 < high


@pytest.mark.parametrize(("language", "units"), [("zh", ("万", "亿")), ("en", ("K", "M", "B"))])
def test_axes_count_in_the_units_of_the_language(language: str, units: tuple[str, ...]) -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-05-31"]), "name": ["a"], "value": [1.0]})
    built = charts.trend(
        frame,
        series="name",
        value="value",
        day="day",
        titles=TITLES,
        names=["a"],
        formats=Formats(language),  # type: ignore[arg-type]
    )
    text = json.dumps(built.to_dict(), ensure_ascii=False)
    assert all(f"'{unit}'" in text for unit in units)


def test_a_heat_map_of_fresh_feeds_is_light() -> None:
    frame = pd.DataFrame({"name": ["a"], "kind": ["x"], "value": [0.1], "label": ["2 h"]})
    spec = charts.heat_map(
        frame,
        x="kind",
        y="name",
        value="value",
        label="label",
        titles=TITLES,
        x_order=["x"],
        y_order=["a"],
        darkest=3.0,
    ).to_dict()
    assert spec["layer"][0]["encoding"]["color"]["scale"]["domain"] == [0, 3.0]


def test_a_heat_map_draws_every_cell_of_its_axes() -> None:
    frame = pd.DataFrame({"name": ["a"], "kind": ["x"], "value": [0], "label": ["0"]})
    spec = charts.heat_map(
        frame, x="kind", y="name", value="value", label="label", titles=TITLES, x_order=["x", "y"], y_order=["a", "b"]
    ).to_dict()
    encoding = spec["layer"][0]["encoding"]
    assert (encoding["x"]["scale"]["domain"], encoding["y"]["scale"]["domain"]) == (["x", "y"], ["a", "b"])
