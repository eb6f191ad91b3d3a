"""What a pull reads: windows, overlaps, sweeps, and what is landed once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from pipelines.connectors.protocol import FeedCapability, Page
from pipelines.pulling import landing_writer
from pipelines.pulling.feed_pull import EARLIEST
from pipelines.pulling.state import pulled_rows
from tests.unit.pulling.conftest import NOON, MemoryShop, PulledHome, minutes, stocked

DAY = timedelta(days=1)


def test_everything_is_landed_and_a_second_pull_lands_nothing(home: PulledHome):
    shop = stocked()
    first = home.pull(shop)
    second = home.pull(shop, at=NOON + minutes(1))

    assert (first.received, first.landed) == (5, 5)
    assert second.landed == 0
    assert home.ids() == dict.fromkeys(["o0", "o1", "o2", "o3", "o4"], 1)


def test_the_first_pull_reads_from_since_and_the_next_from_before_the_watermark(make_home):
    home = make_home(since="2026-03-01")
    shop = stocked(capability=FeedCapability(page_size=2, overlap=minutes(5)))
    home.pull(shop)
    first, shop.windows = shop.windows, []
    home.pull(shop, at=NOON + minutes(30))

    assert first[0][0] == datetime(2026, 2, 28, 16, 0, tzinfo=UTC)
    assert first[-1][1] == NOON
    assert [shop.windows[0][0], shop.windows[-1][1]] == [NOON - minutes(5), NOON + minutes(30)]


def test_without_since_a_first_pull_reads_everything(make_home):
    home = make_home()
    shop = stocked()
    shop.put("ancient", EARLIEST + DAY)
    home.pull(shop)

    assert home.ids()["ancient"] == 1


def test_what_was_committed_late_is_read_by_the_overlap(home: PulledHome):
    shop = stocked()
    home.pull(shop)
    shop.put("late", NOON - minutes(3))
    report = home.pull(shop, at=NOON + minutes(30))

    assert report.landed == 1
    assert home.ids()["late"] == 1


def test_an_overlap_of_nothing_is_still_a_minute(home: PulledHome):
    shop = stocked(capability=FeedCapability(page_size=2, overlap=timedelta(0)))
    home.pull(shop)
    shop.put("late", NOON - timedelta(seconds=30))

    assert home.pull(shop, at=NOON + minutes(30)).landed == 1


def test_what_happened_in_the_second_of_the_pull_belongs_to_it(home: PulledHome):
    shop = MemoryShop()
    shop.put("just now", NOON + timedelta(milliseconds=300))
    home.pull(shop, at=NOON + timedelta(milliseconds=400))

    assert home.ids() == {"just now": 1}


def test_a_changed_record_is_landed_again_and_an_unchanged_one_is_not(home: PulledHome):
    shop = stocked()
    home.pull(shop)
    shop.put("o4", NOON + minutes(1), paid_amount="99")
    home.pull(shop, at=NOON + minutes(2))

    assert home.ids() == {"o0": 1, "o1": 1, "o2": 1, "o3": 1, "o4": 2}
    assert home.newest()["o4"]["paid_amount"] == "99"


def test_no_window_is_wider_than_the_platform_takes(make_home):
    home = make_home()
    shop = stocked(capability=FeedCapability(page_size=2, widest_window=timedelta(days=200)))
    home.pull(shop)

    assert all(until - since <= timedelta(days=200) for since, until in shop.windows)
    assert shop.windows[0][0] == EARLIEST
    assert shop.windows[-1][1] == NOON
    assert [since for since, _ in shop.windows[1:]] == [until for _, until in shop.windows[:-1]]


def test_a_sweep_finds_what_moved_no_timestamp_when_it_is_due(make_home):
    home = make_home()
    capability = FeedCapability(page_size=2, sweep_every=DAY, sweep_span=timedelta(days=30))
    shop = stocked(capability=capability)
    shop.put("old", NOON - timedelta(days=10), refunded="0")
    home.pull(shop)
    shop.put("old", NOON - timedelta(days=10), refunded="5")

    assert home.pull(shop, at=NOON + timedelta(hours=23)).landed == 0
    swept = home.pull(shop, at=NOON + timedelta(hours=25))
    again = home.pull(shop, at=NOON + timedelta(hours=50))

    assert (swept.landed, swept.received >= 6) == (1, True)
    assert (again.landed, again.received >= 6) == (0, True)
    assert home.newest()["old"]["refunded"] == "5"


def test_a_change_back_and_forth_ends_with_the_last_state(home: PulledHome):
    capability = FeedCapability(page_size=2, sweep_every=minutes(1), sweep_span=DAY)
    shop = MemoryShop(capability=capability)
    for hour, value in enumerate(["a", "b", "a"]):
        shop.put("o", NOON - minutes(5), note=value)
        home.pull(shop, at=NOON + timedelta(hours=hour))

    assert [row["note"] for row in home.rows()] == ["a", "b", "a"]


def test_rows_are_remembered_no_longer_than_they_are_read_again(make_home):
    home = make_home()
    shop = stocked(capability=FeedCapability(page_size=2, sweep_every=DAY, sweep_span=timedelta(days=3)))
    shop.put("old", NOON - timedelta(days=10))
    home.pull(shop)
    assert remembered(home) == 5
    shop.orders.clear()
    home.pull(shop, at=NOON + timedelta(days=4))

    assert remembered(home) == 0


def remembered(home: PulledHome) -> int:
    with home.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(pulled_rows)).scalar_one()


def test_a_feed_without_changes_is_read_whole_and_landed_once(home: PulledHome):
    shop = stocked(capability=FeedCapability(is_incremental=False, page_size=2))
    home.pull(shop)
    shop.put("o2", NOON, paid_amount="11")
    del shop.orders["o0"]
    report = home.pull(shop, at=NOON + DAY)

    assert (report.received, report.landed) == (4, 1)
    assert remembered(home) == 4


def test_stock_that_is_counted_now_is_landed_when_it_changes_or_after_most_of_a_day(home: PulledHome):
    class Stock(MemoryShop):
        def pull(self, feed, since, until, state=None):
            yield Page({"inventory": [{"store_id": "1", "sku": "7", "on_hand": level, "counted_at": str(until)}]})

    stock = Stock(feeds=("inventory",), capability=FeedCapability(is_incremental=False))
    landed = []
    for hours, now_on_hand in [(0, 5), (1, 5), (2, 4), (3, 4), (24, 4)]:
        level = now_on_hand
        landed.append(home.pull(stock, at=NOON + timedelta(hours=hours)).landed)

    assert landed == [1, 0, 1, 0, 1]


def test_one_read_may_bring_several_feeds(home: PulledHome):
    class Both(MemoryShop):
        def pull(self, feed, since, until, state=None):
            yield Page({"orders": [{"order_id": "1"}], "refunds": [{"refund_id": "r", "order_id": "1"}]})

    assert home.pull(Both()).landed == 2
    assert len(home.rows(feed="orders")) == len(home.rows(feed="refunds")) == 1


def test_two_views_of_a_record_do_not_take_turns_in_landing(home: PulledHome):
    class Views(MemoryShop):
        def pull(self, feed, since, until, state=None):
            yield Page({"members": [{"member_id": "m", "name": "李雷"} if feed == "members" else {"member_id": "m"}]})

    shop = Views(feeds=("orders", "members"))

    assert [home.pull(shop, at=NOON + minutes(number)).landed for number in range(3)] == [2, 0, 0]


def test_a_record_without_its_key_is_landed_once_for_ingest_to_judge(home: PulledHome):
    class Odd(MemoryShop):
        def pull(self, feed, since, until, state=None):
            yield Page({"orders": [{"odd": "x"}, {"odd": "y"}, {"order_id": None, "odd": "x"}]})

    assert home.pull(Odd()).landed == 3
    assert home.pull(Odd(), at=NOON + minutes(1)).landed == 0


def test_prices_of_every_store_have_a_key_without_a_store(home: PulledHome):
    class Prices(MemoryShop):
        def pull(self, feed, since, until, state=None):
            yield Page({"prices": [{"sku": "7", "price": price, "valid_from": "2026-01-01"}]})

    shop = Prices(feeds=("prices",), capability=FeedCapability(is_incremental=False))
    landed = []
    for number, now in enumerate(["1", "1", "2"]):
        price = now
        landed.append(home.pull(shop, at=NOON + minutes(number)).landed)

    assert (landed, remembered(home)) == ([1, 0, 1], 1)


def test_files_hold_a_bounded_number_of_rows(home: PulledHome, monkeypatch):
    monkeypatch.setattr(landing_writer, "FILE_ROWS", 10)
    home.pull(stocked(45))
    files = sorted((home.settings.landing / "mall" / "orders").iterdir())

    assert [file.suffix for file in files] == [".jsonl"] * len(files)
    assert all(len(file.read_text().splitlines()) <= 11 for file in files)
    assert [row["order_id"] for row in home.rows()] == [f"o{number}" for number in range(45)]
    assert "pull: mall: orders: 10 new rows so far" in home.lines


def test_money_is_landed_with_every_digit(home: PulledHome):
    from decimal import Decimal

    shop = MemoryShop()
    shop.put("o", NOON - minutes(1), paid_amount=Decimal("12345678901234.10"))
    home.pull(shop)
    (file,) = (home.settings.landing / "mall" / "orders").iterdir()

    assert '"paid_amount":12345678901234.10' in file.read_text()
