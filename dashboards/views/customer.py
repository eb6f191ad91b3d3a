"""One customer: why these memberships are one person, what was not used, what happened, and what was sent and why.

Belongs here: the layout of the page. Queries are in `dashboards/queries/customer`, the picture in `link_graph`.
Values are keyed tokens, shortened; nothing here names a person.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import streamlit as st

from dashboards.components import Context, nothing, section, table
from dashboards.data import MissingDataError
from dashboards.link_graph import link_graph
from dashboards.queries import customer as queries

_MASKED = ("identity",)


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("customer.title"), anchor=False)
    st.caption(language.text("customer.subtitle"))
    typed = st.text_input(
        language.text("customer.type_id"),
        key="one_customer_id",
        placeholder="c0123456789abcdef0123",
    ).strip()
    if not typed:
        nothing(language, "customer.pick")
        return
    bound = {"customer_id": typed}
    try:
        is_there = _find(context, bound)
    except MissingDataError as missing:
        st.info(language.text("states.missing", name=missing.name), icon=":material/inventory_2:")
        return
    if is_there:
        _draw_customer(context, bound)


def _find(context: Context, bound: dict[str, str]) -> bool:
    """Whether the customer is there; if not, the page says what is known."""
    language = context.language
    if not context.reader.rows(queries.IS_KNOWN, bound) and not context.reader.rows(queries.MEMBERSHIPS, bound):
        gone = context.reader.rows(queries.WENT_INTO, bound)
        if gone:
            st.info(language.text("customer.went_into", customer=gone[0]["into_customer_id"]))
        else:
            nothing(language, "customer.unknown")
        return False
    return True


def _draw_customer(context: Context, bound: dict[str, str]) -> None:
    language = context.language
    _draw_sentence(context, bound)
    with section(language, language.text("customer.links"), key="chart-links", metric="customer_links"):
        _draw_links(context, bound)
    left, right = st.columns(2, gap="small")
    with left, section(language, language.text("customer.memberships"), key="table-memberships", metric="memberships"):
        _draw(context, queries.MEMBERSHIPS, bound, "memberships", _MEMBERSHIP_COLUMNS, "customer.no_memberships")
    with right, section(language, language.text("customer.values"), key="table-values", metric="identifiers"):
        _draw(context, queries.VALUES, bound, "values", _VALUE_COLUMNS, "customer.no_values")
    with left, section(language, language.text("customer.blocks"), key="table-blocks", metric="identity_blocks"):
        _draw(context, queries.BLOCKS, bound, "blocks", _BLOCK_COLUMNS, "customer.no_blocks")
    with right, section(language, language.text("customer.household"), key="table-household", metric="households"):
        _draw(context, queries.HOUSEHOLD, bound, "household", _HOUSEHOLD_COLUMNS, "customer.no_household")
    with section(language, language.text("customer.events"), key="table-events", metric="identity_events"):
        _draw(context, queries.EVENTS, bound, "events", _EVENT_COLUMNS, "customer.no_events")
    with left, section(language, language.text("customer.tags"), key="table-tags", metric="activation"):
        _draw(context, queries.TAGS, bound, "tags", _TAG_COLUMNS, "customer.no_tags")
    with section(language, language.text("customer.deliveries"), key="table-sent", metric="activation"):
        _draw(context, queries.DELIVERIES, bound, "sent", _DELIVERY_COLUMNS, "customer.no_deliveries")


_MEMBERSHIP_COLUMNS = ("channel", "member_id", "first_seen_at", "last_seen_at")
_VALUE_COLUMNS = ("kind", "identity", "n_sources", "first_seen_at", "last_seen_at")
_BLOCK_COLUMNS = ("kind", "identity", "reason")
_HOUSEHOLD_COLUMNS = ("customer_id", "kind", "identity", "since")
_EVENT_COLUMNS = ("happened_at", "kind", "from_customer_id", "into_customer_id", "cause")
_TAG_COLUMNS = ("tag", "value", "since", "source")
_DELIVERY_COLUMNS = (
    "decided_at", "destination", "operation", "subject", "state", "reason", "campaign_id", "delivery_id",
)  # fmt: skip
_LINK_COLUMNS = (
    "relation", "kind", "channel", "member_id", "identity", "partner_channel", "partner_id", "score", "rests_on",
    "since",
)  # fmt: skip
_INSTANTS = ("first_seen_at", "last_seen_at", "happened_at", "decided_at", "since")
_GROUPS = {
    "kind": "identity_kinds",
    "relation": "link_relations",
    "state": "delivery_states",
    "operation": "operations",
    "tag": "columns",
}


def _draw_sentence(context: Context, bound: dict[str, str]) -> None:
    members = context.reader.rows(queries.MEMBERSHIPS, bound)
    if not members:
        st.markdown(context.language.text("customer.guest"))
        return
    channels = {row["channel"] for row in members}
    st.markdown(context.language.text("customer.sentence", members=len(members), channels=len(channels)))


def _draw_links(context: Context, bound: dict[str, str]) -> None:
    language = context.language
    found = context.reader.table(queries.LINKS, bound)
    if not found.num_rows:
        nothing(language, "customer.no_links")
        return
    dot, left_out = link_graph(
        found.to_pylist(), context.channel, lambda kind: language.name_of("identity_kinds", kind)
    )
    st.graphviz_chart(dot, width="stretch")
    if left_out:
        st.caption(language.text("customer.left_out", links=left_out))
    _table(context, found, "links", _LINK_COLUMNS)


def _draw(
    context: Context, statement: str, bound: dict[str, str], key: str, columns: Sequence[str], empty: str
) -> None:
    found = context.reader.table(statement, bound)
    if found.num_rows:
        _table(context, found, key, columns)
    else:
        nothing(context.language, empty)


def _table(context: Context, found: pa.Table, key: str, columns: Sequence[str]) -> None:
    language = context.language
    for name in _MASKED:
        if name in found.column_names:
            masked = [value and f"{value[:8]}…" for value in found[name].to_pylist()]
            place = found.column_names.index(name)
            found = found.set_column(place, name, pa.array(masked, pa.string()))
    names: dict[str, dict[str, str]] = {}
    for column in found.column_names:
        values = {value for value in found[column].to_pylist() if isinstance(value, str)}
        if column in ("channel", "partner_channel"):
            names[column] = {value: context.channel(value) for value in values}
        elif column in ("reason", "cause"):
            names[column] = {value: language.reason(value) for value in values}
        elif column in _GROUPS:
            names[column] = {value: language.name_of(_GROUPS[column], value) for value in values}
    table(
        language, found, key=key, titles={name: language.text(f"columns.{name}") for name in columns},
        formats=context.formats, instants=[name for name in _INSTANTS if name in found.column_names
                                           and pa.types.is_timestamp(found.schema.field(name).type)],
        text=names, height=320 if found.num_rows > 8 else None,
    )  # fmt: skip
