"""Audit log: who did what, and whether the log is whole.

Belongs here: the list and the check. The log itself is `pipelines.audit`.
"""

from __future__ import annotations

import json

import pyarrow as pa
import streamlit as st

from dashboards.components import Context, nothing, section, table
from dashboards.visitor import state_of
from pipelines.audit import entries, verify

_LISTED = 500
_COLUMNS = ("seq", "at", "actor", "action", "subject", "details")


def render(context: Context) -> None:
    """Draw the page."""
    language, settings = context.language, context.reader.settings
    st.title(language.text("audit.title"), anchor=False)
    st.caption(language.text("audit.subtitle"))
    if st.button(language.text("audit.verify"), icon=":material/verified:", key="audit_verify"):
        verdict = verify(settings)
        for fault in verdict.faults:
            st.error(fault.words, icon=":material/gpp_bad:")
        if not verdict.faults:
            st.success(
                language.text("audit.whole", entries=context.formats.count(verdict.entries)), icon=":material/verified:"
            )
    found = entries(state_of(settings), limit=_LISTED)
    with section(language, language.text("audit.entries"), key="audit-entries"):
        if not found:
            nothing(language, "audit.none")
            return
        listed = pa.table(
            {name: [row[name] for row in found] for name in _COLUMNS[:-1]}
            | {"details": [json.dumps(row["details"], ensure_ascii=False) for row in found]}
        )
        titles = {name: language.text(f"columns.{name}") for name in _COLUMNS}
        table(language, listed, key="audit", titles=titles, formats=context.formats)
