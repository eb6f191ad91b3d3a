"""The pull: what is read, what is landed once, and how little a fault costs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines import inbox
from pipelines.connectors.protocol import FeedCapability, Page, WebhookEvent
from pipelines.connectors.registry import first_since, load_connectors
from pipelines.errors import ConfigurationError
from pipelines.http import CredentialsError, DoubtfulError, RefusedError, UnreachableError
from pipelines.http.clock import note_date
from pipelines.keys import ensure_keys
from pipelines.pulling import channels_pull, feed_pull, landing_writer
from pipelines.pulling.feed_pull import EARLIEST
from pipelines.pulling.landing_writer import LandingError, LandingWriter
from pipelines.pulling.state import PullState, pull_states, pulled_rows
from tests.unit.pulling.conftest import NOON, MemoryShop, PulledHome, minutes

DAY = timedelta(days=1)


def stocked(count: int = 5, **options: Any) -> MemoryShop:
    """Orders o0, o1, … changed a minute apart, the last at 11:59."""
    shop = MemoryShop(**options)
    for number in range(count):
        shop.put(f"o{number}", NOON - minutes(count - number), paid_amount="10.10")
    return shop


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


# Faults


def failing_at(page: int, error: Exception) -> Any:
    def fail(_feed: str, number: int) -> None:
        if number == page:
            raise error

    return fail


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_what_arrived_before_a_fault_is_landed_and_the_next_pull_goes_on(home: PulledHome, page):
    shop = stocked(7, before_page=failing_at(page, DoubtfulError("It broke off.")))
    first = home.pull(shop)
    second = home.pull(shop, at=NOON + minutes(1))

    assert first.failures[0].error == "It broke off."
    assert first.landed == 2 * (page - 1)
    assert second.failures == []
    assert home.ids() == {f"o{number}": 1 for number in range(7)}


def test_a_page_state_that_is_no_longer_known_begins_the_window_again(home: PulledHome):
    shop = stocked(7, before_page=failing_at(3, DoubtfulError("It broke off.")))
    home.pull(shop)
    shop.before_page = failing_at(4, RefusedError("No such cursor."))
    report = home.pull(shop, at=NOON + minutes(1))

    assert report.failures == []
    assert set(home.ids()) == {f"o{number}" for number in range(7)}


def test_a_watermark_does_not_move_past_a_failed_window(home: PulledHome):
    shop = stocked(3, before_page=failing_at(1, RefusedError("No.")))
    home.pull(shop)
    shop.put("between", NOON - minutes(20))
    home.pull(shop, at=NOON + minutes(1))

    assert set(home.ids()) == {"o0", "o1", "o2", "between"}


def test_a_platform_that_is_down_stops_its_own_channel_only(home: PulledHome):
    down = stocked(feeds=("orders", "members"), before_page=failing_at(1, UnreachableError("No connection.")))
    report = home.pull(down, stocked(channel="outlet"))

    assert [(feed.channel, feed.feed) for feed in report.failures] == [("mall", "orders"), ("mall", "members")]
    assert down.pages == 1
    assert len(home.ids("outlet")) == 5


def test_a_feed_that_fails_leaves_the_channels_other_feeds_alone(home: PulledHome):
    shop = stocked(feeds=("orders", "refunds"), before_page=failing_at(1, DoubtfulError("500.")))
    report = home.pull(shop)

    assert [feed.feed for feed in report.failures] == ["orders"]
    assert len(home.rows(feed="refunds")) == 5


def test_a_platform_that_only_times_out_does_not_keep_the_night_for_each_of_its_feeds(home: PulledHome, monkeypatch):
    monkeypatch.setattr(channels_pull, "SLOW_FAILURE_SECONDS", -1.0)
    shop = stocked(feeds=("orders", "refunds", "members"), before_page=failing_at(1, DoubtfulError("Timed out.")))
    report = home.pull(shop)

    assert [feed.error for feed in report.failures] == ["Timed out."] * 3
    assert shop.pages == 1


def test_nonsense_is_told_by_its_place_and_quotes_nothing(home: PulledHome):
    shop = stocked(before_page=failing_at(2, KeyError("13912345678")))
    (failure,) = home.pull(shop).failures

    assert "KeyError at test_pulling.py" in failure.error
    assert "139" not in failure.error + json.dumps(pull_states(home.engine), default=str) + " ".join(home.lines)


def test_an_error_of_any_text_can_be_kept(home: PulledHome):
    home.pull(stocked(before_page=failing_at(1, RefusedError("code \0\x1b[31m" + "长" * 10_000))))
    (failing,) = pull_states(home.engine)

    assert failing["error"].startswith("code ??[31m长")
    assert len(failing["error"]) == 500


def test_a_platform_that_leads_in_a_circle_is_left(home: PulledHome):
    class Circle(MemoryShop):
        def pull(self, feed, since, until, state=None):
            while True:
                yield Page({"orders": [{"order_id": "1"}]}, {"page": 1})

    (failure,) = home.pull(Circle()).failures

    assert "circle" in failure.error


def test_a_feed_that_the_contract_does_not_know_is_a_fault_of_the_connector(home: PulledHome):
    class Wrong(MemoryShop):
        def pull(self, feed, since, until, state=None):
            yield Page({"ordres": [{"order_id": "1"}]})

    assert "'ordres'" in home.pull(Wrong()).failures[0].error
    assert not (home.settings.landing / "mall").exists()


def test_the_state_says_since_when_a_feed_fails_and_forgets_it_when_it_is_well(home: PulledHome):
    shop = stocked(before_page=failing_at(1, CredentialsError("Key refused.")))
    home.pull(shop)
    shop.before_page = failing_at(2, CredentialsError("Key refused again."))
    home.pull(shop, at=NOON + minutes(30))
    (failing,) = pull_states(home.engine)
    shop.before_page = lambda _feed, _number: None
    home.pull(shop, at=NOON + minutes(60))
    (well,) = pull_states(home.engine)

    assert failing["failing_since"] == NOON.replace(tzinfo=None)
    assert (failing["error_kind"], failing["error"]) == ("credentials", "Key refused again.")
    assert failing["pulled_at"] is None
    assert (well["failing_since"], well["error"], well["rows_landed"]) == (None, None, 5)
    assert any("WARNING" in line and "Key refused" in line for line in home.lines)


def test_a_full_disk_is_no_fault_of_the_platform_and_moves_nothing(home: PulledHome, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    shop = stocked()
    ensure_keys(home.settings)
    with monkeypatch.context() as patched:
        patched.setattr(landing_writer.os, "fsync", full)
        with pytest.raises(LandingError, match="No space left"):
            home.pull(shop)
    assert pull_states(home.engine) == []
    home.pull(shop, at=NOON + minutes(1))

    assert home.ids() == {f"o{number}": 1 for number in range(5)}


def test_another_server_is_read_from_its_beginning(make_home):
    shop = stocked()
    make_home(url="https://staging.example").pull(shop)
    moved = make_home(url="https://shop.example")
    report = moved.pull(shop, at=NOON + DAY)

    assert report.landed == 5


def test_a_server_whose_clock_is_behind_ours_loses_nothing(home: PulledHome):
    def answer(*_: object) -> None:
        note_date({"date": format_datetime(datetime.now(UTC) - minutes(20), usegmt=True)})

    shop = stocked(before_page=answer)
    home.pull(shop)
    shop.put("after the pull, by its own clock before", NOON - minutes(19))
    report = home.pull(shop, at=NOON + minutes(1))

    assert report.landed == 1


def test_a_clock_that_was_wrong_once_does_not_stop_the_pulls(make_home):
    home = make_home()
    shop = stocked()
    home.pull(shop, at=NOON + timedelta(days=1000))
    shop.put("new", NOON - minutes(1))
    home.pull(shop)
    shop.put("newer", NOON + minutes(1))
    home.pull(shop, at=NOON + minutes(2))

    assert {"new", "newer"} <= set(home.ids())


# Kills


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the pull may catch it."""


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("where", ["before rename", "after rename", "after commit", "in a page"])
def test_killed_anywhere_and_run_again_the_final_state_is_the_same(make_home, monkeypatch, where, count):
    home = make_home()
    monkeypatch.setattr(landing_writer, "FILE_ROWS", 3)
    monkeypatch.setattr(feed_pull, "FILE_ROWS", 3)
    capability = FeedCapability(page_size=2, widest_window=timedelta(days=2000), sweep_every=DAY, sweep_span=DAY)
    shop = stocked(11, capability=capability)
    calls = 0

    def fatal(original: Any, after: bool) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == count and not after:
                raise Killed
            result = original(*arguments)
            if calls == count:
                raise Killed
            return result

        return call

    with monkeypatch.context() as patched:
        patched.setattr(LandingWriter, "discard", lambda _self: None)
        if where == "in a page":
            shop.before_page = failing_at(count, Killed())  # type: ignore[arg-type]
        elif where == "after commit":
            patched.setattr(PullState, "commit", fatal(PullState.commit, after=True))
        else:
            patched.setattr(LandingWriter, "seal", fatal(LandingWriter.seal, after=where == "after rename"))
        with pytest.raises(Killed):
            home.pull(shop)
    shop.before_page = lambda _feed, _number: None
    home.pull(shop, at=NOON + minutes(1))
    again = home.pull(shop, at=NOON + minutes(2))

    assert {order_id: row["paid_amount"] for order_id, row in home.newest().items()} == {
        f"o{number}": "10.10" for number in range(11)
    }
    assert sum(home.ids().values()) <= 11 + 4
    assert again.landed == 0
    assert list(home.settings.landing.rglob("*.part")) == []


# Webhooks


def test_records_that_webhooks_spoke_of_are_read_again_and_their_notices_forgotten(home: PulledHome):
    shop = stocked()
    home.pull(shop)
    shop.put("o1", NOON - minutes(40), paid_amount="77")
    notices = [WebhookEvent("orders", order_id, f"n{order_id}") for order_id in ("o1", "o1", "o2", "unknown")]
    inbox.append(home.settings, "mall", [*notices, WebhookEvent("members", "m", "n")])
    report = home.pull(shop, at=NOON + minutes(1))

    assert shop.fetched == [["o1", "o2", "unknown"]]
    assert [(feed.feed, feed.received, feed.landed) for feed in report.feeds] == [
        ("orders", 4, 0),
        ("webhooks", 2, 1),
    ]
    assert home.rows()[-1]["paid_amount"] == "77"
    assert inbox.waiting_files(home.settings, "mall") == []


def test_notices_stay_until_their_records_are_landed(home: PulledHome):
    shop = stocked(feeds=())
    inbox.append(home.settings, "mall", [WebhookEvent("orders", "o1", "n1")])
    fetch = shop.fetch
    shop.fetch = lambda *_: failing_at(1, UnreachableError("No connection."))("", 1)  # type: ignore[method-assign]
    failed = home.pull(shop)
    shop.fetch = fetch  # type: ignore[method-assign]
    home.pull(shop, at=NOON + minutes(1))

    assert [feed.feed for feed in failed.failures] == ["webhooks"]
    assert home.ids() == {"o1": 1}


def test_one_refused_id_does_not_keep_the_others(home: PulledHome):
    shop = stocked(feeds=(), refused_ids={"o3"})
    inbox.append(home.settings, "mall", [WebhookEvent("orders", f"o{number}", f"n{number}") for number in range(5)])
    report = home.pull(shop)

    assert report.failures == []
    assert set(home.ids()) == {"o0", "o1", "o2", "o4"}
    assert inbox.waiting_files(home.settings, "mall") == []


# Settings


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-01-01", datetime(2025, 12, 31, 16, 0, tzinfo=UTC)),
        ("2026-01-01T08:00:00Z", datetime(2026, 1, 1, 8, 0, tzinfo=UTC)),
        (None, None),
    ],
)
def test_since_is_local_unless_it_names_an_offset(make_home, since, expected):
    home = make_home(**({"since": since} if since else {}))

    assert first_since(home.channels, "mall") == expected


def test_a_since_that_is_no_date_is_found_at_start(make_home, monkeypatch):
    from pipelines.connectors import registry

    monkeypatch.setattr(registry, "KINDS", {"memory": lambda options: MemoryShop(options.channel)})
    home = make_home(since="last year")

    with pytest.raises(ConfigurationError, match=r"'mall' has since 'last year'"):
        load_connectors(home.settings, home.channels, {})


def test_a_home_without_connectors_makes_no_keys_and_no_folders(home: PulledHome):
    assert home.pull().feeds == ()
    assert not home.settings.key_file.exists()
    assert not home.settings.landing.exists()
