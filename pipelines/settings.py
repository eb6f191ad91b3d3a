"""Settings of one home folder: where things live, how much memory, which keys.

Belongs here: reading and checking the environment and the places beneath the home folder. Nothing is read at import.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import ConfigurationError

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGED_REFERENCE = REPOSITORY / "data" / "reference"
DBT_PROJECT = REPOSITORY / "dbt_project"


@dataclass(frozen=True)
class Settings:
    """Everything a step needs to know about its surroundings.

    memory_limit: DuckDB's limit, such as "4GB"; beyond it DuckDB spills to `home/tmp`.
    threads: DuckDB's threads.
    state_url: SQLAlchemy URL of the state database; SQLite beneath the home folder unless set.
    channels_file: the channels.yml given with `--config`, if any.
    """

    home: Path
    memory_limit: str = "4GB"
    threads: int = 2
    state_url: str = ""
    landing_dir: Path | None = None
    channels_file: Path | None = None

    @property
    def landing(self) -> Path:
        return self.landing_dir or self.home / "landing"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def raw(self) -> Path:
        return self.lake / "raw"

    @property
    def quarantine(self) -> Path:
        return self.lake / "quarantine"

    @property
    def warehouse(self) -> Path:
        return self.lake / "warehouse.duckdb"

    @property
    def snapshots(self) -> Path:
        return self.lake / "snapshots"

    @property
    def marts(self) -> Path:
        return self.lake / "marts"

    @property
    def vault(self) -> Path:
        return self.home / "vault"

    @property
    def key_file(self) -> Path:
        return self.home / "keys.yml"

    @property
    def tmp(self) -> Path:
        return self.home / "tmp"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def outbound(self) -> Path:
        """What the `files` destination writes."""
        return self.home / "outbound"

    @property
    def exports(self) -> Path:
        return self.home / "exports"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def dbt_target(self) -> Path:
        return self.home / "dbt"

    @property
    def last_run(self) -> Path:
        """Where the last run's landing folder and channels.yml are noted."""
        return self.home / "last-run.json"

    @property
    def database_url(self) -> str:
        return self.state_url or f"sqlite:///{self.home / 'state.db'}"

    def reference(self, name: str) -> Path:
        """The home's own reference file of that name, else the packaged one."""
        own = self.home / "reference" / name
        return own if own.exists() else PACKAGED_REFERENCE / name


def load_settings(
    home: str | Path | None = None,
    landing: str | Path | None = None,
    channels_file: str | Path | None = None,
    environ: dict[str, str] | None = None,
) -> Settings:
    """Settings from arguments and environment, checked.

    Raises ConfigurationError with the name of the setting and the remedy.
    """
    env = dict(os.environ) if environ is None else environ
    memory_limit = env.get("OMNILAKE_MEMORY_LIMIT", "4GB").strip()
    if not re.fullmatch(r"\d+(\.\d+)?\s*(MB|GB|MiB|GiB)", memory_limit):
        raise ConfigurationError(
            f"OMNILAKE_MEMORY_LIMIT is {memory_limit!r}; give a size such as 4GB or 800MB (see .env.example)."
        )
    threads = env.get("OMNILAKE_THREADS", str(os.cpu_count() or 2))
    if not threads.isdigit() or int(threads) < 1:
        raise ConfigurationError(f"OMNILAKE_THREADS is {threads!r}; give a whole number of 1 or more.")
    for option, given in (("--landing", landing), ("--config", channels_file)):
        if given is not None and not Path(given).exists():
            raise ConfigurationError(f"{option} {given} does not exist; give an existing path.")
    return Settings(
        home=Path(home or env.get("OMNILAKE_HOME") or "data").expanduser().resolve(),
        memory_limit=memory_limit,
        threads=int(threads),
        state_url=env.get("OMNILAKE_STATE_URL", ""),
        landing_dir=Path(landing).resolve() if landing else None,
        channels_file=Path(channels_file).resolve() if channels_file else None,
    )


def note_places(settings: Settings) -> None:
    """Note where this run's landing folder and channels.yml are, for commands that are not told."""
    places = {"landing": settings.landing_dir, "channels_file": settings.channels_file}
    content = json.dumps({name: None if path is None else str(path) for name, path in places.items()})
    settings.home.mkdir(parents=True, exist_ok=True)
    part = settings.last_run.with_suffix(".part")
    part.write_text(content, encoding="utf-8")
    part.replace(settings.last_run)


def with_places_of_last_run(settings: Settings) -> Settings:
    """The settings with the last run's places for those that were not given, as long as they are still there."""
    try:
        noted = json.loads(settings.last_run.read_text(encoding="utf-8"))
        landing, channels_file = (
            Path(noted[name]) if noted[name] and Path(noted[name]).exists() else None
            for name in ("landing", "channels_file")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return settings
    return replace(
        settings,
        landing_dir=settings.landing_dir or landing,
        channels_file=settings.channels_file or channels_file,
    )
