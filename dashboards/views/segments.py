"""Segment builder: conditions nested at will, with the segment's size while they are put together, and its versions.

Belongs here: the widgets. The working copy is `dashboards/segment_tree`; what a definition means and how it becomes SQL
is `pipelines.segments`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import streamlit as st

from dashboards.components import Card, Context, behind, cards, section, table
from dashboards.data import MissingDataError
from dashboards.queries import segments as queries
from dashboards.segment_tree import Draft, from_tree, new_condition, new_group, remove, to_tree
from dashboards.visitor import state_of
from pipelines.errors import ConfigurationError, OmnilakeError
from pipelines.segments.catalogue import CUSTOMER_TABLES, EVENT_FILTERS, EVENT_MEASURES, EVENT_TABLE, Column, columns_of
from pipelines.segments.command import save_segment
from pipelines.segments.compiler import Compiled, compile_segment
from pipelines.segments.definition import COMPARISONS, DEEPEST, OPERATORS, canonical, check
from pipelines.segments.saved import list_saved, versions

_DRAFT, _NAME = "segment_draft", "segment_name"
_DEEPEST_GROUP = DEEPEST // 2 - 1


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("segments.title"), anchor=False)
    st.caption(language.text("segments.subtitle"))
    try:
        columns = _columns(context)
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    _draw_saved(context)
    draft: Draft = st.session_state.setdefault(_DRAFT, new_group())
    with section(language, language.text("segments.conditions"), key="segment-conditions"):
        _draw_group(context, draft, draft, columns, depth=1)
    tree = to_tree(draft)
    if tree is None:
        st.info(language.text("segments.empty"), icon=":material/filter_alt:")
        return
    try:
        compiled = compile_segment(check(tree, columns), columns, context.basis.as_of)
    except ConfigurationError as error:
        st.warning(language.text("segments.incomplete", problem=error), icon=":material/edit:")
        return
    try:
        _draw_size(context, compiled)
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    _draw_saving(context, tree)


def _columns(context: Context) -> dict[str, Column]:
    present = context.reader.tables()
    return columns_of(
        {
            name: context.reader.table(queries.NO_ROW.format(table=name)).schema
            for name in CUSTOMER_TABLES
            if name in present
        }
    )


def _draw_saved(context: Context) -> None:
    """The saved segments: open one to change it."""
    language = context.language
    saved = {segment.name: segment for segment in list_saved(state_of(context.reader.settings))}
    if not saved:
        return
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.selectbox(
        language.text("segments.saved"),
        list(saved),
        index=None,
        format_func=lambda name: f"{name} · v{saved[name].version}",
        placeholder=language.text("segments.choose"),
        key="segment_open",
    )
    right.button(
        language.text("segments.open"),
        disabled=chosen is None,
        on_click=lambda: _open(saved[chosen].name, saved[chosen].tree) if chosen else None,
        key="segment_open_button",
    )


def _open(name: str, tree: Any) -> None:
    st.session_state[_DRAFT] = from_tree(json.loads(canonical(tree)))
    st.session_state[_NAME] = name


def _draw_group(context: Context, root: Draft, group: Draft, columns: Mapping[str, Column], depth: int) -> None:
    language, key = context.language, f"segment-{group['id']}"
    left, middle, right = st.columns([3, 2, 1], vertical_alignment="center")
    joins = ("all", "any")
    group["join"] = left.segmented_control(
        language.text("segments.join"),
        joins,
        default=group["join"],
        format_func=lambda join: language.text(f"segments.{join}_of"),
        key=f"{key}-join",
        required=True,
        label_visibility="collapsed",
    )
    group["negated"] = middle.checkbox(language.text("segments.negated"), value=group["negated"], key=f"{key}-not")
    if group is not root:
        _draw_remove(context, root, group, right)
    for part in group["parts"]:
        if part["type"] == "group":
            with st.container(border=True, key=f"{key}-{part['id']}"):
                _draw_group(context, root, part, columns, depth + 1)
        else:
            _draw_condition(context, root, part, columns)
    buttons = st.container(horizontal=True)
    for kind in ("column", "events", "tag", *(["group"] if depth < _DEEPEST_GROUP else [])):
        buttons.button(
            language.text(f"segments.add_{kind}"),
            on_click=_add,
            args=(group, kind),
            key=f"{key}-add-{kind}",
            icon=":material/add:",
        )


def _add(group: Draft, kind: str) -> None:
    group["parts"].append(new_group("any") if kind == "group" else new_condition(kind))


def _draw_remove(context: Context, root: Draft, node: Draft, place: Any) -> None:
    place.button(
        context.language.text("segments.remove"),
        on_click=remove,
        args=(root, node["id"]),
        key=f"segment-{node['id']}-remove",
        icon=":material/delete:",
        type="tertiary",
    )


def _draw_condition(context: Context, root: Draft, node: Draft, columns: Mapping[str, Column]) -> None:
    places = st.columns([3, 2, 4, 1], vertical_alignment="bottom")
    if node["type"] == "column":
        _draw_column(context, node, columns, places)
    elif node["type"] == "events":
        _draw_events(context, node, places)
    else:
        _draw_tag(context, node, places)
    _draw_remove(context, root, node, places[3])


def _draw_column(context: Context, node: Draft, columns: Mapping[str, Column], places: list[Any]) -> None:
    language, key = context.language, f"segment-{node['id']}"
    names = sorted(columns)
    node["column"] = places[0].selectbox(
        language.text("segments.column"), names, index=_place(names, node.get("column")), key=f"{key}-column"
    )
    column = columns.get(node["column"] or "")
    if column is None:
        return
    operators = OPERATORS[column.kind]
    node["op"] = places[1].selectbox(
        language.text("segments.op"),
        operators,
        index=_place(operators, node.get("op"), 0),
        format_func=lambda op: language.name_of("operators", op),
        key=f"{key}-op-{column.kind}",
    )
    place, title = places[2], language.text("segments.value")
    widget_key = f"{key}-value-{column.kind}-{node['op']}"
    before = node.get("value")
    match node["op"]:
        case "is_null" | "is_not_null":
            node["value"] = None
        case "in" | "not_in":
            known = _known_values(context, column.table, node["column"])
            kept = before if isinstance(before, list) else []
            node["value"] = place.multiselect(
                title, [*known, *(value for value in kept if value not in known)], default=kept, key=widget_key,
                accept_new_options=True,
            )  # fmt: skip
        case "contains" | "starts_with":
            node["value"] = place.text_input(title, value=before if isinstance(before, str) else "", key=widget_key)
        case "is":
            choices = (True, False)
            node["value"] = place.selectbox(
                title, choices, index=_place(choices, before, 0),
                format_func=lambda yes: language.text("segments.yes" if yes else "segments.no"), key=widget_key,
            )  # fmt: skip
        case "within_days" | "not_within_days":
            days = before if isinstance(before, int) else 90
            node["value"] = place.number_input(title, 1, 36_500, value=days, key=widget_key)
        case "between":
            pair = before if isinstance(before, list) and len(before) == 2 else [None, None]
            left, right = place.columns(2)
            node["value"] = [
                _plain(left, title, pair[0], column.kind, f"{widget_key}-from"),
                _plain(right, language.text("segments.up_to"), pair[1], column.kind, f"{widget_key}-to"),
            ]
            if None in node["value"]:
                node["value"] = None
        case _:
            node["value"] = _plain(place, title, before, column.kind, widget_key)


def _plain(place: Any, title: str, before: Any, kind: str, key: str) -> Any:
    """A number as text with its decimals kept, or a day in ISO 8601; None while nothing is chosen."""
    if kind == "number":
        shown_number = str(before) if isinstance(before, int | float | str) else ""
        written = place.text_input(title, value=shown_number, key=key).strip()
        return written or None
    try:
        shown = date.fromisoformat(before) if isinstance(before, str) else None
    except ValueError:
        shown = None
    picked = place.date_input(title, value=shown, format="YYYY-MM-DD", key=key)
    return picked.isoformat() if isinstance(picked, date) else None


def _draw_events(context: Context, node: Draft, places: list[Any]) -> None:
    language, key = context.language, f"segment-{node['id']}"
    measures = list(EVENT_MEASURES)
    node["events"] = places[0].selectbox(
        language.text("segments.measure"), measures, index=_place(measures, node.get("events"), 0),
        format_func=lambda name: language.name_of("event_measures", name), key=f"{key}-measure",
    )  # fmt: skip
    node["op"] = places[1].selectbox(
        language.text("segments.op"), COMPARISONS, index=_place(COMPARISONS, node.get("op"), 5),
        format_func=lambda op: language.name_of("operators", op), key=f"{key}-op",
    )  # fmt: skip
    left, right = places[2].columns(2)
    node["value"] = _plain(left, language.text("segments.value"), node.get("value"), "number", f"{key}-value")
    days = right.number_input(
        language.text("segments.within_days"), 0, 36_500, value=node.get("within_days") or 0, key=f"{key}-days"
    )
    node["within_days"] = days or None
    where = dict(node.get("where") or {})
    with st.expander(language.text("segments.only_events"), key=f"{key}-where"):
        for name, place in zip(EVENT_FILTERS, st.columns(len(EVENT_FILTERS)), strict=True):
            known, kept = _known_values(context, EVENT_TABLE, name), where.get(name, [])
            where[name] = place.multiselect(
                language.name_of("event_filters", name), [*known, *(value for value in kept if value not in known)],
                default=kept, key=f"{key}-where-{name}", accept_new_options=True,
            )  # fmt: skip
    node["where"] = {name: values for name, values in where.items() if values}


def _draw_tag(context: Context, node: Draft, places: list[Any]) -> None:
    language, key = context.language, f"segment-{node['id']}"
    known = _known_values(context, "customer_tags", "tag")
    tags = [*known, *([node["tag"]] if node.get("tag") and node["tag"] not in known else [])]
    node["tag"] = places[0].selectbox(
        language.text("segments.tag"), tags, index=_place(tags, node.get("tag")), key=f"{key}-tag"
    )
    written = places[2].text_input(
        language.text("segments.tag_value"), value=node.get("value") or "", key=f"{key}-value"
    )
    node["value"] = written or None


def _known_values(context: Context, name: str, column: str) -> list[str]:
    """Values that a column has, as far as a list of them is short; none of a customer's id."""
    if column == "customer_id":
        return []
    quoted = '"' + column.replace('"', '""') + '"'
    try:
        found = context.reader.rows(queries.VALUES.format(table=name, column=quoted))
    except MissingDataError:
        return []
    return [row["value"] for row in found]


def _place(options: Any, value: Any, default: int | None = None) -> int | None:
    return list(options).index(value) if value in options else default


def _draw_size(context: Context, compiled: Compiled) -> None:
    language, formats = context.language, context.formats
    found = context.reader.rows(queries.SIZE.format(members=compiled.sql), compiled.parameters)[0]
    share = Decimal(found["customers"]) / found["all_customers"] if found["all_customers"] else None
    cards(
        language,
        [
            Card("segment_size", formats.count(found["customers"])),
            Card("segment_share", formats.percent(share)),
            Card("consenting_customers", formats.count(found["consenting_customers"])),
        ],
        columns=3,
    )
    with section(language, language.text("segments.overlap"), key="segment-overlap", metric="segment_overlap"):
        shared = context.reader.table(queries.OVERLAP.format(members=compiled.sql), compiled.parameters)
        titles = {
            "segment": language.text("columns.segment"),
            "customers": language.metric("segment_size"),
            "shared_customers": language.text("segments.shared"),
            "share": language.text("columns.share"),
        }
        names = {name: context.segment(name) for name in shared["segment"].to_pylist()}
        table(language, shared, key="segment-overlap", titles=titles, formats=formats, shares=("share",),
              text={"segment": names})  # fmt: skip


def _draw_saving(context: Context, tree: Any) -> None:
    language = context.language
    with section(language, language.text("segments.save"), key="segment-save"):
        left, right = st.columns([3, 1], vertical_alignment="bottom")
        name = left.text_input(language.text("segments.name"), key=_NAME)
        if right.button(language.text("segments.save"), type="primary", disabled=not name, key="segment_save"):
            try:
                save_segment(context.reader.settings, name, canonical(tree), context.account.name)
                st.success(language.text("segments.saved_as", name=name), icon=":material/check:")
            except OmnilakeError as error:
                st.error(str(error), icon=":material/error:")
        with behind(language, "segment-definition"):
            st.code(json.dumps(tree, ensure_ascii=False, indent=1, default=str), language="json")
            for row in versions(state_of(context.reader.settings), name) if name else ():
                saved_at = context.formats.instant(row["saved_at"])
                st.caption(f"v{row['version']} · {row['saved_by']} · {saved_at}")
