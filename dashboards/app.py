"""The dashboards' entry point: the registry of pages, language, filters, and what to do when there is nothing to show.

Belongs here: what all pages share. A new page is one module in `dashboards/views`, one line in PAGES, its words in
both locales and its queries in `dashboards/queries`. Does not belong here: figures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from importlib import import_module
from pathlib import Path

# Streamlit puts the script's own folder on the path, where `dashboards` itself is not found.
_HERE = Path(__file__).resolve().parent
if str(_HERE.parent) not in sys.path:
    sys.path.insert(0, str(_HERE.parent))

import streamlit as st  # noqa: E402
from streamlit.navigation.page import StreamlitPage  # noqa: E402

from dashboards.access import EXPORTERS, scope_of  # noqa: E402
from dashboards.components import Context  # noqa: E402
from dashboards.data import (  # noqa: E402
    NoSnapshotError,
    Reader,
    SnapshotGoneError,
    SnapshotUnreadableError,
    find_snapshot,
)
from dashboards.filters import draw_filters  # noqa: E402
from dashboards.formats import Formats, LanguageCode  # noqa: E402
from dashboards.language import LANGUAGES, Language  # noqa: E402
from dashboards.queries.shared import read_basis, read_choices, read_segments  # noqa: E402
from dashboards.visitor import (  # noqa: E402
    COOKIE,
    NOBODY_IN_PARTICULAR,
    Mode,
    account_of_claims,
    account_of_session,
    claims_in,
    sign_in_mode,
)
from pipelines.accounts.store import ROLES, Account  # noqa: E402
from pipelines.errors import ConfigurationError  # noqa: E402
from pipelines.settings import Settings, load_settings  # noqa: E402


@dataclass(frozen=True)
class Page:
    """One line of the registry. `name` is the page's address and its view's module in `dashboards/views`.

    A view has `render(context)`; one that needs no data has `render(language)` and opens before the first run too.
    roles: who may open it; a store manager sees the rows of their own stores on it.
    """

    name: str
    icon: str
    needs_data: bool = True
    roles: tuple[str, ...] = ("admin", "analyst", "marketer")


_HEAD_OFFICE = ("admin", "analyst", "marketer", "auditor")

PAGES = (
    Page("overview", ":material/monitoring:", roles=ROLES),
    Page("customers", ":material/groups:", roles=("admin", "analyst", "marketer", "store_manager")),
    Page("customer", ":material/person_search:", roles=("admin", "analyst", "marketer", "store_manager")),
    Page("channels", ":material/filter_alt:"),
    Page("loyalty", ":material/favorite:"),
    Page("stores", ":material/storefront:", roles=("admin", "analyst", "marketer", "store_manager")),
    Page("products", ":material/category:", roles=("admin", "analyst", "marketer", "store_manager")),
    Page("prices", ":material/sell:"),
    Page("stock", ":material/inventory_2:", roles=("admin", "analyst", "marketer", "store_manager")),
    Page("campaigns", ":material/local_offer:"),
    Page("activation", ":material/send:", roles=_HEAD_OFFICE),
    Page("reviews", ":material/rule:"),
    Page("health", ":material/health_and_safety:", roles=("admin", "analyst", "auditor")),
    Page("models", ":material/model_training:", roles=_HEAD_OFFICE),
    Page("segments", ":material/filter_alt:", roles=EXPORTERS),
    Page("exports", ":material/file_export:", roles=(*EXPORTERS, "auditor")),
    Page("audit", ":material/policy:", roles=("admin", "auditor")),
    Page("definitions", ":material/menu_book:", needs_data=False, roles=ROLES),
)

# What no theme option reaches: the page's side margins, and titles of cards that may take two lines.
_STYLE = """<style>
.stMainBlockContainer { padding-left: 2.5rem; padding-right: 2.5rem; max-width: 1680px; }
[data-testid="stMetricLabel"] p { white-space: normal; line-height: 1.25; }
[data-testid="stMetricDelta"] { max-width: 100%; font-size: 0.78rem; }
[data-testid="stMetricDelta"] * { font-size: 0.78rem; }
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { color: inherit; opacity: 0.9; }
</style>"""
REDRAW_ATTEMPTS = 3
DEFAULT_REFRESH_SECONDS = 15.0


def main() -> None:
    """Draw the page that the URL names."""
    st.set_page_config(page_title="omnilake", page_icon=str(_HERE / "favicon.svg"), layout="wide")
    st.logo(str(_HERE / "logo.svg"), size="large")
    st.html(_STYLE)
    language = Language(_language_code())
    try:
        settings, refresh_seconds, mode = load_settings(), _refresh_seconds(), sign_in_mode()
        account = _account(settings, mode)
    except ConfigurationError as error:
        st.error(language.text("states.configuration", problem=error), icon=":material/error:")
        return
    if account is None:
        _draw_signed_out(language, mode)
        return
    context, drawn_version = None, ""
    problem: Callable[[], None] = partial(_draw_no_snapshot, language)
    try:
        snapshot = find_snapshot(settings)
        drawn_version = snapshot.version
        context = _context(Reader(settings, snapshot, scope_of(account)), account, language)
        problem = partial(_draw_no_days, language)
    except NoSnapshotError:
        pass
    except SnapshotGoneError as error:
        problem = partial(_redraw, language, error)
    except SnapshotUnreadableError as error:
        problem = partial(_draw_unreadable, language, error)
    _draw_language(language)
    _draw_account(account, mode, language)
    selected = st.navigation(_pages(account, context, problem, language), expanded=True)
    _write_url(language, context)
    st.fragment(_watch, run_every=refresh_seconds)(settings, drawn_version)
    selected.run()


def _account(settings: Settings, mode: Mode) -> Account | None:
    """Who looks at the page; None if that is not known (any more)."""
    if mode == "off":
        return NOBODY_IN_PARTICULAR
    if mode == "accounts":
        return account_of_session(settings, st.context.cookies.get(COOKIE))
    return account_of_claims(settings, st.user.to_dict(), claims_in()) if st.user.is_logged_in else None


def _draw_signed_out(language: Language, mode: Mode) -> None:
    """A session that ended while the page was open; or the way to the provider, or back from it without a role."""
    st.title(language.text("sign_in.title"), anchor=False)
    if mode == "accounts":
        st.info(language.text("sign_in.ended"), icon=":material/lock:")
        st.html(f'<a href="/sign-in" target="_self">{escape(language.text("sign_in.submit"))}</a>')
    elif st.user.is_logged_in:
        st.warning(language.text("sign_in.no_role"), icon=":material/lock:")
        st.button(language.text("sign_in.leave"), on_click=st.logout)
    else:
        st.button(language.text("sign_in.provider"), on_click=st.login, type="primary")


def _draw_account(account: Account, mode: Mode, language: Language) -> None:
    """Who is signed in as what, and the way out; without sign-in, that anybody here sees everything."""
    with st.sidebar:
        if mode == "off":
            st.warning(language.text("sign_in.is_off"), icon=":material/lock_open:")
            return
        st.caption(f"{account.name} · {language.text(f'roles.{account.role}')}")
        if mode == "accounts":
            st.html(f'<a href="/sign-out" target="_self">{escape(language.text("sign_in.leave"))}</a>')
        else:
            st.button(language.text("sign_in.leave"), on_click=st.logout, type="tertiary")


def _pages(
    account: Account, context: Context | None, problem: Callable[[], None], language: Language
) -> list[StreamlitPage]:
    """The pages the account's role may open. The first is the one without a name in its address; it has both."""
    allowed = [page for page in PAGES if account.role in page.roles]
    drawn = [
        st.Page(
            partial(_draw_page, page, context, problem, language),
            title=language.text(f"pages.{page.name}"),
            icon=page.icon,
            url_path="home" if page is allowed[0] else page.name,
            default=page is allowed[0],
        )
        for page in allowed
    ]
    first = allowed[0]
    named = st.Page(
        partial(_draw_page, first, context, problem, language),
        title=language.text(f"pages.{first.name}"),
        url_path=first.name,
        visibility="hidden",
    )
    return [*drawn, named]


def _draw_page(page: Page, context: Context | None, problem: Callable[[], None], language: Language) -> None:
    """Draw one page, or the words for why it cannot be drawn."""
    if page.needs_data and context is None:
        problem()
        return
    if context is not None:
        _tell_news(context)
    try:
        import_module(f"dashboards.views.{page.name}").render(context if page.needs_data else language)
    except SnapshotGoneError as error:
        _redraw(language, error)
    except SnapshotUnreadableError as error:
        _draw_unreadable(language, error)
    else:
        st.session_state["redraws"] = 0


def _context(reader: Reader, account: Account, language: Language) -> Context | None:
    """What the pages get, with the sidebar's filters; None if the snapshot has no business day yet."""
    basis = read_basis(reader)
    if basis.as_of is None:
        return None
    choices = read_choices(reader, basis.as_of, language.text("common.without_store"))
    formats = Formats(language.code, basis.currency, basis.timezone)
    with st.sidebar:
        filters = draw_filters(choices, language, formats)
    segments = read_segments(reader, language.code)
    return Context(
        reader,
        language,
        formats,
        filters,
        basis,
        choices.first_day,
        segments,
        choices.channels,
        choices.stores,
        account,
    )


def _language_code() -> LanguageCode:
    """What was chosen on the page, else the URL's, else the browser's where it is Chinese, else English."""
    chosen = st.session_state.get("language") or st.query_params.get("lang")
    for code in LANGUAGES:
        if chosen == code:
            return code
    return "zh" if (st.context.locale or "").lower().startswith("zh") else "en"


def _draw_language(language: Language) -> None:
    st.session_state["language"] = language.code
    with st.sidebar:
        st.segmented_control(
            language.text("filters.language"),
            LANGUAGES,
            format_func=lambda code: {"zh": "中文", "en": "English"}[code],
            key="language",
            required=True,
            label_visibility="collapsed",
        )


def _write_url(language: Language, context: Context | None) -> None:
    """Put language and filters into the URL, where they survive a reload and can be sent to somebody."""
    wanted: dict[str, list[str]] = {"lang": [language.code]}
    if context is not None:
        wanted |= context.filters.query_string()
    elif "filters" not in st.session_state:
        # Nothing was drawn that could tell the filters: a link opened before the first run keeps its own.
        wanted |= {name: st.query_params.get_all(name) for name in st.query_params if name != "lang"}
    if wanted != {name: st.query_params.get_all(name) for name in st.query_params}:
        st.query_params.from_dict(wanted)


def _watch(settings: Settings, drawn_version: str) -> None:
    """Draw the whole page again when another snapshot is current. Runs by itself every few seconds."""
    try:
        version = find_snapshot(settings).version
    except NoSnapshotError:
        version = ""
    if version != drawn_version:
        st.rerun()


def _refresh_seconds() -> float:
    text = os.environ.get("OMNILAKE_DASHBOARD_REFRESH_SECONDS", "")
    try:
        seconds = float(text) if text else DEFAULT_REFRESH_SECONDS
    except ValueError:
        seconds = 0.0
    if not 0.5 <= seconds <= 86400:
        raise ConfigurationError(
            f"OMNILAKE_DASHBOARD_REFRESH_SECONDS is {text!r}; give seconds between 0.5 and 86400, or leave it unset."
        )
    return seconds


def _tell_news(context: Context) -> None:
    """Say that the figures changed under the reader's eyes, and that an older snapshot had to be taken."""
    snapshot = context.reader.snapshot
    before = st.session_state.get("drawn_version")
    if before is not None and before != snapshot.version:
        st.toast(context.language.text("common.updated"), icon=":material/update:")
    st.session_state["drawn_version"] = snapshot.version
    if snapshot.is_fallback:
        st.warning(
            context.language.text("states.fallback", published=context.formats.instant(snapshot.published_at)),
            icon=":material/history:",
        )


def _redraw(language: Language, error: SnapshotGoneError) -> None:
    """Begin again with the snapshot that is current now; a home that keeps losing files gets words, not a loop."""
    attempts = st.session_state.get("redraws", 0) + 1
    st.session_state["redraws"] = attempts
    if attempts <= REDRAW_ATTEMPTS:
        st.rerun()
    st.session_state["redraws"] = 0
    st.error(language.text("states.unreadable", problem=Path(str(error)).name), icon=":material/error:")


def _draw_unreadable(language: Language, error: SnapshotUnreadableError) -> None:
    st.error(language.text("states.unreadable", problem=error), icon=":material/error:")


def _draw_no_snapshot(language: Language) -> None:
    st.title(language.text("states.no_snapshot_title"), anchor=False)
    st.info(language.text("states.no_snapshot"), icon=":material/hourglass_empty:")


def _draw_no_days(language: Language) -> None:
    st.title(language.text("states.no_snapshot_title"), anchor=False)
    st.info(language.text("states.no_as_of"), icon=":material/hourglass_empty:")


if __name__ == "__main__":
    main()
