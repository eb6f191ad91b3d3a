"""Starts one command and reports its own peak memory: `python -I -S launcher.py REPORT COMMAND…`.

A process of next to no size of its own, because Linux counts the starting process's memory, up to the moment of exec,
as the started one's: launched from a large process, every command would seem large. Hence no import but of built-ins,
and it is run as a file, not as a module.
"""

import os
import sys


def main(report: str, command: list[str]) -> int:
    """Run the command; write its ru_maxrss into the report; its exit code, 128 + signal if it was killed."""
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    with open(report, "w") as file:  # noqa: PTH123 - pathlib would weigh more than everything else here
        file.write(str(usage.ru_maxrss))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
