"""The filters every page shares: period, brand, channels, region, stores. They live in the URL and stay when the page
changes.

Belongs here: reading, checking and writing them, their widgets, and the SQL condition they mean. Does not belong
here: what a page does with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
_CONDITION = re.compile(r"\{(condition|channel_condition|store_condition)(?::([\w.]+))?\}")


@dataclass(frozen=True)
class Brand:
    """What belongs to a brand: a sale in a store by the store, any other by its channel."""

    stores: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """What can be chosen: ids with their names, and the first and last business day of the snapshot.

    brands: the stores and the channels of each. regions: the stores of each.
    """

    channels: Mapping[str, str]
    stores: Mapping[str, str]
    first_day: date
    last_day: date
    brands: Mapping[str, Brand] = field(default_factory=dict)
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Filters:
    """Chosen period (both days included), channels, stores, brands and regions; an empty tuple means all.

    of_brands and region_stores are what the brands and regions stand for in this snapshot.
    """

    period: str
    start: date
    end: date
    channels: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    of_brands: Brand = Brand()
    region_stores: tuple[str, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but days is left out."""
        return bool(self.channels or self.stores or self.brands or self.regions)

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
        if self.brands:
            by_store = _is_one_of(store, "brand_store", self.of_brands.stores)
            by_channel = _is_one_of(channel, "brand_channel", self.of_brands.channels)
            parts.append(f"({by_store} OR ({store} IS NULL AND {by_channel}))")
        if self.regions:
            parts.append(_is_one_of(store, "region_store", self.region_stores))
        return " AND ".join(parts) or "true"

    def channel_condition(self, channel: str = "channel") -> str:
        """SQL that keeps the chosen channels and those of the chosen brands, for figures that no store has."""
        parts = [_is_one_of(channel, "channel", self.channels)] if self.channels else []
        if self.brands:
            parts.append(_is_one_of(channel, "brand_channel", self.of_brands.channels))
        return " AND ".join(parts) or "true"

    def store_condition(self, store: str = "store_id") -> str:
        """SQL that keeps the chosen stores and those of the chosen brands and regions, whatever the channel."""
        chosen = tuple(value for value in self.stores if value != NO_STORE)
        parts = [f"{store} IN ({', '.join(self._names_of(chosen))})"] if chosen else []
        if self.brands:
            parts.append(_is_one_of(store, "brand_store", self.of_brands.stores))
        if self.regions:
            parts.append(_is_one_of(store, "region_store", self.region_stores))
        return " AND ".join(parts) or "true"

    def _names_of(self, stores: Sequence[str]) -> list[str]:
        return [f"$store_{self.stores.index(value)}" for value in stores]

    def fill(self, sql: str) -> str:
        """A statement with its conditions filled in.

        `{condition}` is that of sales, `{channel_condition}` and `{store_condition}` those of figures without stores or
        of stores alone; `{store_condition:stores.id}` names the column where it is called otherwise.
        """
        return _CONDITION.sub(self._condition_of, sql)

    def _condition_of(self, found: re.Match[str]) -> str:
        kind, column = found.groups()
        if kind == "channel_condition":
            return self.channel_condition(column or "channel")
        if kind == "store_condition":
            return self.store_condition(column or "store_id")
        return self.condition()

    @property
    def parameters(self) -> dict[str, Any]:
        """Values for `condition`, and the period as `start` and `end`."""
        values: dict[str, Any] = {"start": self.start, "end": self.end}
        values |= {f"channel_{position}": value for position, value in enumerate(self.channels)}
        values |= {f"store_{position}": value for position, value in enumerate(self.stores)}
        values |= {f"brand_store_{position}": value for position, value in enumerate(self.of_brands.stores)}
        values |= {f"brand_channel_{position}": value for position, value in enumerate(self.of_brands.channels)}
        values |= {f"region_store_{position}": value for position, value in enumerate(self.region_stores)}
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
        if self.brands:
            found["brand"] = list(self.brands)
        if self.regions:
            found["region"] = list(self.regions)
        return found


def _is_one_of(column: str, prefix: str, values: Sequence[str]) -> str:
    """SQL: the column has one of the values bound as `$prefix_0` and on; nothing has one of none."""
    if not values:
        return "false"
    return f"{column} IN ({', '.join(f'${prefix}_{position}' for position in range(len(values)))})"


def parse_filters(query: Mapping[str, Sequence[str]], choices: Choices) -> Filters:
    """Filters from URL parameters. What is unknown or impossible is dropped: a stale link still opens a page."""
    channels = tuple(value for value in dict.fromkeys(query.get("channel", ())) if value in choices.channels)
    stores = tuple(value for value in dict.fromkeys(query.get("store", ())) if value in choices.stores)
    start, end = _date(query.get("from")), _date(query.get("to"))
    if start and end:
        filters = custom_period(start, end, choices, channels, stores)
    else:
        period = next(iter(query.get("period", ())), DEFAULT_PERIOD)
        filters = preset_period(period if period in PERIODS[:-1] else DEFAULT_PERIOD, choices, channels, stores)
    return of_brands_and_regions(filters, choices, query.get("brand", ()), query.get("region", ()))


def of_brands_and_regions(filters: Filters, choices: Choices, brands: Sequence[str], regions: Sequence[str]) -> Filters:
    """The filters narrowed to brands and regions that the snapshot knows."""
    known = tuple(value for value in dict.fromkeys(brands) if value in choices.brands)
    places = tuple(value for value in dict.fromkeys(regions) if value in choices.regions)
    of_brands = Brand(
        tuple(store for brand in known for store in choices.brands[brand].stores),
        tuple(channel for brand in known for channel in choices.brands[brand].channels),
    )
    stores = tuple(store for region in places for store in choices.regions[region])
    return replace(filters, brands=known, regions=places, of_brands=of_brands, region_stores=stores)


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
    period_key, brands_key, channels_key, regions_key, stores_key = (
        widget_key(name, language) for name in ("period", "brands", "channels", "regions", "stores")
    )
    _prepare(period_key, chosen.period)
    _prepare(channels_key, list(chosen.channels), set(choices.channels))
    _prepare(stores_key, list(chosen.stores), set(choices.stores))
    _prepare(brands_key, list(chosen.brands), set(choices.brands))
    _prepare(regions_key, list(chosen.regions), set(choices.regions))
    st.header(language.text("filters.title"), divider="gray")
    period = st.selectbox(
        language.text("filters.period"),
        PERIODS,
        format_func=lambda value: language.text(f"filters.period_{value}"),
        key=period_key,
    )
    start, end = _draw_days(chosen, choices, language) if period == "custom" else (chosen.start, chosen.end)
    brands, regions = list(chosen.brands), list(chosen.regions)
    if len(choices.brands) > 1:
        brands = st.multiselect(
            language.text("filters.brand"),
            list(choices.brands),
            placeholder=language.text("filters.all_brands"),
            key=brands_key,
        )
    channels = st.multiselect(
        language.text("filters.channel"),
        list(choices.channels),
        format_func=lambda value: choices.channels.get(value, value),
        placeholder=language.text("filters.all_channels"),
        key=channels_key,
    )
    if len(choices.regions) > 1:
        regions = st.multiselect(
            language.text("filters.region"),
            list(choices.regions),
            placeholder=language.text("filters.all_regions"),
            key=regions_key,
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
    result = of_brands_and_regions(result, choices, brands, regions)
    st.caption(f"{formats.day(result.start, with_weekday=False)} – {formats.day(result.end, with_weekday=False)}")
    if result.is_narrowed:
        st.button(
            language.text("filters.reset"),
            on_click=_reset,
            args=(brands_key, channels_key, regions_key, stores_key),
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
    """The key of a filter's widget: period, brands, channels, regions or stores."""
    return f"filter_{name}_{language.code}"


def _reset(*keys: str) -> None:
    for key in keys:
        st.session_state[key] = []
