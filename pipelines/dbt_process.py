"""dbt as a child that dies with the job that started it.

A job that is killed alone (by the kernel when memory is short, say) would leave its dbt at work on the warehouse, where
it stands in the way of the next run. Linux can be asked to end a child with its parent; elsewhere the next run waits.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


PARENT = "OMNILAKE_DBT_PARENT"
"""Variable with the process id of the job that starts dbt."""


def die_with_parent(job: int) -> None:
    """Have the kernel kill this process as soon as its parent has ended; end at once if the job has ended already.

    job: process id of the job; usually the parent itself, but something that measures may stand between.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        os.kill(job, 0)
    except ProcessLookupError:
        sys.exit("The job that started dbt has ended.")
    except PermissionError:
        pass  # it is there


def main() -> None:
    """The command `omnilake-dbt`: dbt's own command line."""
    if parent := os.environ.get(PARENT):
        die_with_parent(int(parent))
    from dbt.cli.main import cli

    cli(prog_name="dbt")
