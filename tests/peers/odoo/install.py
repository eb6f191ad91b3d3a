"""Odoo 19 from Debian sid, unpacked beside everything and installed nowhere.

Belongs here: a private apt folder that knows sid, the package, its Python in a virtual environment of its own. Does not
belong here: running it. The machine's own package lists and installed packages are left alone. Everything lies beneath
.peers/odoo and is made once; a step that can't be had raises CannotBeHadError with the reason.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.errors import CannotBeHadError

FOLDER = Path(__file__).resolve().parents[3] / ".peers" / "odoo"
SERIES = "19.0"
_PACKAGE = "odoo-19"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_MIRROR = re.compile(r"(?:^URIs:\s*|^deb\s+(?:\[[^]]*\]\s+)?)(\S+/debian)/?(?:\s|$)", re.MULTILINE)


@dataclass(frozen=True)
class Installation:
    """python: interpreter that runs it. source: the folder its packages lie in. version: Debian's, as seen."""

    python: Path
    source: Path
    version: str


def install() -> Installation:
    """Odoo, ready to be started. Takes about two minutes and 1.4 GB the first time, nothing afterwards."""
    with _alone():
        version = _unpack()
        return Installation(_environment(), FOLDER / "unpacked" / "usr" / "lib" / "python3" / "dist-packages", version)


@contextmanager
def _alone() -> Iterator[None]:
    """Two test runs never install at the same time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack() -> str:
    marker, unpacked = FOLDER / "version", FOLDER / "unpacked"
    if marker.exists():
        return marker.read_text().strip()
    for program in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(program) is None:
            raise CannotBeHadError(f"{program} is missing: Odoo comes as a package of Debian")
    configuration = _sid()
    _run("apt-get", "-c", configuration, "-qq", "update", what="reading the package list of Debian sid")
    shown = _run("apt-cache", "-c", configuration, "policy", _PACKAGE, what="looking for the package")
    found = re.search(r"Candidate: (\S+)", shown)
    if found is None or found[1] == "(none)":
        raise CannotBeHadError(f"Debian sid has no {_PACKAGE} any more; the tests know the series {SERIES} only")
    version = found[1]
    if not version.startswith(SERIES):
        raise CannotBeHadError(f"Debian sid has {_PACKAGE} {version}; the tests know the series {SERIES} only")
    _run("apt-get", "-c", configuration, "-qq", "download", f"{_PACKAGE}={version}", what="downloading the package")
    shutil.rmtree(unpacked, ignore_errors=True)
    for package in FOLDER.glob(f"{_PACKAGE}_*.deb"):
        _run("dpkg-deb", "-x", package, unpacked, what="unpacking the package")
        package.unlink()
    marker.write_text(version)
    return version


def _sid() -> Path:
    """An apt configuration of its own that knows sid alone, from the mirror that the machine uses for Debian."""
    if not _KEYRING.exists():
        raise CannotBeHadError(f"{_KEYRING} is missing: apt could not verify the package (Debian only)")
    apt = FOLDER / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "state"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    mirrors = _MIRROR.findall("\n".join(path.read_text() for path in sources if path.is_file()))
    if not mirrors:
        raise CannotBeHadError("this machine's apt names no mirror of Debian")
    (apt / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirrors[0]} sid main\n")
    (apt / "state" / "status").touch()
    configuration = apt / "apt.conf"
    configuration.write_text(
        f'Dir::Etc::sourcelist "{apt / "sources.list"}";\nDir::Etc::sourceparts "-";\nDir::State "{apt / "state"}";\n'
        f'Dir::State::lists "{apt / "lists"}";\nDir::State::status "{apt / "state" / "status"}";\n'
        f'Dir::Cache "{apt / "cache"}";\nAcquire::Languages "none";\nAPT::Sandbox::User "root";\n'
    )
    return configuration


def _environment() -> Path:
    python = FOLDER / "venv" / "bin" / "python"
    installed = FOLDER / "venv" / "requirements.txt"
    if installed.exists() and installed.read_text() == _REQUIREMENTS.read_text():
        return python
    shutil.rmtree(FOLDER / "venv", ignore_errors=True)
    _run(sys.executable, "-m", "venv", FOLDER / "venv", what="making a virtual environment")
    _run(python, "-m", "pip", "install", "-q", "-r", _REQUIREMENTS, what="installing what Odoo needs of Python")
    installed.write_text(_REQUIREMENTS.read_text())
    return python


def _run(*command: object, what: str) -> str:
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=1200
        )
    except subprocess.TimeoutExpired as error:
        raise CannotBeHadError(f"{what} did not end within 20 minutes") from error
    if done.returncode:
        raise CannotBeHadError(f"{what} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
