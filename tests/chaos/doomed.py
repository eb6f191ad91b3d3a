"""The command line in a process that kills itself just before its n-th lasting change.

`python -m tests.chaos.doomed N JOURNAL -- --home HOME run …`: N 0 kills nothing. JOURNAL gets a line a change.
A change is a rename, removal or link beneath the home, or a commit to the state database: what other processes and
the next run can see. Killing before change n + 1 is killing after change n.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import sqlalchemy as sa

from pipelines.cli import main

WATCHED = ("os.rename", "os.remove", "os.symlink")
LEFT_OUT = ("dagster", "dbt", "logs")
"""Folders of a home that nothing is ever read back from."""


class Doom:
    """Counts the changes beneath one home and strikes at the given one, process group and all."""

    def __init__(self, home: Path, strike_at: int, journal: Path) -> None:
        self._home = home.resolve()
        self._strike_at = strike_at
        self._count = 0
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in WATCHED:
            return
        target = arguments[1] if event in ("os.rename", "os.symlink") else arguments[0]
        if not isinstance(target, str | bytes | os.PathLike):
            return
        path = Path(os.path.abspath(os.fsdecode(target)))  # noqa: PTH100 - resolve() would follow the link meant
        if path.is_relative_to(self._home) and path.relative_to(self._home).parts[0] not in LEFT_OUT:
            self.change(f"{event} {path.relative_to(self._home)}")

    def commit(self, connection: sa.Connection) -> None:
        if (connection.engine.url.database or "").endswith("state.db"):
            self.change("commit state.db")

    def change(self, words: str) -> None:
        self._count += 1
        os.write(self._journal, f"{words}\n".encode())
        if self._count == self._strike_at:
            os.killpg(os.getpgid(0), signal.SIGKILL)


def run() -> None:
    """Arguments as in the module's docstring."""
    strike_at, journal, _, *arguments = sys.argv[1:]
    doom = Doom(Path(arguments[arguments.index("--home") + 1]), int(strike_at), Path(journal))
    sys.addaudithook(doom.audit)
    sa.event.listen(sa.Engine, "commit", doom.commit)
    sys.argv = ["omnilake", *arguments]
    main()


if __name__ == "__main__":
    run()
