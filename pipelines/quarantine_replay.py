"""Rejected rows taken again, as one recorded run of the single writer."""

from __future__ import annotations

import uuid

from pipelines.channels import load_channels
from pipelines.feeds.replay import replay_quarantine
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.warehouse import single_writer


def replay(settings: Settings) -> str:
    """Replay everything that is quarantined; returns a line for people."""
    with single_writer(settings), state(settings) as engine:
        report = replay_quarantine(settings, load_channels(settings), engine, f"replay-{uuid.uuid4()}")
    return (
        f"{report.rows_received:,} quarantined rows looked at again: {report.rows_accepted:,} accepted, "
        f"{report.rows_quarantined:,} still rejected. The next `omnilake run` brings the accepted ones to the marts."
    )
