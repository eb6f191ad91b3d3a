"""What linkage costs: processor time and memory of 50,000 hard records, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
_MEASURE = """
import resource, time
from models.linkage import link
from tests.support.linkage_sets import SETS

table = SETS["sparse"](50_000).drop(["truth"])
started = time.process_time()
link(table, threads=2)
print(time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_fifty_thousand_hard_records_take_two_processors_ten_seconds_and_800_mib() -> None:
    """Processor time, as a shared machine's clock says little: 20 s on two processors are 10 s of waiting."""
    done = subprocess.run([sys.executable, "-c", _MEASURE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    seconds, mebibytes = map(float, done.stdout.split())
    assert seconds < 20
    assert mebibytes < 800
