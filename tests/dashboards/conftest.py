"""Fixtures of the dashboards' tests: a published synthetic snapshot, and pages opened without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from dashboards.access import Scope
from dashboards.data import Reader, find_snapshot
from pipelines.settings import Settings, load_settings
from tests.dashboards.snapshots import build_snapshot, publish

APP = Path(__file__).resolve().parents[2] / "dashboards" / "app.py"


@pytest.fixture(autouse=True)
def _no_results_of_other_tests() -> Iterator[None]:
    st.cache_data.clear()
    yield
    st.cache_data.clear()


@pytest.fixture(scope="session")
def snapshot_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot built once; tests publish copies of it."""
    return build_snapshot(tmp_path_factory.mktemp("snapshot") / "built.duckdb", orders=2000, customers=300)


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was published; whoever opens its pages sees everything."""
    home = tmp_path / "home"
    monkeypatch.setenv("OMNILAKE_SIGN_IN", "off")
    home.mkdir()
    monkeypatch.setenv("OMNILAKE_HOME", str(home))
    return home


@pytest.fixture
def home(empty_home: Path, snapshot_file: Path) -> Path:
    """A home with the synthetic snapshot published."""
    publish(empty_home, Path(shutil.copy(snapshot_file, empty_home / "copy.duckdb")), "1")
    return empty_home


@pytest.fixture
def home_settings(home: Path) -> Settings:
    return load_settings(home)


@pytest.fixture
def reader(home_settings: Settings) -> Reader:
    return Reader(home_settings, find_snapshot(home_settings), Scope())


OpenPage = Callable[..., AppTest]


@pytest.fixture
def open_page() -> OpenPage:
    """Open a page by its address, as a browser would with that URL; returns it drawn."""

    def open_it(page: str = "", **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=30)
        for name, value in query.items():
            app.query_params[name] = value
        if page:
            turn_to(app, page)
        return app.run()

    return open_it


def turn_to(app: AppTest, page: str) -> None:
    """Choose a page in the navigation; the next run draws it. AppTest itself knows file-based pages alone."""
    app._page_hash = calc_hash(page)


def words_of(app: AppTest) -> str:
    """All text a page shows, in one string."""
    kinds = (app.title, app.subheader, app.caption, app.markdown, app.info, app.warning, app.error)
    cards = [f"{card.label} {card.value} {card.delta}" for card in app.metric]
    return "\n".join([element.value for kind in kinds for element in kind] + cards)
