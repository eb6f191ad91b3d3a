"""The command line: arguments in, one call of the platform, words or data out.

Heavy libraries are imported inside the commands that need them, so that `omnilake --help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import click

from pipelines.cli.audit import audit
from pipelines.cli.base import HomeGroup
from pipelines.cli.data import demo, import_command, run, simulate
from pipelines.cli.evaluate import evaluate
from pipelines.cli.exports import exports
from pipelines.cli.identity import identity
from pipelines.cli.identity_reviews import REVIEW_COMMANDS
from pipelines.cli.keys import keys
from pipelines.cli.operate import bench, dagster, dashboard, doctor, push, serve, status
from pipelines.cli.persons import access, forget
from pipelines.cli.read import explain, quarantine, query, reconcile, segments
from pipelines.cli.users import users
from pipelines.errors import OmnilakeError
from pipelines.settings import load_settings


@click.group(cls=HomeGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omnilake")
def cli() -> None:
    """omnilake: every channel in one lakehouse, one customer, one ledger, and back to the channels."""


for command in (
    demo, simulate, import_command, run, query, segments, push, explain, quarantine, reconcile, status, doctor,
    dashboard, serve, dagster, bench, evaluate, audit, users, exports, identity, forget, access, keys,
):  # fmt: skip
    cli.add_command(command)
for command in REVIEW_COMMANDS:
    identity.add_command(command)


def main() -> None:
    """Exit code 0 done; 1 it failed, in one clear line on stderr; 2 wrong usage or configuration."""
    # Asked to end, leave as after Ctrl-C: by way of every `finally`, so that no child outlives its parent.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        HomeGroup.chosen_home = None
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OmnilakeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the reader has gone, say nothing more
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the last resort keeps a stack trace away from the user
        click.echo(f"Error: unexpected {type(error).__name__}; details in {_write_crash_report(error)}", err=True)
        sys.exit(1)


def _write_crash_report(error: Exception) -> Path:
    """The stack trace without the error's own message, which may quote data."""
    folder = load_settings(HomeGroup.chosen_home).logs
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}.log"
    lines = traceback.format_tb(error.__traceback__)
    report.write_text(f"{type(error).__name__}\n{''.join(lines)}", encoding="utf-8")
    return report
