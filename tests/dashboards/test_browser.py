"""The pages in a real browser: charts drawn, links and downloads followed, a publish under the reader's eyes."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dashboards.app import PAGES
from dashboards.language import words
from dashboards.launch import ADDRESS, command, environment
from pipelines.accounts.store import add_account
from pipelines.settings import REPOSITORY, Settings
from pipelines.state import state
from tests.dashboards.snapshots import build_snapshot, publish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SHOTS = REPOSITORY / "artifacts" / "screenshots"
PATIENCE_MS = 60_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (Debian: apt-get install chromium)"),
]
sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
sync_api.expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def serve(home: Path, sign_in: str = "off") -> Iterator[str]:
    """A server of its own on a free port; yields its address."""
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port = free.getsockname()[1]
    env = environment(Settings(home=home)) | {
        "OMNILAKE_DASHBOARD_REFRESH_SECONDS": "0.5",
        "OMNILAKE_SIGN_IN": sign_in,
    }
    log = home / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command(port), env=env, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
    address = f"http://{ADDRESS}:{port}"
    try:
        for _ in range(240):
            assert server.poll() is None, log.read_text(encoding="utf-8")
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()  # noqa: S310
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.25)
        else:
            raise AssertionError(log.read_text(encoding="utf-8"))
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, snapshot_file: Path) -> Iterator[str]:
    home = tmp_path_factory.mktemp("served")
    publish(home, Path(shutil.copy(snapshot_file, home / "copy.duckdb")), "1")
    with serve(home) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_tab(browser: Any) -> Iterator[Callable[[str], Any]]:
    """Open an address in a tab of its own; ends with the check that nothing was asked of another host."""
    context = browser.new_context(viewport={"width": 1440, "height": 1100}, accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    foreign: list[str] = []
    context.on("request", lambda request: _note_foreign(request.url, foreign))

    def open_it(address: str) -> Any:
        tab = context.new_page()
        tab.goto(address)
        return tab

    yield open_it
    context.close()
    assert foreign == []


def _note_foreign(url: str, foreign: list[str]) -> None:
    if not url.startswith((f"http://{ADDRESS}", "data:", "blob:")):
        foreign.append(url)


def address_of(served: str, page: str, query: str) -> str:
    return f"{served}/{'' if page == PAGES[0].name else page}?{query}"


CHARTS = {
    "overview": 4, "customers": 5, "activation": 0, "health": 3, "products": 6,
}  # fmt: skip
_OVERFLOWING = """found => found.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"""


@pytest.mark.parametrize("page", CHARTS)
def test_a_page_is_drawn_whole_and_changes_its_language_with_a_click(
    served: str, open_tab: Callable[[str], Any], page: str
) -> None:
    tab = open_tab(address_of(served, page, "lang=en&channel=pos"))
    for language, name in (("en", "English"), ("zh", "中文")):
        tab.locator(".st-key-language").get_by_text(name, exact=True).click()
        sync_api.expect(tab.locator("h1")).to_have_text(words(language)[f"{page}.title"])
        sync_api.expect(tab).to_have_url(re.compile(rf"(?=.*lang={language})(?=.*channel=pos)"))
        charts = tab.locator("[data-testid=stVegaLiteChart]")
        sync_api.expect(charts).to_have_count(CHARTS[page])
        for place in range(CHARTS[page]):
            drawn = charts.nth(place).locator("canvas, svg.marks").first
            drawn.wait_for()
            assert drawn.bounding_box()["width"] > 150
        period = tab.locator(f".st-key-filter_period_{language} input")
        sync_api.expect(period).to_have_value(words(language)["filters.period_90"])
        assert tab.locator("[data-testid=stException]").count() == 0
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert tab.locator("[data-testid=stMetricValue] *").evaluate_all(_OVERFLOWING) == []
        SHOTS.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=SHOTS / f"{page}-{language}.png")


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_axe_finds_no_serious_fault(served: str, open_tab: Callable[[str], Any], page: str) -> None:
    tab = open_tab(address_of(served, page, "lang=en"))
    sync_api.expect(tab.locator("h1")).to_have_text(words("en")[f"{page}.title"])
    wait_until_drawn(tab)
    if page == "segments":
        for kind in ("column", "events", "tag", "group"):
            tab.get_by_role("button", name=words("en")[f"segments.add_{kind}"], exact=True).first.click()
            wait_until_drawn(tab)
    SHOTS.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=SHOTS / f"{page}-whole.png", full_page=True)
    assert serious_faults(tab) == []


def wait_until_drawn(tab: Any) -> None:
    """Until the script has ended and every widget has taken its place."""
    tab.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    sync_api.expect(tab.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=2 * PATIENCE_MS)
    sync_api.expect(tab.locator("[data-stale=true]")).to_have_count(0)


def serious_faults(tab: Any) -> list[str]:
    """Rule and place of what axe-core calls serious or critical, without the small lines that st.metric draws: their
    marks are Streamlit's, and the card's figures say the same in words."""
    found = axe.Axe().run(tab).response["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['html'][:160]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
        if "metric_chart_" not in str(node["target"])
    ]


def test_filters_and_language_follow_the_reader_to_another_page(served: str, open_tab: Callable[[str], Any]) -> None:
    tab = open_tab(f"{served}/?lang=en&channel=pos&period=28")
    sync_api.expect(tab.locator("h1")).to_have_text(words("en")["overview.title"])
    tab.get_by_role("link", name=words("en")["pages.customers"]).click()
    sync_api.expect(tab.locator("h1")).to_have_text(words("en")["customers.title"])
    sync_api.expect(tab).to_have_url(re.compile(r"/customers\?(?=.*lang=en)(?=.*channel=pos)(?=.*period=28)"))
    tab.reload()
    sync_api.expect(tab.locator(".st-key-filter_channels_en")).to_contain_text("POS")


def test_a_chart_has_its_table_and_its_download(served: str, open_tab: Callable[[str], Any]) -> None:
    tab = open_tab(f"{served}/?lang=en")
    box = tab.locator(".st-key-chart-channel")
    box.get_by_text(words("en")["common.as_table"]).click()
    box.locator("[data-testid=stDataFrame]").wait_for()
    with tab.expect_download() as downloading:
        box.get_by_text(words("en")["common.download"]).click()
    written = Path(downloading.value.path()).read_bytes()
    assert written.startswith(b"\xef\xbb\xbfchannel,")
    assert len(written.decode("utf-8-sig").strip().splitlines()) == 9


def test_a_tooltip_leads_to_the_definition(served: str, open_tab: Callable[[str], Any]) -> None:
    tab = open_tab(f"{served}/?lang=en")
    tab.locator(".st-key-card-aov [data-testid=stTooltipIcon]").hover()
    link = tab.get_by_test_id("stTooltipContent").get_by_role("link")
    link.wait_for()
    target = tab.evaluate("element => element.href", link.element_handle())
    other = open_tab(target)
    sync_api.expect(other.locator("h1")).to_have_text(words("en")["definitions.title"])
    other.locator("#aov").wait_for()


def test_a_page_that_is_open_fills_and_follows_by_itself(
    tmp_path: Path, open_tab: Callable[[str], Any], snapshot_file: Path
) -> None:
    """From no snapshot to the first, then to a second whose predecessor is removed at once, without a reload."""
    with serve(tmp_path) as address:
        tab = open_tab(f"{address}/?lang=en")
        sync_api.expect(tab.locator("h1")).to_have_text(words("en")["states.no_snapshot_title"])
        first = publish(tmp_path, Path(shutil.copy(snapshot_file, tmp_path / "copy.duckdb")), "1")
        card = tab.locator(".st-key-card-net_amount [data-testid=stMetricValue]")
        card.wait_for()
        figure = card.inner_text()
        larger = build_snapshot(tmp_path / "larger.duckdb", orders=2000, customers=300, factor=10.0)
        publish(tmp_path, larger, "2")
        first.unlink()
        sync_api.expect(card).not_to_have_text(figure)
        assert tab.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
        assert tab.evaluate("performance.getEntriesByType('navigation').length") == 1
        tab.get_by_role("link", name=words("en")["pages.customers"]).click()
        sync_api.expect(tab.locator("h1")).to_have_text(words("en")["customers.title"])


def test_signing_in_opens_the_page_that_was_asked_for_and_signing_out_closes_it(
    tmp_path: Path, open_tab: Callable[[str], Any], snapshot_file: Path
) -> None:
    settings = Settings(home=tmp_path)
    publish(tmp_path, Path(shutil.copy(snapshot_file, tmp_path / "copy.duckdb")), "1")
    with state(settings) as engine:
        add_account(settings, engine, "mia", "store_manager", ("S03",), "correct horse battery", "cli")
    with serve(tmp_path, "accounts") as address:
        tab = open_tab(f"{address}/customers?lang=en")
        sync_api.expect(tab.locator("h1")).to_have_text(words("en")["sign_in.title"])
        for password in ("wrong", "correct horse battery"):
            tab.get_by_label(words("en")["sign_in.name"]).fill("mia")
            tab.get_by_label(words("en")["sign_in.password"]).fill(password)
            tab.get_by_role("button").click()
        sync_api.expect(tab.locator("h1")).to_have_text(words("en")["customers.title"])
        assert "mia" in tab.locator("[data-testid=stSidebar]").inner_text()
        assert tab.get_by_role("link", name=words("en")["pages.health"]).count() == 0
        SHOTS.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=SHOTS / "store-manager.png")
        other = open_tab(f"{address}/overview?lang=en&store=S01")
        sync_api.expect(other.locator("h1")).to_have_text(words("en")["overview.title"])
        tab.get_by_text(words("en")["sign_in.leave"]).click()
        sync_api.expect(tab.locator("h1")).to_have_text(words("en")["sign_in.title"])
        other.get_by_text("中文", exact=True).click()
        sync_api.expect(other.locator("h1")).to_have_text(words("zh")["sign_in.title"])
        assert "S01" not in tab.url
