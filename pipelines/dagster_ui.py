"""Dagster's own UI on a home's definitions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pipelines.channels import load_channels
from pipelines.nightly import prepare_dagster_home
from pipelines.settings import REPOSITORY, Settings


def open_ui(settings: Settings, port: int) -> None:
    """Run `dagster dev` until interrupted; its children end with it.

    Raises ConfigurationError before the start if channels.yml is wrong.
    """
    load_channels(settings)
    environment = os.environ | {
        "DAGSTER_HOME": str(prepare_dagster_home(settings)),
        "OMNILAKE_HOME": str(settings.home),
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [
        str(Path(sys.executable).parent / "dagster"), "dev", "-m", "pipelines.definitions", "-h", "127.0.0.1",
        "-p", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environment, cwd=REPOSITORY, start_new_session=True)
    try:
        process.wait()
    except KeyboardInterrupt:
        pass  # how a person ends it
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End Dagster and the servers it has started, politely first."""
    for ending, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, ending)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
