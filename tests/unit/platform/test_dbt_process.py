"""The dbt process ends with the job that started it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

CHILD = (
    "import time; from pipelines.dbt_process import die_with_parent; die_with_parent({parent}); "
    "print('up', flush=True); time.sleep(60)"
)
PARENT = f"""
import os, subprocess, sys
program = {CHILD!r}.format(parent=os.getpid())
child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
child.wait()
"""


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_job_takes_its_dbt_along() -> None:
    job = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    word, pid = job.stdout.readline().split()
    assert word == "up"
    assert is_alive(int(pid))

    os.kill(job.pid, signal.SIGKILL)
    job.wait()

    deadline = time.monotonic() + 5
    while is_alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(int(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_dbt_whose_job_ended_before_it_began_does_not_begin() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    late = CHILD.format(parent=ended.pid)
    done = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has ended" in done.stderr
