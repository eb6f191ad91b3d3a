"""A pull that is killed anywhere and run again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipelines.connectors.protocol import FeedCapability
from pipelines.pulling import feed_pull, landing_writer
from pipelines.pulling.landing_writer import LandingWriter
from pipelines.pulling.state import PullState
from tests.unit.pulling.conftest import NOON, failing_at, minutes, stocked

DAY = timedelta(days=1)


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
