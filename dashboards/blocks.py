"""What most sections are: bars that rank something, with the table of the same rows behind them.

Belongs here: a chart and its table drawn from one result. Does not belong here: the parts they are made of
(`dashboards/components`) and queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards import charts
from dashboards.components import Context, behind, chart, nothing, table, to_frame
from dashboards.language import definitions

LISTED = 12


def titles_of(context: Context, columns: Sequence[str]) -> dict[str, str]:
    """Names of columns: that of the metric where there is one, else the pages' own word."""
    language = context.language
    return {
        name: language.metric(name) if name in definitions() else language.name_of("columns", name) for name in columns
    }


def ranked_bars(
    context: Context, found: pa.Table, *, key: str, title: str, name: str, value: str,
    label: Callable[[dict[str, Any]], str], columns: Sequence[str], name_of: Callable[[Any], str] = str,
    money: Sequence[str] = (), shares: Sequence[str] = (), text: Mapping[str, Mapping[str, str]] | None = None,
    colour: str = charts.BLUE, percent: bool = False,
) -> None:  # fmt: skip
    """Bars of column `value`, one a row as they come, named by `name_of` of column `name`; the table shows `columns`.

    A row without a value has no bar and stays in the table. percent: the value is a share, drawn as per cent.
    """
    if not found.num_rows:
        nothing(context.language)
        return
    titles = titles_of(context, columns)
    frame = to_frame(found)
    frame["_name"] = [name_of(entry) for entry in found[name].to_pylist()]
    frame["_label"] = [label(row) for row in found.to_pylist()]
    frame["_value"] = frame[value].astype("float64") * (100 if percent else 1)
    listed = frame[frame["_value"].notna()].drop_duplicates("_name").head(LISTED)
    if len(listed):
        built = charts.bars(
            listed, category="_name", value="_value", label="_label", formats=context.formats, colour=colour,
            titles={"_name": titles[name], "_value": titles[value] + (" (%)" if percent else "")},
            order=list(listed["_name"]), label_limit=220,
        )  # fmt: skip
        chart(built, key=key, alt_text=title)
        if frame["_value"].notna().sum() > len(listed):
            st.caption(context.language.text("common.first_of", shown=len(listed), all=found.num_rows))
    else:
        nothing(context.language, "states.too_few")
    names = {str(entry): name_of(entry) for entry in found[name].to_pylist() if entry is not None}
    with behind(context.language, key):
        table(
            context.language, found, key=key, titles=titles, formats=context.formats, money=money, shares=shares,
            text={name: names, **(text or {})},
        )  # fmt: skip
