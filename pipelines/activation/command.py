"""Push and export as the command line asks for them: with this home's state, keys and vault."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pipelines.activation.export_fields import PERSONAL
from pipelines.activation.exports import export_segment
from pipelines.activation.log import activation_log
from pipelines.activation.push import PushReport, push
from pipelines.settings import Settings
from pipelines.snapshots import new_snapshot_id, refresh
from pipelines.state import state
from pipelines.vault import Vault
from pipelines.warehouse import single_writer


def run_push(
    settings: Settings, destination: str | None, dry_run: bool, progress: Callable[[str], None] | None = None
) -> PushReport:
    """`omnilake push`: unless it is a dry run, the snapshot is published anew with what the push did.

    Raises as `push` does, and TransientError if another run holds the home.
    """
    with state(settings) as engine:
        if dry_run:
            return push(settings, engine, destination=destination, dry_run=True, progress=progress)
        with single_writer(settings):
            report = push(settings, engine, destination=destination, progress=progress)
            refresh(settings, new_snapshot_id(), {"activation_log": activation_log(engine)})
    return report


def run_export(
    settings: Settings,
    name: str,
    form: str,
    out: Path,
    fields: str | None,
    hash_algorithm: str | None,
    purpose: str | None,
) -> str:
    """`omnilake segments export`; fields are comma-separated. Returns a line for the person who asked.

    The vault is opened only if personal data is asked for. Raises as `export_segment` does.
    """
    chosen = None if fields is None else tuple(field.strip() for field in fields.split(",") if field.strip())
    is_personal = chosen is not None and any(field in PERSONAL for field in chosen)

    with state(settings) as engine, ExitStack() as opened:
        reveal = opened.enter_context(Vault.open(settings)).reveal_members if is_personal else None
        receipt = export_segment(settings, engine, name, form, out, chosen, hash_algorithm, purpose, reveal)
    return receipt.words()
