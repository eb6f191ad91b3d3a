"""What assets are given: the home's settings and state, the run's options, and how faults become Dagster's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import dagster as dg
import sqlalchemy as sa

from pipelines.channels import Channels, load_channels
from pipelines.errors import ConfigurationError, OmnilakeError, TransientError
from pipelines.settings import Settings
from pipelines.state import open_state
from pipelines.warehouse import single_writer

WAREHOUSE_POOL = "warehouse"
"""Every step that writes takes a place in this Dagster pool, whose limit is one."""

MAX_RETRIES = 5
SECONDS_TO_RETRY = 30


def ignore_progress(message: str) -> None:
    """For callers that show none."""


@dataclass(frozen=True)
class Platform:
    """The home folder as a Dagster resource. `progress` takes one line for people who watch."""

    settings: Settings
    progress: Callable[[str], None] = field(default=ignore_progress)

    @cached_property
    def engine(self) -> sa.Engine:
        return open_state(self.settings)

    @cached_property
    def channels(self) -> Channels:
        return load_channels(self.settings)

    def as_of(self, given: str) -> date:
        """The run's last business date: as given, else yesterday in the top-level time zone."""
        if not given:
            return datetime.now(ZoneInfo(self.channels.timezone)).date() - timedelta(days=1)
        try:
            return date.fromisoformat(given)
        except ValueError as error:
            raise ConfigurationError(f"as_of is {given!r}; write a date such as 2026-06-30.") from error

    @contextmanager
    def step(self) -> Iterator[None]:
        """Hold the writer lock; tell Dagster which faults a retry can mend."""
        try:
            with single_writer(self.settings):
                yield
        except TransientError as error:
            raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=SECONDS_TO_RETRY) from error
        except OmnilakeError as error:
            code = {"exit_code": error.exit_code}
            raise dg.Failure(description=str(error), metadata=code, allow_retries=False) from error


class RunOptions(dg.ConfigurableResource):
    """as_of: last business date included, empty for yesterday. full_refresh: rebuild what is kept incrementally.
    activate: push to the destinations."""

    as_of: str = ""
    full_refresh: bool = False
    activate: bool = True
