"""Every page, in both languages, with data and without."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dashboards.app import PAGES
from dashboards.data import Reader
from dashboards.language import LANGUAGES, definitions, words
from tests.dashboards.conftest import OpenPage, turn_to, words_of
from tests.dashboards.snapshots import AS_OF, publish

pytestmark = pytest.mark.usefixtures("home")
DATA_PAGES = [page.name for page in PAGES if page.needs_data]
# Pages of figures are built alike: those that open them once more for what all share are slow tests.
_ALIKE = ("channels", "loyalty", "stores", "products", "prices")
# One customer asks whom first; the others read the state database.
_OWN_WAY = ("customer", "segments", "exports", "audit")
ADDRESSES = {page.name: "" if page is PAGES[0] else page.name for page in PAGES}


def sampled(pages: Iterable[str]) -> list[Any]:
    """The same pages, those that are alike as slow tests."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in _ALIKE else name for name in pages]


SAMPLED_PAGES = sampled(DATA_PAGES)


def drop(home: Path, *tables: str) -> None:
    """Publish a copy of the snapshot without some tables, as an older version made it."""
    copy = Path(shutil.copy(home / "lake" / "snapshots" / "marts-1.duckdb", home / "copy.duckdb"))
    connection = duckdb.connect(str(copy))
    for table in tables:
        connection.execute(f"DROP TABLE marts.{table}")
    connection.close()
    publish(home, copy, "2")


def run_sql(home: Path, *statements: str) -> None:
    """Publish a copy of the snapshot after some statements."""
    copy = Path(shutil.copy(home / "lake" / "snapshots" / "marts-1.duckdb", home / "copy.duckdb"))
    connection = duckdb.connect(str(copy))
    for statement in statements:
        connection.execute(statement)
    connection.close()
    publish(home, copy, "2")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_a_page_draws_in_its_language(open_page: OpenPage, page: str, language: str) -> None:
    app = open_page(ADDRESSES[page], lang=language)
    assert not app.exception
    assert not app.error
    assert app.title[0].value == words(language)[f"{page}.title"]  # type: ignore[index, arg-type]
    assert "None" not in words_of(app)


def test_the_first_page_has_a_name_of_its_own_too(open_page: OpenPage) -> None:
    app = open_page(PAGES[0].name, lang="en")
    assert app.title[0].value == words("en")["overview.title"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", SAMPLED_PAGES)
def test_before_the_first_run_a_page_says_what_to_do(
    open_page: OpenPage, empty_home: Path, page: str, language: str
) -> None:
    shutil.rmtree(empty_home / "lake")
    app = open_page(ADDRESSES[page], lang=language)
    assert not app.exception
    assert [info.value for info in app.info] == [words(language)["states.no_snapshot"]]  # type: ignore[arg-type]


@pytest.mark.parametrize("page", SAMPLED_PAGES)
def test_an_empty_snapshot_has_words(open_page: OpenPage, home: Path, page: str) -> None:
    tables = duckdb.connect(str(home / "lake" / "snapshots" / "marts-1.duckdb"), read_only=True)
    names = [row[0] for row in tables.execute("SELECT table_name FROM information_schema.tables").fetchall()]
    tables.close()
    run_sql(home, *(f"DELETE FROM marts.{name}" for name in names))
    app = open_page(ADDRESSES[page], lang="en")
    assert not app.exception
    assert [info.value for info in app.info] == [words("en")["states.no_as_of"]]


@pytest.mark.parametrize("page", DATA_PAGES)
def test_a_day_without_any_sale_has_words(open_page: OpenPage, home: Path, page: str) -> None:
    kept = ("run_settings", "channels", "stores")
    with duckdb.connect(str(home / "lake" / "snapshots" / "marts-1.duckdb"), read_only=True) as found:
        names = [row[0] for row in found.execute("SELECT table_name FROM information_schema.tables").fetchall()]
    run_sql(home, *(f"DELETE FROM marts.{name}" for name in names if name not in kept))
    app = open_page(ADDRESSES[page], lang="en")
    assert not app.exception
    assert app.info


@pytest.mark.parametrize("page", sampled(page for page in DATA_PAGES if page not in _OWN_WAY))
def test_a_snapshot_of_an_older_version_names_what_it_lacks(open_page: OpenPage, home: Path, page: str) -> None:
    lacking = {
        "overview": ("category_daily", "stores", "channels", "run_settings", "segments"),
        "customers": ("recommendations", "products", "customer_tags", "segments"),
        "health": ("drift", "waiting", "activation_log"),
        "activation": ("activation_log",),
        "stock": ("stock_health",),
        "campaigns": ("campaign_results", "coupon_pools"),
        "reviews": ("identity_reviews",),
        "models": ("model_drift",),
        "channels": ("door_flows", "aov_gaps", "channels"),
        "loyalty": ("points_expiring", "retention_cohorts"),
        "stores": ("store_attribution_daily", "store_online_daily"),
        "products": ("gmroi", "region_categories"),
        "prices": ("price_conflicts",),
    }[page]
    drop(home, *lacking)
    app = open_page(ADDRESSES[page], lang="en")
    assert not app.exception
    shown = [info.value for info in app.info]
    named = {"overview": "category_daily", "customers": "recommendations", "health": "activation_log"}
    assert any(named.get(page, lacking[0]) in text for text in shown), shown
    assert app.metric or page in ("activation", "reviews", "models", "products", "prices", "stock", "campaigns")


def test_the_activation_page_counts_what_waits_and_failed_and_says_why(open_page: OpenPage) -> None:
    app = open_page("activation", lang="en")
    figures = {card.label: card.value for card in app.metric}
    assert (figures["Waiting"], figures["Failed"], figures["In doubt"]) == ("1", "2", "0")
    tables = [frame.value for frame in app.dataframe]
    refused = [row["deliveries"] for row in tables[1].to_dict("records") if row["reason"] == "refused by the shop"]
    assert refused == [1, 1]
    waiting = [row for row in tables[2].to_dict("records") if row["state"] in ("Planned", "planned")]
    assert [row["delivery_id"] for row in waiting] == ["d7"]


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("overview", "sales_daily"),
        ("overview", "orders"),
        ("customers", "customer_rfm"),
        ("customers", "customers"),
        ("customers", "sales_daily"),
        ("segments", "customers"),
        ("segments", "segment_members"),
        ("exports", "segments"),
        ("health", "batches"),
        ("health", "runs"),
        ("health", "quarantine"),
    ],
)
def test_no_missing_table_breaks_a_page(open_page: OpenPage, home: Path, page: str, table: str) -> None:
    drop(home, table)
    assert not open_page(ADDRESSES[page], lang="zh").exception


def test_the_cards_say_what_the_marts_say(open_page: OpenPage, reader: Reader) -> None:
    sales = reader.rows(
        "SELECT sum(net_amount) AS net, sum(paid_orders) AS orders, sum(sales_net_amount) AS sold FROM sales_daily "
        "WHERE business_date = $day",
        {"day": AS_OF},
    )[0]
    before = reader.rows(
        "SELECT sum(net_amount) AS net FROM sales_daily WHERE business_date = $day", {"day": AS_OF - timedelta(days=7)}
    )[0]["net"]
    cards = {card.label: card for card in open_page(lang="zh").metric}
    assert cards["净销售额"].value == f"¥{sales['net'] / 10000:,.2f}万"
    assert cards["净销售额"].delta.startswith(f"{(sales['net'] / before - 1) * 100:+,.1f}%")
    assert cards["付款订单数"].value == str(sales["orders"])
    assert cards["客单价"].value == f"¥{sales['sold'] / sales['orders']:,.2f}"


def test_a_customer_of_two_channels_counts_once(open_page: OpenPage, home: Path) -> None:
    run_sql(
        home,
        f"UPDATE marts.orders SET customer_id = 'c1', is_qualified = true WHERE business_date = DATE '{AS_OF}'",
    )
    cards = {card.label: card.value for card in open_page(lang="en").metric}
    assert cards["Paying customers"] == "1"


def test_every_card_carries_its_definition(open_page: OpenPage) -> None:
    for page in DATA_PAGES:
        for card in open_page(ADDRESSES[page], lang="en").metric:
            assert "(definitions?lang=en#" in card.help, card.label


def test_every_figure_that_has_a_definition_is_on_the_page_of_definitions(open_page: OpenPage) -> None:
    app = open_page("definitions", lang="zh")
    assert [heading.value for heading in app.subheader] == [entry["zh"]["name"] for entry in definitions().values()]


def test_filters_narrow_the_figures_and_go_into_the_url(open_page: OpenPage, reader: Reader) -> None:
    app = open_page(lang="zh")
    app.multiselect(key="filter_channels_zh").set_value(["pos"]).run()
    expected = reader.rows(
        "SELECT sum(paid_orders) AS n FROM sales_daily WHERE business_date = $day AND channel = 'pos'", {"day": AS_OF}
    )[0]["n"]
    assert {card.label: card.value for card in app.metric}["付款订单数"] == str(expected)
    assert app.query_params["channel"] == "pos"


def test_filters_and_language_stay_when_the_page_changes(open_page: OpenPage) -> None:
    app = open_page(lang="en", period="28", channel=["pos", "kiosk"], store=["S01"])
    turn_to(app, "customers")
    app.run()
    assert app.title[0].value == words("en")["customers.title"]
    assert app.multiselect(key="filter_channels_en").value == ["pos", "kiosk"]
    assert app.selectbox(key="filter_period_en").value == "28"
    assert app.query_params["store"] == "S01"
    assert app.query_params["lang"] == "en"


def test_changing_the_language_keeps_the_filters(open_page: OpenPage) -> None:
    app = open_page(lang="en", channel="pos", period="7")
    app.segmented_control(key="language").set_value("zh").run()
    assert app.title[0].value == words("zh")["overview.title"]
    assert app.multiselect(key="filter_channels_zh").value == ["pos"]
    assert app.selectbox(key="filter_period_zh").value == "7"
    assert app.query_params["lang"] == "zh"


def test_taking_the_filters_back_shows_everything_again(open_page: OpenPage) -> None:
    app = open_page(lang="en", channel="pos", store="S01")
    narrowed = app.metric[0].value
    app.button(key="filter_reset").click().run()
    assert app.multiselect(key="filter_channels_en").value == []
    assert app.metric[0].value != narrowed
    assert "channel" not in app.query_params


def test_days_of_ones_own_move_the_day_that_is_shown(open_page: OpenPage, reader: Reader) -> None:
    app = open_page(lang="en", **{"from": "2026-05-01", "to": "2026-05-10"})
    expected = reader.rows("SELECT sum(paid_orders) AS n FROM sales_daily WHERE business_date = DATE '2026-05-10'")
    assert {card.label: card.value for card in app.metric}["Paid orders"] == str(expected[0]["n"])
    assert app.query_params["to"] == "2026-05-10"


def test_a_filter_without_rows_has_words(open_page: OpenPage) -> None:
    app = open_page(lang="en", channel="mall", store="S01")
    assert not app.exception
    assert words("en")["states.no_rows"] in [info.value for info in app.info]


@pytest.mark.parametrize("page", SAMPLED_PAGES)
def test_a_page_stays_right_when_its_file_is_replaced_and_removed(open_page: OpenPage, home: Path, page: str) -> None:
    app = open_page(ADDRESSES[page], lang="en")
    run_sql(home, "UPDATE marts.sales_daily SET net_amount = net_amount * 3, paid_orders = paid_orders * 3")
    (home / "lake" / "snapshots" / "marts-1.duckdb").unlink()
    before = [card.value for card in app.metric]
    app.run()
    assert not app.exception
    assert words("en")["common.updated"] in [toast.value for toast in app.toast]
    if page == "overview":
        assert app.metric[0].value != before[0]


def test_a_home_whose_link_dangles_shows_what_is_left_and_says_so(open_page: OpenPage, home: Path) -> None:
    run_sql(home, "SELECT 1")
    (home / "lake" / "snapshots" / "marts-2.duckdb").unlink()
    app = open_page(lang="en")
    assert app.metric
    assert "was removed" in app.warning[0].value


def test_a_broken_snapshot_has_words_in_both_languages(open_page: OpenPage, home: Path) -> None:
    junk = home / "junk"
    junk.write_bytes(b"junk" * 4096)
    publish(home, junk, "2")
    for language, sign in (("zh", "无法读取"), ("en", "cannot be read")):
        app = open_page(lang=language)
        assert not app.exception
        assert sign in app.error[0].value


def test_a_wrong_setting_is_named(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNILAKE_DASHBOARD_REFRESH_SECONDS", "soon")
    assert "OMNILAKE_DASHBOARD_REFRESH_SECONDS" in open_page(lang="en").error[0].value


def test_one_customer_is_shown_by_id_with_reasons(open_page: OpenPage, reader: Reader) -> None:
    customer = reader.rows("SELECT min(customer_id) AS id FROM recommendations")[0]["id"]
    app = open_page("customers", lang="zh")
    app.text_input(key="customer_id").set_value(f" {customer} ").run()
    shown = app.dataframe[-1].value
    assert list(shown["rank"]) == [1, 2, 3, 4, 5]
    assert all(shown["reason"])
    assert "分群" in words_of(app)


def test_an_unknown_customer_id_has_words(open_page: OpenPage) -> None:
    app = open_page("customers", lang="en")
    app.text_input(key="customer_id").set_value("c' OR true --").run()
    assert not app.exception
    assert words("en")["customers.unknown"] in [info.value for info in app.info]


def test_the_first_snapshot_of_all_says_when_movement_will_show(open_page: OpenPage, home: Path) -> None:
    run_sql(home, "UPDATE marts.customer_rfm SET previous_segment = NULL")
    shown = [info.value for info in open_page("customers", lang="en").info]
    assert words("en")["customers.no_movement"] in shown


def test_an_earlier_period_shows_the_snapshot_of_that_time(open_page: OpenPage) -> None:
    app = open_page("customers", lang="en", **{"from": "2026-04-01", "to": "2026-05-10"})
    assert "3 May 2026" in app.caption[1].value + app.caption[0].value


def test_rows_that_do_not_add_up_are_said_to_be_unbalanced(open_page: OpenPage, home: Path) -> None:
    run_sql(home, "UPDATE marts.batches SET rows_received = rows_received + 1 WHERE batch_id = 'b3'")
    cards = {card.label: card.value for card in open_page("health", lang="en").metric}
    assert cards["Reconciliation"] == words("en")["health.unbalanced"]


def test_markup_in_a_tag_is_shown_as_text(open_page: OpenPage, home: Path, reader: Reader) -> None:
    customer = reader.rows("SELECT min(customer_id) AS id FROM recommendations")[0]["id"]
    run_sql(home, "INSERT INTO marts.customer_tags VALUES "
            f"('{customer}', 'note', ']:red[**x** <script>', DATE '2026-05-31', 'manual')")  # fmt: skip
    app = open_page("customers", lang="en")
    app.text_input(key="customer_id").set_value(customer).run()
    badges = next(element.value for element in app.markdown if "note" in element.value)
    assert badges.count("[") == badges.count("]") == badges.count(":blue-badge[")


def test_the_models_page_shows_the_model_beside_the_rules_and_what_drifted(open_page: OpenPage) -> None:
    app = open_page("models", lang="en")
    assert not app.exception
    shown = words_of(app)
    assert all(words("en")[f"models.{name}"] in shown for name in ("in_use", "metrics", "calibration", "drift"))
    tables = [frame.value for frame in app.dataframe]
    figures = next(table for table in tables if "predictor" in table.columns)
    assert list(figures["predictor"]) == [words("en")["models.predictor_model"], "recency", "The model"]
    drift = next(table for table in tables if "psi" in table.columns)
    assert list(drift["input"]) == ["recency_days", "order_days"]


def test_what_if_says_that_the_cutoffs_must_grow_and_counts_those_who_move(open_page: OpenPage) -> None:
    app = open_page("customers", lang="en")
    as_it_is = next(frame.value for frame in app.dataframe if "customers_then" in frame.value.columns)
    assert list(as_it_is["customers_then"]) == list(as_it_is["customers_now"])
    app.number_input(key="what-if-r_5").set_value(21).run()
    assert words("en")["what_if.must_grow"] in [warning.value for warning in app.warning]
    app.number_input(key="what-if-r_5").set_value(20).run()
    other = next(frame.value for frame in app.dataframe if "customers_then" in frame.value.columns)
    assert list(other["customers_now"]) == list(as_it_is["customers_now"])
    assert list(other["customers_then"]) != list(as_it_is["customers_then"])
    assert other["customers_then"].sum() == as_it_is["customers_now"].sum()
