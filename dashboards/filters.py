"""The filters every page shares: period, channels, stores. They live in the URL and stay when the page changes.

Belongs here: reading, checking and writing them, their widgets, and the SQL condition they mean. Does not belong
here: what a page does with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import streamlit as st

from dashboards.formats import Formats
from dashboards.language import Language

PERIODS = ("7", "28", "90", "180", "365", "custom")
DEFAULT_PERIOD = "90"
NO_STORE = "~none"
"""Stands in the URL and in the widget for sales without a store."""
_STATE = "filters"


@dataclass(frozen=True)
class Choices:
    """What can be chosen: ids with their names, and the first and last business day of the snapshot."""

    channels: Mapping[str, str]
    stores: Mapping[str, str]
    first_day: date
    last_day: date


@dataclass(frozen=True)
class Filters:
    """Chosen period (both days included), channels and stores; an empty tuple means all."""

    period: str
    start: date
    end: date
    channels: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        """Whether channels or stores are left out."""
        return bool(self.channels or self.stores)

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    def condition(self, channel: str = "channel", store: str = "store_id") -> str:
        """SQL that keeps the chosen channels and stores, over columns so named; the values are in `parameters`."""
        parts = []
        if self.channels:
            names = ", ".join(f"$channel_{position}" for position in range(len(self.channels)))
            parts.append(f"{channel} IN ({names})")
        if self.stores:
            kept = [f"$store_{position}" for position, value in enumerate(self.stores) if value != NO_STORE]
            alternatives = [f"{store} IN ({', '.join(kept)})"] if kept else []
            if NO_STORE in self.stores:
                alternatives.append(f"{store} IS NULL")
            parts.append(f"({' OR '.join(alternatives)})")
        return " AND ".join(parts) or "true"

    @property
    def parameters(self) -> dict[str, Any]:
        """Values for `condition`, and the period as `start` and `end`."""
        values: dict[str, Any] = {"start": self.start, "end": self.end}
        values |= {f"channel_{position}": value for position, value in enumerate(self.channels)}
        values |= {f"store_{position}": value for position, value in enumerate(self.stores)}
        return values

    def query_string(self) -> dict[str, list[str]]:
        """The filters as URL parameters; what is the default is left out."""
        found: dict[str, list[str]] = {}
        if self.period == "custom":
            found |= {"from": [self.start.isoformat()], "to": [self.end.isoformat()]}
        elif self.period != DEFAULT_PERIOD:
            found["period"] = [self.period]
        if self.channels:
            found["channel"] = list(self.channels)
        if self.stores:
            found["store"] = list(self.stores)
        return found


def parse_filters(query: Mapping[str, Sequence[str]], choices: Choices) -> Filters:
    """Filters from URL parameters. What is unknown or impossible is dropped: a stale link still opens a page."""
    channels = tuple(value for value in dict.fromkeys(query.get("channel", ())) if value in choices.channels)
    stores = tuple(value for value in dict.fromkeys(query.get("store", ())) if value in choices.stores)
    start, end = _date(query.get("from")), _date(query.get("to"))
    if start and end:
        return custom_period(start, end, choices, channels, stores)
    period = next(iter(query.get("period", ())), DEFAULT_PERIOD)
    return preset_period(period if period in PERIODS[:-1] else DEFAULT_PERIOD, choices, channels, stores)


def preset_period(period: str, choices: Choices, channels: tuple[str, ...], stores: tuple[str, ...]) -> Filters:
    """The last so many days of the snapshot."""
    start = choices.last_day - timedelta(days=int(period) - 1)
    return Filters(period, start, choices.last_day, channels, stores)


def custom_period(
    start: date, end: date, choices: Choices, channels: tuple[str, ...], stores: tuple[str, ...]
) -> Filters:
    """A period of two days, put in order and kept within the snapshot."""
    first, last = sorted((start, end))
    first = min(max(first, choices.first_day), choices.last_day)
    last = min(max(last, choices.first_day), choices.last_day)
    return Filters("custom", first, last, channels, stores)


def _date(values: Sequence[str] | None) -> date | None:
    try:
        return date.fromisoformat(values[0]) if values else None
    except ValueError:
        return None


def draw_filters(choices: Choices, language: Language, formats: Formats) -> Filters:
    """The sidebar's widgets; returns what is chosen and keeps it for the next page and the next run."""
    kept: Filters | None = st.session_state.get(_STATE)
    # A new snapshot may have lost a channel or moved the last day: what was kept is checked like a link.
    query = kept.query_string() if kept else {name: st.query_params.get_all(name) for name in st.query_params}
    chosen = parse_filters(query, choices)
    # The browser keeps showing a choice in the words it was made in, so each language has widgets of its own.
    period_key, channels_key, stores_key = (widget_key(name, language) for name in ("period", "channels", "stores"))
    _prepare(period_key, chosen.period)
    _prepare(channels_key, list(chosen.channels), set(choices.channels))
    _prepare(stores_key, list(chosen.stores), set(choices.stores))
    st.header(language.text("filters.title"), divider="gray")
    period = st.selectbox(
        language.text("filters.period"),
        PERIODS,
        format_func=lambda value: language.text(f"filters.period_{value}"),
        key=period_key,
    )
    start, end = _draw_days(chosen, choices, language) if period == "custom" else (chosen.start, chosen.end)
    channels = st.multiselect(
        language.text("filters.channel"),
        list(choices.channels),
        format_func=lambda value: choices.channels.get(value, value),
        placeholder=language.text("filters.all_channels"),
        key=channels_key,
    )
    stores = st.multiselect(
        language.text("filters.store"),
        list(choices.stores),
        format_func=lambda value: choices.stores.get(value, value),
        placeholder=language.text("filters.all_stores"),
        key=stores_key,
    )
    if period == "custom":
        result = custom_period(start, end, choices, tuple(channels), tuple(stores))
    else:
        result = preset_period(period, choices, tuple(channels), tuple(stores))
    st.caption(f"{formats.day(result.start, with_weekday=False)} – {formats.day(result.end, with_weekday=False)}")
    if result.is_narrowed:
        st.button(
            language.text("filters.reset"),
            on_click=_reset,
            args=(channels_key, stores_key),
            key="filter_reset",
            icon=":material/filter_alt_off:",
        )
    st.session_state[_STATE] = result
    return result


def _draw_days(chosen: Filters, choices: Choices, language: Language) -> tuple[date, date]:
    """The two days of a period of one's own; while only one is picked, the period is that day."""
    picked = st.date_input(
        language.text("filters.days"),
        value=(max(chosen.start, choices.first_day), chosen.end),
        min_value=choices.first_day,
        max_value=choices.last_day,
        format="YYYY-MM-DD",
    )
    days = picked if isinstance(picked, tuple) else (picked,)
    return (days[0], days[-1]) if days else (chosen.start, chosen.end)


def _prepare(key: str, value: Any, known: set[str] | None = None) -> None:
    """Seed a widget on its first run; later drop choices that the snapshot no longer has."""
    if key not in st.session_state:
        st.session_state[key] = value
    elif known is not None:
        st.session_state[key] = [item for item in st.session_state[key] if item in known]


def widget_key(name: str, language: Language) -> str:
    """The key of a filter's widget: period, channels or stores."""
    return f"filter_{name}_{language.code}"


def _reset(*keys: str) -> None:
    for key in keys:
        st.session_state[key] = []
