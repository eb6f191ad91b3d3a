"""How dbt is called for a home: its environment, its target folder, its manifest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.dbt_process import PARENT
from pipelines.errors import PermanentError
from pipelines.settings import DBT_PROJECT, Settings

DBT_EXECUTABLE = Path(sys.executable).parent / "omnilake-dbt"
"""dbt's command line in a process that ends with the one that started it."""


@contextmanager
def dbt_environment(settings: Settings) -> Iterator[None]:
    """The variables that profiles.yml and dbt read, set for the duration."""
    variables = {
        "OMNILAKE_WAREHOUSE": str(settings.warehouse),
        "OMNILAKE_MEMORY_LIMIT": settings.memory_limit,
        "OMNILAKE_THREADS": str(settings.threads),
        "OMNILAKE_TMP": str(settings.tmp / "spill"),
        "DBT_LOG_PATH": str(settings.logs / "dbt"),
        PARENT: str(os.getpid()),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def ensure_manifest(settings: Settings) -> Path:
    """Path of the home's manifest.json; parsed anew only when a file of the dbt project has changed.

    Raises PermanentError with dbt's own words if the project does not parse.
    """
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    settings.lake.mkdir(parents=True, exist_ok=True)
    manifest = settings.dbt_target / "manifest.json"
    stamp = settings.dbt_target / "manifest.sha256"
    digest = _project_digest()
    if manifest.exists() and stamp.exists() and stamp.read_text() == digest:
        return manifest
    stamp.unlink(missing_ok=True)
    with dbt_environment(settings):
        done = subprocess.run(
            [DBT_EXECUTABLE, "--quiet", "parse", "--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT,
             "--target-path", settings.dbt_target],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise PermanentError(f"The dbt project does not parse:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    stamp.write_text(digest)
    return manifest


def _project_digest() -> str:
    digest = hashlib.sha256(str(DBT_PROJECT).encode())
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.is_file() and path.suffix in (".sql", ".yml", ".csv", ".md"):
            digest.update(str(path.relative_to(DBT_PROJECT)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
