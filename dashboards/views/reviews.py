"""The review list: pairs of customers who may be one person, side by side, and how to decide them.

Belongs here: the layout of the page. It shows which fields agree and never what they say. Decisions are commands, as
every correction of who is whom. Queries are in `dashboards/queries/reviews`.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards.components import Card, Context, cards, nothing, section, table
from dashboards.data import MissingDataError
from dashboards.formats import NOTHING
from dashboards.language import Language
from dashboards.queries import reviews as queries

FIELDS = (
    "given name", "surname", "birthday", "city", "postcode", "gender", "occupation", "e-mail", "phone", "address",
)  # fmt: skip
"""As evidence begins: a field, then how it agrees."""
_OPEN_COLUMNS = ("score", "left_member", "right_member", "evidence", "review_id")
_DECIDED_COLUMNS = (
    "decided_at", "state", "left_member", "right_member", "score", "decided_by", "reason", "review_id",
)  # fmt: skip


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("reviews.title"), anchor=False)
    st.caption(language.text("reviews.subtitle"))
    with section(language, language.text("reviews.figures"), key="figures-reviews", metric="reviews_open"):
        totals = context.reader.rows(queries.TOTALS)[0]
        cards(language, [Card(name, context.formats.count(count)) for name, count in totals.items()])
    with section(language, language.text("reviews.one"), key="one-review", metric="review_score"):
        _draw_one(context)
    with section(language, language.text("reviews.open"), key="table-reviews", metric="reviews_open"):
        _draw_table(context, queries.OPEN, "open", _OPEN_COLUMNS)
    with section(language, language.text("reviews.decided"), key="table-decided", metric="reviews_accepted"):
        _draw_table(context, queries.DECIDED, "decided", _DECIDED_COLUMNS)


def agreements(language: Language, evidence: str) -> list[tuple[str, str]]:
    """Evidence as (field, how it agrees) in the reader's language; what is in no list reads as it is."""
    found = []
    for part in filter(None, evidence.split("; ")):
        field = next((name for name in FIELDS if part.startswith(f"{name} ")), "")
        words = part.removeprefix(f"{field} ")
        found.append((language.name_of("review_fields", slug(field)), language.name_of("agreements", slug(words))))
    return found


def slug(words: str) -> str:
    """Words as the key they have in the locales."""
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _draw_one(context: Context) -> None:
    """One open pair: what agrees, what is known of both, and the commands that decide it."""
    language, formats = context.language, context.formats
    waiting = {row["review_id"]: row for row in context.reader.rows(queries.OPEN)}
    if not waiting:
        nothing(language, "reviews.no_open")
        return
    chosen = st.selectbox(
        language.text("reviews.choose"),
        list(waiting),
        format_func=lambda review: _title(context, waiting[review]),
        key="review",
    )
    review = waiting[chosen]
    said = pa.table(
        dict(zip(("field", "agreement"), zip(*agreements(language, review["evidence"]), strict=True), strict=True))
    )
    left, right = st.columns(2, gap="medium")
    with left:
        titles = {name: language.text(f"columns.{name}") for name in said.column_names}
        table(language, said, key="review-evidence", titles=titles, formats=formats)
    with right:
        known = _both(context, review)
        rows = [
            {
                "known": language.text(f"columns.{name}"),
                "left": _known(context, known.get(True), name),
                "right": _known(context, known.get(False), name),
            }
            for name in ("channels", "n_members", "first_seen_at", "last_seen_at")
        ]
        rows.insert(0, {"known": language.text("columns.member"), "left": review["left_member"],
                        "right": review["right_member"]})  # fmt: skip
        titles = {name: language.text(f"columns.{name}") for name in ("known", "left", "right")}
        table(language, pa.Table.from_pylist(rows), key="review-both", titles=titles, formats=formats)
    st.caption(language.text("reviews.how"))
    st.code(f"omnilake identity accept {chosen}\nomnilake identity reject {chosen}", language="bash")


def _both(context: Context, review: dict[str, Any]) -> dict[bool, dict[str, Any]]:
    """What is known of the left customer (True) and of the right; nothing where the snapshot has no such tables."""
    ids = {"left": review["left_customer_id"], "right": review["right_customer_id"]}
    try:
        return {row["is_left"]: row for row in context.reader.rows(queries.BOTH, ids)}
    except MissingDataError:
        return {}


def _title(context: Context, review: dict[str, Any]) -> str:
    return context.language.text(
        "reviews.pair", score=f"{review['score']:.1f}", left=review["left_member"], right=review["right_member"]
    )


def _known(context: Context, row: dict[str, Any] | None, name: str) -> str:
    value = row[name] if row else None
    if value is None:
        return NOTHING
    if name == "channels":
        return ", ".join(context.channel(channel) for channel in value.split(", "))
    return context.formats.count(value) if name == "n_members" else context.formats.instant(value)


def _draw_table(context: Context, statement: str, key: str, columns: tuple[str, ...]) -> None:
    language = context.language
    found = context.reader.table(statement)
    if not found.num_rows:
        nothing(language, f"reviews.no_{key}")
        return
    text = {"state": {value: language.name_of("review_states", value) for value in ("accepted", "rejected")}}
    if "evidence" in columns:
        text["evidence"] = {
            evidence: "; ".join(f"{field}: {words}" for field, words in agreements(language, evidence))
            for evidence in set(found["evidence"].to_pylist())
        }
    table(
        language, found, key=f"reviews-{key}", titles={name: language.text(f"columns.{name}") for name in columns},
        formats=context.formats, instants=[name for name in ("decided_at",) if name in columns],
        text={name: words for name, words in text.items() if name in columns},
        height=320 if found.num_rows > 8 else None,
    )  # fmt: skip
    if found.num_rows >= queries.LISTED_ROWS:
        st.caption(language.text("activation.listed", rows=queries.LISTED_ROWS))
