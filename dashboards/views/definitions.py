"""Definitions: what every figure of the pages means and how it is computed.

Belongs here: the layout of the page. The definitions are `dashboards/definitions.yml`.
"""

from __future__ import annotations

import streamlit as st

from dashboards.language import Language, anchor, definitions


def render(language: Language) -> None:
    """Draw every metric under a heading that the tooltips link to. Needs words alone, so it opens before any data."""
    st.title(language.text("definitions.title"), anchor=False)
    st.caption(language.text("definitions.subtitle"))
    for metric, entry in definitions().items():
        words = entry[language.code]
        with st.container(border=True, key=f"definition-{metric}"):
            st.subheader(words["name"], anchor=anchor(metric))
            st.markdown(words["text"])
            st.code(words["formula"], language=None, wrap_lines=True)
