"""Charts as Altair specifications: colours that the colour-blind can tell apart, axes in the reader's units.

Belongs here: marks, scales, axes and tooltips. Does not belong here: data access, and placing a chart on a page
(`dashboards/components`). Colours are Okabe and Ito's palette ("Color Universal Design", 2008); single-hue ramps for
amounts differ in lightness, so they hold in greyscale too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dashboards.formats import Formats

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F",
)  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, GREY)
RAMP = ("#E8F1F8", "#9CC3E0", "#4A93C6", "#0072B2", "#00426B")
BAR_STEP = 26


def _axis_units(formats: Formats) -> str:
    """A Vega expression that labels an axis in 万 and 亿, or in K, M and B."""
    scales = ((1e4, "万"), (1e8, "亿")) if formats.language == "zh" else ((1e3, "K"), (1e6, "M"), (1e9, "B"))
    expression = "format(datum.value, ',.4~r')"
    for scale, unit in scales:
        in_unit = f"format(datum.value / {scale:g}, ',.4~r') + '{unit}'"
        expression = f"abs(datum.value) >= {scale:g} ? {in_unit} : {expression}"
    return expression


def _names_axis(**options: Any) -> alt.Axis:
    """An axis of names: every one is written, in the middle of its band."""
    import altair as alt

    plain: dict[str, Any] = {"labelLimit": 160, "ticks": False, "domain": False, "labelOverlap": False, "grid": False}
    return alt.Axis(labelFlush=False, **(plain | options))


def trend(
    frame: pd.DataFrame, *, series: str, value: str, day: str, titles: dict[str, str], names: Sequence[str],
    formats: Formats,
) -> alt.LayerChart:  # fmt: skip
    """Lines over business days, one a value of column `series`, in the order and colours of `names`."""
    import altair as alt

    colour = alt.Color(
        f"{series}:N",
        scale=alt.Scale(domain=list(names), range=[PALETTE[position % len(PALETTE)] for position in range(len(names))]),
        sort=list(names),
        legend=alt.Legend(title=None, orient="top", labelLimit=220, columns=4),
    )
    # Without padding the first day's label is cut at the left edge.
    when = alt.X(f"{day}:T", title=None, axis=alt.Axis(format="%m-%d", labelOverlap=True, grid=False, tickCount=8))
    amount = alt.Y(f"{value}:Q", title=None, axis=alt.Axis(labelExpr=_axis_units(formats), tickCount=5))
    hovered = alt.selection_point(fields=[day], nearest=True, on="pointerover", empty=False, clear="pointerout")
    lines = alt.Chart(frame).mark_line(strokeWidth=2).encode(x=when, y=amount, color=colour)
    points = (
        alt.Chart(frame)
        .mark_circle(size=60)
        .encode(
            x=when,
            y=amount,
            color=colour,
            opacity=alt.condition(hovered, alt.value(1), alt.value(0)),
            tooltip=[
                alt.Tooltip(f"{day}:T", title=titles[day], format="%Y-%m-%d"),
                alt.Tooltip(f"{series}:N", title=titles[series]),
                alt.Tooltip(f"{value}:Q", title=titles[value], format=",.2f"),
            ],
        )
        .add_params(hovered)
    )
    return (lines + points).properties(height=300)


def bars(
    frame: pd.DataFrame, *, category: str, value: str, label: str, titles: dict[str, str], formats: Formats,
    order: Sequence[str] | None = None, colour: str = BLUE, label_limit: int = 160,
) -> alt.LayerChart:  # fmt: skip
    """Horizontal bars, one a row, with the readable figure of column `label` beside each; negative ones to the left."""
    import altair as alt

    base = alt.Chart(frame).encode(
        y=alt.Y(
            f"{category}:N",
            title=None,
            sort=list(order) if order is not None else None,
            axis=_names_axis(labelLimit=label_limit),
        ),
        x=alt.X(
            f"{value}:Q",
            title=None,
            axis=alt.Axis(labelExpr=_axis_units(formats), tickCount=4, grid=True),
            # Room for the figure beside the longest bar.
            scale=alt.Scale(domain=_with_room(frame, value)),
        ),
        tooltip=[
            alt.Tooltip(f"{category}:N", title=titles[category]),
            alt.Tooltip(f"{value}:Q", title=titles[value], format=",.2~f"),
        ],
    )
    bar = base.mark_bar(color=colour, cornerRadiusEnd=3, size=BAR_STEP * 0.65)
    figure = base.mark_text(align="left", dx=5, fontSize=12).encode(
        text=f"{label}:N", x=alt.X(f"{value}:Q", title=None)
    )
    return (bar + figure).properties(height=BAR_STEP * len(frame) + 36)


def _with_room(frame: pd.DataFrame, value: str) -> list[float]:
    low, high = min(float(frame[value].min()), 0.0), max(float(frame[value].max()), 0.0)
    span = (high - low) or 1.0
    return [low, high + span * 0.32]


def heat_map(
    frame: pd.DataFrame, *, x: str, y: str, value: str, label: str, titles: dict[str, str], x_order: Sequence[Any],
    y_order: Sequence[Any], extra: Sequence[str] = (), height: int = 320,
    darkest: float | None = None,
) -> alt.LayerChart:  # fmt: skip
    """A grid of cells, darker for more, with the readable figure of column `label` in each.

    darkest: the value of the darkest colour; the largest one unless given.
    """
    import altair as alt

    highest = darkest or float(frame[value].max() or 1)
    base = alt.Chart(frame).encode(
        x=alt.X(
            f"{x}:N", title=titles[x], sort=list(x_order), axis=_names_axis(labelAngle=0, labelLimit=110),
            scale=alt.Scale(domain=list(x_order)),
        ),
        y=alt.Y(
            f"{y}:N", title=titles[y], sort=list(y_order), axis=_names_axis(),
            scale=alt.Scale(domain=list(y_order)),
        ),
        tooltip=[alt.Tooltip(f"{name}:N", title=titles[name]) for name in (y, x, label, *extra)],
    )  # fmt: skip
    cells = base.mark_rect(stroke="white", strokeWidth=2, cornerRadius=3).encode(
        color=alt.Color(f"{value}:Q", scale=alt.Scale(range=list(RAMP), domain=[0, highest], clamp=True), legend=None)
    )
    figures = base.mark_text(fontSize=12).encode(
        text=f"{label}:N",
        color=alt.condition(alt.datum[value] > highest * 0.45, alt.value("white"), alt.value("#1F2933")),
    )
    return (cells + figures).properties(height=height)


def parts(
    frame: pd.DataFrame, *, category: str, value: str, part: str, titles: dict[str, str], names: Sequence[str],
    order: Sequence[str], formats: Formats, colours: Sequence[str] = PALETTE,
) -> alt.Chart:  # fmt: skip
    """Horizontal bars stacked by column `part`, in the order and colours of `names`."""
    import altair as alt

    # Stacking follows this number; a sort of the colour scale alone orders the legend only.
    positions = {name: position for position, name in enumerate(names)}
    placed = frame.assign(_position=frame[part].map(positions))
    return (
        alt.Chart(placed)
        .mark_bar(size=BAR_STEP * 0.65)
        .encode(
            y=alt.Y(f"{category}:N", title=None, sort=list(order), axis=_names_axis()),
            x=alt.X(f"{value}:Q", title=None, axis=alt.Axis(labelExpr=_axis_units(formats), tickCount=4)),
            color=alt.Color(
                f"{part}:N",
                scale=alt.Scale(domain=list(names), range=list(colours[: len(names)])),
                legend=alt.Legend(title=None, orient="top"),
            ),
            order=alt.Order("_position:Q"),
            tooltip=[
                alt.Tooltip(f"{category}:N", title=titles[category]),
                alt.Tooltip(f"{part}:N", title=titles[part]),
                alt.Tooltip(f"{value}:Q", title=titles[value], format=",.2~f"),
            ],
        )
        .properties(height=BAR_STEP * len(order) + 100)
    )


def calibration(frame: pd.DataFrame, *, titles: dict[str, str]) -> alt.LayerChart:
    """Points of columns `predicted` and `actual`, greater for more `members`, beside a perfect model's diagonal."""
    import altair as alt
    import pandas as pd

    reach = float(max(frame["predicted"].max(), frame["actual"].max())) or 1.0
    diagonal = (
        alt.Chart(pd.DataFrame({"predicted": [0.0, reach], "actual": [0.0, reach]}))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x="predicted:Q", y="actual:Q")
    )
    points = (
        alt.Chart(frame)
        .mark_circle(color=BLUE, opacity=0.85)
        .encode(
            x=alt.X("predicted:Q", title=titles["predicted"]),
            y=alt.Y("actual:Q", title=titles["actual"]),
            size=alt.Size("members:Q", legend=None, scale=alt.Scale(range=[40, 240])),
            tooltip=[
                alt.Tooltip(f"{name}", title=titles[name]) for name in ("group", "predicted", "actual", "members")
            ],
        )
    )
    return (diagonal + points).properties(height=300)


def columns(
    frame: pd.DataFrame, *, category: str, value: str, titles: dict[str, str], order: Sequence[Any], formats: Formats,
    colour: str = BLUE, height: int = 240,
) -> alt.Chart:  # fmt: skip
    """Upright bars in a given order, for what follows on itself: hours, months."""
    import altair as alt

    return (
        alt.Chart(frame)
        .mark_bar(color=colour, cornerRadiusEnd=3)
        .encode(
            x=alt.X(f"{category}:N", title=titles[category], sort=list(order), axis=_names_axis(labelAngle=0)),
            y=alt.Y(f"{value}:Q", title=None, axis=alt.Axis(labelExpr=_axis_units(formats), tickCount=4)),
            tooltip=[
                alt.Tooltip(f"{category}:N", title=titles[category]),
                alt.Tooltip(f"{value}:Q", title=titles[value], format=",.2~f"),
            ],
        )
        .properties(height=height)
    )


def places(
    frame: pd.DataFrame, *, latitude: str, longitude: str, size: str, group: str, name: str, label: str,
    titles: dict[str, str], groups: Sequence[str],
) -> alt.Chart:  # fmt: skip
    """Points where the stores lie, north up, larger for more; groups differ in colour and in shape. No tiles."""
    import altair as alt

    shapes = ("circle", "square", "triangle-up", "diamond", "cross")
    points = alt.Chart(frame).mark_point(filled=True, opacity=0.85, stroke="white")
    return points.encode(
        x=alt.X(f"{longitude}:Q", title=titles[longitude], scale=alt.Scale(domain=_padded(frame, longitude))),
        y=alt.Y(f"{latitude}:Q", title=titles[latitude], scale=alt.Scale(domain=_padded(frame, latitude))),
        size=alt.Size(f"{size}:Q", scale=alt.Scale(range=[90, 900]), legend=None),
        color=alt.Color(
            f"{group}:N", scale=alt.Scale(domain=list(groups), range=list(PALETTE[: len(groups)])),
            legend=alt.Legend(title=titles[group], orient="top", symbolSize=140),
        ),
        shape=alt.Shape(f"{group}:N", scale=alt.Scale(domain=list(groups), range=list(shapes[: len(groups)]))),
        tooltip=[
            alt.Tooltip(f"{name}:N", title=titles[name]),
            alt.Tooltip(f"{group}:N", title=titles[group]),
            alt.Tooltip(f"{label}:N", title=titles[label]),
        ],
    ).properties(height=420)  # fmt: skip


def _padded(frame: pd.DataFrame, value: str) -> list[float]:
    low, high = float(frame[value].min()), float(frame[value].max())
    margin = max((high - low) * 0.08, 0.5)
    return [low - margin, high + margin]


def intervals(
    frame: pd.DataFrame, *, category: str, value: str, low: str, high: str, titles: dict[str, str]
) -> alt.LayerChart:
    """Differences of shares as points with their intervals, one a row, beside the line of no difference."""
    import altair as alt

    axis = alt.Axis(format="+.1%", tickCount=6, grid=True)
    base = alt.Chart(frame).encode(
        y=alt.Y(f"{category}:N", title=None, sort=None, axis=_names_axis(labelLimit=260)),
        tooltip=[
            alt.Tooltip(f"{category}:N", title=titles[category]),
            *(alt.Tooltip(f"{name}:Q", title=titles[name], format="+.2%") for name in (value, low, high)),
        ],
    )
    spans = base.mark_rule(color=BLUE, strokeWidth=3).encode(x=alt.X(f"{low}:Q", title=None, axis=axis), x2=f"{high}:Q")
    points = base.mark_point(color=BLUE, filled=True, size=110, opacity=1).encode(x=alt.X(f"{value}:Q", title=None))
    nothing = alt.Chart(frame).mark_rule(color=GREY, strokeDash=[4, 4], aria=False).encode(x=alt.datum(0))
    return (nothing + spans + points).properties(height=2 * BAR_STEP * len(frame) + 36)
