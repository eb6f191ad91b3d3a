"""A PostgreSQL server of our own for the peers: own data folder, 127.0.0.1, a port nobody else has.

Belongs here: finding or installing the programs, starting, stopping, databases made from templates, and reading a
table as text. Does not belong here: what the peers keep in it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.peers.errors import CannotBeHadError

_PROGRAMS = ("initdb", "pg_ctl", "psql")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _program(name: str) -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: _major(path), reverse=True)
    if versions:
        return versions[0]
    found = shutil.which(name)
    return Path(found).resolve() if found else None


def _major(program: Path) -> int:
    version = program.parent.parent.name
    return int(version) if version.isdigit() else 0


def install() -> dict[str, Path]:
    """Paths of PostgreSQL's programs; installs Debian's package where they are missing and root may do so.

    Raises CannotBeHadError.
    """
    if any(_program(name) is None for name in _PROGRAMS):
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise CannotBeHadError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "postgresql"]):
            done = subprocess.run(["apt-get", *command], capture_output=True, text=True, check=False,
                                  env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})  # fmt: skip
            if done.returncode:
                raise CannotBeHadError(f"apt-get {command[0]} postgresql failed: {done.stderr.strip()[-300:]}")
    programs = {name: path for name in _PROGRAMS if (path := _program(name)) is not None}
    if missing := set(_PROGRAMS) - set(programs):
        raise CannotBeHadError(f"PostgreSQL's {', '.join(sorted(missing))} cannot be found after installing it")
    return programs


def _unprivileged() -> dict[str, int]:
    """PostgreSQL refuses to run as root: the user to run it as instead."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid}
    raise CannotBeHadError("PostgreSQL does not run as root, and there is no other user to run it as")


class Postgres:
    """A running server; a context manager that stops it and removes its data folder.

    user: a superuser without a password, whom the server trusts on 127.0.0.1.
    """

    host = "127.0.0.1"
    user = "peer"

    def __init__(self) -> None:
        self._programs = install()
        self._as = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="omnilake-peer-"))  # beneath /tmp: the other user may enter it
        if self._as:
            os.chown(self._folder, self._as["user"], self._as["group"])
        self.port = free_port()
        data = self._folder / "data"
        self._run("initdb", "-D", data, "-U", self.user, "--auth", "trust", "--no-sync", "-E", "UTF8")
        options = (
            f"-c listen_addresses={self.host} -c port={self.port} -c unix_socket_directories={self._folder} "
            "-c fsync=off -c full_page_writes=off -c max_connections=60 -c timezone=UTC"
        )
        self._run("pg_ctl", "-D", data, "-l", self._folder / "log", "-o", options, "-w", "start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server at once and remove its data folder."""
        self._run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder)

    def create(self, database: str, template: str | None = None) -> None:
        """Make a database anew, empty or as a copy of `template`, to which nobody may be connected."""
        self.drop(database)
        self.query("postgres", f'CREATE DATABASE "{database}"' + (f' TEMPLATE "{template}"' if template else ""))

    def drop(self, database: str) -> None:
        """Drop a database, if it is there, whoever is connected to it."""
        self.query("postgres", f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def query(self, database: str, sql: str) -> list[list[str]]:
        """Rows of a statement as text, null as the empty text."""
        done = self._run("psql", "-h", self.host, "-p", self.port, "-U", self.user, "-d", database, "-X", "-A", "-t",
                         "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-R", "\x1e", "-c", sql)  # fmt: skip
        text = done.removesuffix("\n").removesuffix("\x1e")
        return [row.split("\x1f") for row in text.split("\x1e")] if text else []

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{database}"

    def _run(self, program: str, *arguments: object) -> str:
        # Output goes to a file: the server that pg_ctl leaves behind would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self._programs[program]), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, cwd=self._folder, check=False,
                env=os.environ | {"LC_ALL": "C.UTF-8", "PGOPTIONS": "-c client_min_messages=warning"}, **self._as,
            )  # type: ignore[call-overload]  # fmt: skip
            output.seek(0)
            text = output.read()
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}: {text[-2000:]}")
        return text
