from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines.errors import TransientError
from pipelines.settings import Settings
from pipelines.warehouse import open_warehouse, single_writer

HOLD = """
import sys
from pathlib import Path
from pipelines.settings import Settings
from pipelines.warehouse import single_writer
with single_writer(Settings(home=Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_a_kill_frees_the_lock(settings: Settings) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, settings.home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(TransientError, match="one writer at a time"), single_writer(settings):
        pass
    holder.kill()
    holder.wait()
    with single_writer(settings):
        assert (settings.home / ".writer.lock").exists()


def test_the_lock_is_reentrant_within_a_process(settings: Settings) -> None:
    entered = []
    with single_writer(settings), single_writer(settings):
        entered.append("inner")
    with single_writer(settings):
        entered.append("again")
    assert entered == ["inner", "again"]


def test_the_warehouse_spills_beneath_the_home_and_keeps_its_memory_limit(settings: Settings) -> None:
    with open_warehouse(settings) as connection:
        limit, spill, zone = connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('temp_directory'), current_setting('TimeZone')"
        ).fetchall()[0]
    assert limit.startswith("476")
    assert spill.startswith(str(settings.home))
    assert zone == "UTC"
