"""Pages of figures: what they show is what the marts say, under filters, and without what an older run lacked."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.access import Scope
from dashboards.data import Reader, find_snapshot
from dashboards.filters import Brand, Choices, parse_filters
from dashboards.language import words
from dashboards.queries import stores as store_queries
from pipelines.settings import Settings
from tests.dashboards.conftest import OpenPage
from tests.dashboards.snapshots import AS_OF
from tests.dashboards.test_pages import drop, run_sql

pytestmark = pytest.mark.usefixtures("home")


def cards(app: object) -> dict[str, str]:
    return {card.label: card.value for card in app.metric}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("channels", "funnel_daily"),
        ("loyalty", "buyer_periods"),
        ("stores", "stores"),
        ("products", "product_daily"),
    ],
)
def test_no_missing_figure_breaks_its_page(open_page: OpenPage, home: Path, page: str, table: str) -> None:
    drop(home, table)
    app = open_page(page, lang="zh")
    assert not app.exception
    assert any(table in info.value for info in app.info)


def test_the_funnel_is_that_of_the_chosen_channels_and_days(open_page: OpenPage, reader: Reader) -> None:
    app = open_page("channels", lang="en", channel="mini", period="28")
    counted = reader.rows(
        "SELECT sum(persons) FILTER (WHERE position = 4) / sum(persons) FILTER (WHERE position = 1) AS rate "
        f"FROM funnel_daily WHERE channel = 'mini' AND business_date > DATE '{AS_OF}' - 28"
    )[0]["rate"]
    assert cards(app)["Funnel"] == f"{counted * 100:.1f}%"
    alerts = next(frame.value for frame in app.dataframe if "alert_below" in frame.value)
    assert [f"{day:%Y-%m-%d}" for day in alerts["business_date"]] == ["2026-05-07"]


def test_a_funnel_below_a_hundred_persons_has_no_rate(open_page: OpenPage, home: Path) -> None:
    run_sql(home, "UPDATE marts.funnel_daily SET persons = 1, persons_before = 1")
    app = open_page("channels", lang="en", channel="mini", period="7")
    assert cards(app)["Funnel"] == "–"


def test_a_quarter_that_runs_is_said_to_and_tiers_are_counted(open_page: OpenPage, reader: Reader) -> None:
    app = open_page("stores", lang="en")
    assert app.selectbox(key="stores_quarter").options == ["2026 Q2 (so far)", "2026 Q1"]
    counted = dict.fromkeys("SABC", 0) | {
        row["tier"]: row["n"]
        for row in reader.rows(
            "SELECT tier, count(*) AS n FROM stores_scorecard WHERE quarter = DATE '2026-04-01' AND tier IS NOT NULL "
            "GROUP BY tier"
        )
    }
    assert cards(app)["Store tier"] == " · ".join(str(counted[tier]) for tier in "SABC")


def test_a_store_manager_reads_the_scorecard_of_the_own_store_alone(home_settings: Settings) -> None:
    own = Reader(home_settings, find_snapshot(home_settings), Scope(("S03",)))
    everything = parse_filters({}, Choices({}, {}, AS_OF, AS_OF))
    for statement in (store_queries.SCORECARD, store_queries.ATTRIBUTION, store_queries.ONLINE):
        found = own.rows(
            everything.fill(statement),
            {"start": AS_OF.replace(month=1), "end": AS_OF, "quarter": AS_OF.replace(month=4, day=1)},
        )
        assert {row["store_id"] for row in found} == {"S03"}


def test_the_widest_gap_of_the_day_leads_and_prices_keep_their_decimals(open_page: OpenPage, home: Path) -> None:
    run_sql(
        home,
        "UPDATE marts.price_conflicts SET gap = 60.0005, lowest_price = 39.9995 "
        f"WHERE sku = 'SKU0004' AND business_date = DATE '{AS_OF}'",
    )
    app = open_page("prices", lang="en")
    widest = next(frame.value for frame in app.dataframe if "lowest_channel" in frame.value)
    assert (widest["sku"][0], widest["lowest_price"][0], widest["gap"][0]) == ("SKU0004", "39.9995", "60.0005")
    assert cards(app)["Price gap"] == "60.0%"


def test_orders_without_conflicts_have_words(open_page: OpenPage, home: Path) -> None:
    run_sql(home, "DELETE FROM marts.price_conflicts")
    shown = [info.value for info in open_page("prices", lang="en").info]
    assert words("en")["prices.no_conflicts"] in shown
    assert words("en")["prices.no_claims"] in shown


def test_brand_and_region_narrow_every_page_and_stay_in_the_url(open_page: OpenPage, reader: Reader) -> None:
    app = open_page("stores", lang="en", brand="B")
    counted = reader.rows(
        "SELECT sum(net_amount) AS net FROM stores_scorecard WHERE quarter = DATE '2026-04-01' AND brand = 'B'"
    )[0]["net"]
    assert cards(app)["Net sales"] == f"CN¥{counted:,.0f}"
    assert app.query_params["brand"] == "B"
    app.multiselect(key="filter_regions_en").set_value(["上海"]).run()
    assert app.query_params["region"] == "上海"
    assert words("en")["states.no_rows"] in [info.value for info in app.info]


BRANDS = Choices(
    {"mall": "Mall", "tmall": "Tmall", "pos": "POS"},
    {"S1": "One", "S2": "Two"},
    AS_OF,
    AS_OF,
    {"A": Brand(("S1",), ("mall", "pos")), "B": Brand(("S2",), ("tmall",))},
    {"north": ("S2",), "nowhere": ()},
)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        # A sale in a store is of the store's brand, whatever the till's channel says.
        ({"brand": ["B"]}, {("pos", "S2"), ("tmall", None)}),
        ({"brand": ["A"]}, {("pos", "S1"), ("mall", None)}),
        ({"region": ["north"]}, {("pos", "S2")}),
        ({"region": ["nowhere"]}, set()),
        ({"brand": ["A"], "region": ["north"]}, set()),
        ({"brand": ["gone"], "region": ["gone"]}, {("pos", "S1"), ("pos", "S2"), ("mall", None), ("tmall", None)}),
    ],
)
def test_a_brand_is_its_stores_and_its_channels(
    reader: Reader, query: dict[str, list[str]], kept: set[tuple[str, str | None]]
) -> None:
    filters = parse_filters(query, BRANDS)
    assert parse_filters(filters.query_string(), BRANDS) == filters
    sales = "(VALUES ('pos', 'S1'), ('pos', 'S2'), ('mall', NULL), ('tmall', NULL)) AS sales(channel, store_id)"
    found = reader.rows(filters.fill(f"SELECT * FROM {sales} WHERE {{condition}}"), filters.parameters)
    assert {(row["channel"], row["store_id"]) for row in found} == kept
