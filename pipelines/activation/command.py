"""Activation for people at the command line: a push on its own, with its log published."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.activation.log import activation_log
from pipelines.activation.push import PushReport, push
from pipelines.errors import TransientError
from pipelines.keys import load_keys
from pipelines.settings import Settings
from pipelines.snapshots import new_snapshot_id, refresh
from pipelines.state import state
from pipelines.warehouse import single_writer


def run_push(settings: Settings, destination: str | None, dry_run: bool, progress: Callable[[str], None]) -> PushReport:
    """Push from the current snapshot; unless it is a dry run, publish the snapshot with the new activation log.

    Raises TransientError, after publishing, if a destination was given up: what it did not take is sent by the next push.
    """
    secret = load_keys(settings).coupon_key
    with state(settings) as engine:
        if dry_run:
            return push(settings, engine, secret=secret, destination=destination, dry_run=True, progress=progress)
        with single_writer(settings):
            report = push(settings, engine, secret=secret, destination=destination, progress=progress)
            refresh(settings, new_snapshot_id(), {"activation_log": activation_log(engine)})
    if report.failures:
        raise TransientError(f"Not everything was sent: {'; '.join(report.failures)}. Push again later.")
    return report
