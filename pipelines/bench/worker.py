"""The process that one measurement runs in: `python -m pipelines.bench.worker CASE ROLE PLACE`.

Its last line of output is JSON: seconds of the measured part, and the outcome to compare. A case's input is made by
such a process too (ROLE `prepare`, then the number of orders), so that the process that asks stays small.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

from pipelines.bench.cases import CASES
from pipelines.bench.rounds import PREPARE
from pipelines.bench.timing import Measured


def main(arguments: list[str]) -> None:
    """Run one role of one case, or prepare it."""
    case, role, place = CASES[arguments[0]], arguments[1], Path(arguments[2])
    if role == PREPARE:
        case.prepare(place, int(arguments[3]))
        measured = Measured()
    else:
        # The first bound parameter of a process makes DuckDB import pandas, which is no part of any step.
        duckdb.execute("select ?", [1])
        measured = case.roles[role](place)
    sys.stdout.write(json.dumps({"seconds": measured.seconds, "outcome": measured.outcome}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
