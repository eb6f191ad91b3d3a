"""How little a fault of a platform, of the disk or of a clock costs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pipelines.connectors.protocol import Page
from pipelines.http import CredentialsError, DoubtfulError, RefusedError, UnreachableError
from pipelines.http.clock import note_date
from pipelines.keys import ensure_keys
from pipelines.pulling import channels_pull, landing_writer
from pipelines.pulling.landing_writer import LandingError
from pipelines.pulling.state import pull_states
from tests.unit.pulling.conftest import NOON, MemoryShop, PulledHome, failing_at, minutes, stocked

DAY = timedelta(days=1)


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
    assert [pull["error_kind"] for pull in pull_states(home.engine)] == ["unreachable", "unreachable", None]
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

    assert "KeyError at conftest.py" in failure.error
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
