"""The pieces pages are built of: a section with its own fault, a card, a chart with its table and download.

Belongs here: how a figure is placed, explained and taken home. Does not belong here: queries and formulas.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import streamlit as st

from dashboards.data import MissingDataError, Reader
from dashboards.filters import Filters
from dashboards.formats import NOTHING, Formats
from dashboards.language import Language
from dashboards.queries.shared import Basis, SegmentWords
from pipelines.accounts.store import Account

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Context:
    """What every page gets: where to read, in which words and forms, and what was chosen."""

    reader: Reader
    language: Language
    formats: Formats
    filters: Filters
    basis: Basis
    first_day: date
    segments: Mapping[str, SegmentWords]
    channel_names: Mapping[str, str]
    store_names: Mapping[str, str]
    account: Account

    def channel(self, channel: str | None) -> str:
        return self.language.text("common.none") if channel is None else self.channel_names.get(channel, channel)

    def segment(self, segment: str | None) -> str:
        """The name of a segment or lifecycle stage: that of segments.yml, else the page's own, else its id."""
        words = self.segments.get(segment or "")
        return words.name if words else self.language.name_of("lifecycle", segment)

    def store(self, store: str | None) -> str:
        return self.language.text("common.without_store") if store is None else self.store_names.get(store, store)


@contextmanager
def section(language: Language, title: str, *, key: str, metric: str | None = None) -> Iterator[None]:
    """A titled box. A table this snapshot lacks becomes a sentence in it, and the rest of the page goes on."""
    with st.container(border=True, key=key):
        st.subheader(title, help=language.tooltip(metric) if metric else None, anchor=False)
        try:
            yield
        except MissingDataError as missing:
            st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")


def nothing(language: Language, key: str = "states.no_rows") -> None:
    """The words of an empty result."""
    st.info(language.text(key), icon=":material/search_off:")


@dataclass(frozen=True)
class Card:
    """A figure with what it is compared with. `metric` is its definition; `trend` draws a small line."""

    metric: str
    value: str
    delta: str | None = None
    note: str = ""
    trend: Sequence[float] = ()
    less_is_better: bool = False


def cards(language: Language, found: Sequence[Card], *, columns: int = 6) -> None:
    """Cards in rows of equal width, each with the key `card-<metric>`."""
    for start in range(0, len(found), columns):
        row = st.columns(columns, gap="small")
        for place, card in zip(row, found[start : start + columns], strict=False):
            with place, st.container(border=True, key=f"card-{card.metric}", height="stretch"):
                st.metric(
                    language.metric(card.metric),
                    card.value,
                    delta=card.delta,
                    delta_color=_delta_color(card),
                    delta_arrow="off" if _is_unchanged(card) else "auto",
                    help=language.tooltip(card.metric),
                    chart_data=list(card.trend) or None,
                    chart_type="area",
                )
                if card.note:
                    st.caption(card.note)


def _is_unchanged(card: Card) -> bool:
    return card.delta is not None and card.delta.startswith("0")


def _delta_color(card: Card) -> Literal["normal", "inverse", "off"]:
    if _is_unchanged(card):
        return "off"
    return "inverse" if card.less_is_better else "normal"


def to_frame(table: pa.Table) -> pd.DataFrame:
    """For charts and grids: decimals become floats and days timestamps; the download keeps the exact values."""
    frame = table.to_pandas(date_as_object=False)
    for field in table.schema:
        if pa.types.is_decimal(field.type):
            frame[field.name] = frame[field.name].astype("float64")
    return frame


def chart(built: alt.Chart | alt.LayerChart, *, key: str, alt_text: str) -> None:
    """Draw a chart at the width of its place; `alt_text` is what a screen reader says."""
    st.altair_chart(built, width="stretch", key=key, alt=alt_text)


def table(
    language: Language, found: pa.Table, *, key: str, titles: Mapping[str, str], formats: Formats,
    money: Sequence[str] = (), shares: Sequence[str] = (), instants: Sequence[str] = (), height: int | None = None,
    text: Mapping[str, Mapping[str, str]] | None = None,
) -> None:  # fmt: skip
    """The rows as a grid that sorts, and a download of the same rows, exact; columns and their order are `titles`'.

    `money`, `shares` and `instants` name columns to show in the reader's form; `text` replaces coded values by names.
    """
    shown = found.select([name for name in titles if name in found.column_names])
    frame = to_frame(shown)
    config: dict[str, Any] = {}
    for name in shown.column_names:
        kind = shown.schema.field(name).type
        if name in shares:
            frame[name] = frame[name] * 100
            config[name] = st.column_config.NumberColumn(titles[name], format="%.1f%%")
        elif name in money:
            config[name] = st.column_config.NumberColumn(
                titles[name], format=f"{formats.currency_sign}%,.{formats.money_decimals}f"
            )
        elif name in instants:
            frame[name] = [formats.local(_instant(value)) for value in frame[name]]
            config[name] = st.column_config.DatetimeColumn(titles[name], format="YYYY-MM-DD HH:mm")
        elif pa.types.is_date(kind):
            config[name] = st.column_config.DateColumn(titles[name], format="YYYY-MM-DD")
        elif pa.types.is_floating(kind):
            config[name] = st.column_config.NumberColumn(titles[name], format="%,.2f")
        elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            config[name] = st.column_config.NumberColumn(titles[name], format="%,d")
        else:
            names = (text or {}).get(name, {})
            frame[name] = [None if value is None else names.get(value, value) for value in shown[name].to_pylist()]
            config[name] = st.column_config.TextColumn(titles[name])
    extra: dict[str, Any] = {} if height is None else {"height": height}
    st.dataframe(
        frame, hide_index=True, column_config=config, key=f"table-{key}", width="stretch", placeholder=NOTHING, **extra
    )
    download(language, shown, key=key)


def _instant(value: Any) -> Any:
    """A timestamp of a frame as datetime; its NaT as None."""
    return None if value is None or value != value else value.to_pydatetime()


def download(language: Language, found: pa.Table, *, key: str) -> None:
    """A button that gives the rows as CSV.

    The text is made while the page is drawn: tables are short, and one made on the press can be dropped by a rerun
    before the browser has fetched it.
    """
    st.download_button(
        language.text("common.download"),
        data=to_csv(found),
        file_name=f"{key}.csv",
        mime="text/csv",
        key=f"download-{key}",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


@contextmanager
def behind(language: Language, key: str) -> Iterator[None]:
    """The place for the table of a chart: a closed expander beneath it."""
    with st.expander(language.text("common.as_table"), icon=":material/table_rows:", key=f"expander-{key}"):
        yield


def to_csv(found: pa.Table) -> bytes:
    """UTF-8 with BOM for spreadsheets; a text cell that a spreadsheet would run as a formula gets a leading '."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(found.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in found.to_pylist())
    return written.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMBER.fullmatch(text):
        return "'" + text
    return text
