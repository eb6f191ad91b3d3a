"""Exports: write a segment to a file, fetch it, and see who exported what and why.

Belongs here: the form and the list. The export itself is `pipelines.activation.exports`, the same that the command line
runs; fetching is a route of `dashboards/web`, which asks who it is again.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import streamlit as st

from dashboards.access import EXPORTERS, PERSONAL_EXPORTERS, may_fetch
from dashboards.components import Context, nothing, section, table
from dashboards.data import MissingDataError
from dashboards.queries import segments as queries
from dashboards.visitor import sign_in_mode, state_of
from pipelines.activation.export_contacts import HASHES
from pipelines.activation.export_fields import DEFAULT, FIELDS, PERSONAL
from pipelines.activation.export_files import WRITERS
from pipelines.activation.export_log import list_exports
from pipelines.activation.exports import export_segment
from pipelines.errors import OmnilakeError
from pipelines.segments.saved import list_saved
from pipelines.vault import Vault

_OFFERED_FILES = 10
_LARGEST_BY_PAGE = 100_000_000
"""Bytes that go through the page's own memory where there is no link."""
_COLUMNS = (
    "started_at", "actor", "segment", "definition_version", "rows_written", "fields", "format", "hash_algorithm",
    "purpose", "snapshot_id", "sha256",
)  # fmt: skip


def render(context: Context) -> None:
    """Draw the page."""
    language = context.language
    st.title(language.text("exports.title"), anchor=False)
    st.caption(language.text("exports.subtitle"))
    if context.account.role in EXPORTERS:
        with section(language, language.text("exports.new"), key="export-new"):
            _draw_form(context)
    with section(language, language.text("exports.log"), key="export-log"):
        _draw_log(context)


def _draw_form(context: Context) -> None:
    language, account = context.language, context.account
    names = _segments(context)
    if not names:
        nothing(language)
        return
    may_reveal = account.role in PERSONAL_EXPORTERS
    present = context.reader.tables()
    offered = [*(name for name, field in FIELDS.items() if field.table in present), *(PERSONAL if may_reveal else ())]
    left, middle, right = st.columns([3, 1, 2])
    segment = left.selectbox(
        language.text("columns.segment"), list(names), format_func=lambda name: names[name], key="export_segment"
    )
    form = middle.selectbox(
        language.text("exports.format"), list(WRITERS), format_func=lambda name: name.upper(), key="export_format"
    )
    fields = st.multiselect(
        language.text("exports.fields"), offered, default=[name for name in DEFAULT if name in offered],
        key="export_fields",
    )  # fmt: skip
    personal = [name for name in fields if name in PERSONAL]
    hashed, purpose = None, None
    if personal:
        hashed = right.selectbox(
            language.text("exports.hash"), [None, *HASHES],
            format_func=lambda name: language.text("exports.unhashed") if name is None else name, key="export_hash",
        )  # fmt: skip
        st.warning(language.text("exports.personal"), icon=":material/lock:")
        purpose = st.text_input(language.text("exports.purpose"), key="export_purpose", max_chars=300)
    elif not may_reveal:
        st.caption(language.text("exports.masked"))
    is_ready = bool(fields) and (not personal or bool((purpose or "").strip()))
    if st.button(language.text("exports.write"), type="primary", disabled=not is_ready, key="export_write"):
        with st.spinner(language.text("exports.writing")):
            _write(context, segment, form, tuple(fields), hashed, purpose)


def _segments(context: Context) -> dict[str, str]:
    """Ids and names of the segments there are: those of the marts, and those saved since."""
    try:
        published = {row["segment"]: context.segment(row["segment"]) for row in context.reader.rows(queries.NAMES)}
    except MissingDataError:
        published = {}
    return published | {segment.name: segment.name for segment in list_saved(state_of(context.reader.settings))}


def _write(
    context: Context, segment: str, form: str, fields: tuple[str, ...], hashed: str | None, purpose: str | None
) -> None:
    settings = context.reader.settings
    folder = settings.exports / "pages" / uuid.uuid4().hex
    try:
        folder.mkdir(parents=True, mode=0o700)
        with ExitStack() as opened:
            needs_vault = any(name in PERSONAL for name in fields)
            reveal = opened.enter_context(Vault.open(settings)).reveal_members if needs_vault else None
            receipt = export_segment(
                settings, state_of(settings), segment, form, folder / f"{segment}.{form}", fields, hashed, purpose,
                reveal, actor=context.account.name, stores=context.reader.scope.stores,
            )  # fmt: skip
    except OmnilakeError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.success(
        context.language.text("exports.written", customers=context.formats.count(receipt.rows)), icon=":material/check:"
    )
    _offer(receipt.export_id, receipt.path, context.language.text("exports.fetch", file=receipt.path.name))


def _offer(export_id: str, path: Path, words: str) -> None:
    """A link to the file, which the server streams; a provider's users get it by way of the page, if it is not huge."""
    if sign_in_mode() != "oidc":
        st.html(f'<a href="/exports/{export_id}/{quote(path.name)}" download target="_self">{escape(words)}</a>')
    elif path.stat().st_size <= _LARGEST_BY_PAGE:
        st.download_button(words, path.read_bytes, file_name=path.name, key=f"fetch-{export_id}", on_click="ignore")
    else:
        st.code(str(path), language=None)


def _draw_log(context: Context) -> None:
    """Everybody's exports for those who answer for them; one's own for the others."""
    language, account, settings = context.language, context.account, context.reader.settings
    sees_all = account.role in ("admin", "analyst", "auditor")
    found = list_exports(state_of(settings), None if sees_all else account.name)
    if not found:
        nothing(language, "exports.none")
        return
    own = [row for row in found if row["actor"] == account.name and row["finished_at"] and Path(row["file"]).is_file()]
    own = [row for row in own if Path(row["file"]).is_relative_to(settings.exports)][:_OFFERED_FILES]
    for row in own:
        if may_fetch(account, row):
            _offer(row["export_id"], Path(row["file"]), _words(context, row))
    listed = pa.table({name: pa.array([row[name] for row in found], _type(name)) for name in _COLUMNS})
    titles = {name: language.text(f"columns.{name}") for name in _COLUMNS}
    table(language, listed, key="exports", titles=titles, formats=context.formats, instants=("started_at",))


def _words(context: Context, row: dict[str, Any]) -> str:
    name = f"{row['segment']}.{row['format']} · {context.formats.instant(row['started_at'])}"
    return context.language.text("exports.fetch", file=name)


def _type(name: str) -> pa.DataType:
    if name == "started_at":
        return pa.timestamp("us")
    return pa.int64() if name == "rows_written" else pa.string()
