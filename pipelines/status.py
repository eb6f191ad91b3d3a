"""What on-call looks at first: the last runs, how fresh each channel's feeds are, and which platforms didn't answer."""

from __future__ import annotations

from typing import Any

from pipelines.activation.withdrawals import waiting_withdrawals
from pipelines.feeds.freshness import freshness
from pipelines.pulling import pull_states
from pipelines.runs import runs_table
from pipelines.settings import Settings
from pipelines.state import state

SHOWN_RUNS = 10


def last_runs(settings: Settings) -> list[dict[str, Any]]:
    """The newest runs first, with the columns of marts.runs, `job` and `error`."""
    with state(settings) as engine:
        return runs_table(engine).to_pylist()[::-1][:SHOWN_RUNS]


def feed_freshness(settings: Settings) -> list[dict[str, Any]]:
    """One entry a channel and feed: last_taken_at (UTC), files, rows_received, rows_quarantined, late."""
    with state(settings) as engine:
        return [vars(entry) for entry in freshness(engine)]


def waiting_erasures(settings: Settings) -> list[dict[str, Any]]:
    """What destinations still hold of erased persons: destination, operation, withdrawals, since (UTC), reason."""
    with state(settings) as engine:
        return [vars(waiting) for waiting in waiting_withdrawals(engine)]


def last_pulls(settings: Settings) -> list[dict[str, Any]]:
    """One entry a feed of a connector: pulled_at (UTC), rows_received, rows_landed, failing_since, error."""
    with state(settings) as engine:
        return pull_states(engine)
