"""The examination before a call for help: configuration, secrets, versions, disk, each with its remedy."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

from pipelines.activation.withdrawals import waiting_withdrawals
from pipelines.channels import load_channels
from pipelines.connectors.protocol import Check, Connector
from pipelines.connectors.registry import FILES, connector_of, first_since, load_connectors
from pipelines.doors import open_doors
from pipelines.errors import OmnilakeError, TransientError
from pipelines.http import quick_calls
from pipelines.inbox import oldest_notice
from pipelines.key_rotation import examine_keys
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.vault import Vault
from pipelines.warehouse import current_snapshot

MINIMUM_FREE_GB = 2
LONGEST_WAIT = timedelta(days=2)
"""What a webhook said is read again by the next night's pull, or the one after."""

KEPT_VERSIONS = {"duckdb": "1.5", "dbt-core": "1.11", "dagster": "1.13", "dagster-dbt": "0.29", "dbt-duckdb": "1.11"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `remedy` is empty when all is well."""

    check: str
    ok: bool
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Everything that can be looked at without changing anything outside the home folder."""
    return [
        _python(),
        *_versions(),
        _told("channels.yml", lambda: str(load_channels(settings).path)),
        *_secrets(settings),
        *_connectors(settings),
        _told("keys", lambda: examine_keys(settings)),
        _told("erasures", lambda: _erasures(settings)),
        _key_file_mode(settings),
        _told("state database", lambda: _state(settings)),
        _told("snapshot", lambda: current_snapshot(settings).name),
        *_serving(settings),
        _disk(settings),
        _memory(settings),
    ]


def _told(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, True, look())
    except OmnilakeError as error:
        return Finding(check, False, "missing or wrong", str(error))


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] in ((3, 11), (3, 12))
    return Finding("python", ok, found, "" if ok else "Use Python 3.11.")


def _versions() -> Iterator[Finding]:
    for package, wanted in KEPT_VERSIONS.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "not installed"
        ok = found.startswith(wanted + ".")
        yield Finding(package, ok, found, "" if ok else f"Known to work with {wanted}: run `uv sync`.")


def _secrets(settings: Settings) -> Iterator[Finding]:
    """Settings of a channel whose name ends in _env name the variable that holds a secret."""
    try:
        channels = load_channels(settings).channels.values()
    except OmnilakeError:
        return
    for channel in channels:
        for name, variable in channel.settings.items():
            if name.endswith("_env"):
                ok = bool(os.environ.get(str(variable)))
                remedy = "" if ok else f"Set {variable} in the environment (see .env.example)."
                yield Finding(f"secret {variable} of {channel.id}", ok, "set" if ok else "not set", remedy)


def _connectors(settings: Settings) -> Iterator[Finding]:
    """Whether each platform answers and takes our credentials; nobody is waited for long."""
    try:
        channels = load_channels(settings)
    except OmnilakeError:
        return
    for channel in channels.channels.values():
        if channel.connector == FILES:
            continue
        name = f"connector {channel.connector} of {channel.id}"
        try:
            first_since(channels, channel.id)
            connector = connector_of(channels, channel.id)
        except OmnilakeError as error:
            yield Finding(name, False, "missing or wrong setting", str(error))
            continue
        for check in _checks(connector):
            yield Finding(f"{name}: {check.name}", check.ok, check.found, check.remedy)


def _checks(connector: Connector) -> list[Check]:
    try:
        with quick_calls():
            return connector.check()
    except Exception as error:  # noqa: BLE001 - an examination ends with findings, whatever a platform sends
        return [Check("check", False, f"ended with {type(error).__name__}", "Is `url` the address of that platform?")]


def _serving(settings: Settings) -> Iterator[Finding]:
    """Whether `omnilake serve` would start, for whom, and whether what webhooks said is read again in time."""
    try:
        channels = load_channels(settings)
        doors = open_doors(channels, load_connectors(settings, channels), os.environ).values()
    except OmnilakeError as error:
        yield Finding("serve", False, "would not start", str(error))
        return
    taking = [door.channel for door in doors if door.has_webhooks or door.hook_secret]
    asking = [door.channel for door in doors if door.lookup_key]
    told = f"webhooks of {', '.join(taking) or 'no channel'}; look-ups of {', '.join(asking) or 'no channel'}"
    yield Finding("serve", True, told)
    for channel in channels.channels:
        oldest = oldest_notice(settings, channel)
        if oldest is not None and datetime.now(UTC) - oldest > LONGEST_WAIT:
            remedy = "Run `omnilake run`: its pull reads the records again that webhooks spoke of."
            yield Finding(f"inbox of {channel}", False, f"waits since {oldest:%Y-%m-%d %H:%M} UTC", remedy)


def _erasures(settings: Settings) -> str:
    """Whether erasures are carried out, and destinations have given back what they held."""
    if not (settings.vault / "vault.db").exists():
        return "none"
    with Vault.open(settings) as vault:
        undone = len(vault.erasure_orders())
    if undone:
        raise TransientError(f"{undone} erasure(s) were cut off; run `omnilake run`, or the same `forget` again.")
    with state(settings) as engine:
        waiting = waiting_withdrawals(engine)
    if waiting:
        places = ", ".join(sorted({one.destination for one in waiting}))
        raise TransientError(f"Withdrawals wait for {places}; run `omnilake push`, see `omnilake status`.")
    return "carried out"


def _key_file_mode(settings: Settings) -> Finding:
    if not settings.key_file.exists():
        return Finding("key file", True, "none; keys come from the environment or the first run makes it")
    mode = stat.S_IMODE(settings.key_file.stat().st_mode)
    remedy = "" if mode == 0o600 else f"chmod 600 {settings.key_file}"
    return Finding("key file", mode == 0o600, f"mode {mode:o}", remedy)


def _state(settings: Settings) -> str:
    with state(settings) as engine:
        return engine.dialect.name


def _disk(settings: Settings) -> Finding:
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free / 1e9
    ok = free >= MINIMUM_FREE_GB
    return Finding("disk", ok, f"{free:.1f} GB free", "" if ok else f"Free {MINIMUM_FREE_GB} GB on {settings.home}.")


def _memory(settings: Settings) -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding("memory", True, f"{total:.1f} GB; DuckDB may use {settings.memory_limit} and spills beyond")
