"""Push and export as the command line asks for them: with this home's state, keys and vault."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pipelines.activation.apart import apart
from pipelines.activation.exchange import without_pandas
from pipelines.activation.log import activation_log
from pipelines.activation.push import PushReport, push
from pipelines.errors import TransientError
from pipelines.settings import Settings
from pipelines.snapshots import new_snapshot_id, refresh
from pipelines.state import state
from pipelines.warehouse import single_writer


def run_push(
    settings: Settings,
    destination: str | None,
    dry_run: bool,
    progress: Callable[[str], None] | None = None,
    plan: Path | None = None,
    allow_deletes: bool = False,
) -> PushReport:
    """`omnilake push`: unless it is a dry run, the snapshot is published anew with what the push did.

    The home's writer lock is taken for that alone, not while sending: a run may go on meanwhile, and publishes the
    log itself at its end. Raises as `push` does.
    """
    with without_pandas(), state(settings) as engine:
        report = push(
            settings, engine, destination=destination, dry_run=dry_run, plan=plan, allow_deletes=allow_deletes,
            progress=progress, plan_in=lambda work: apart(engine, work),
        )  # fmt: skip
        if not dry_run:
            try:
                with single_writer(settings):
                    apart(
                        engine, lambda: refresh(settings, new_snapshot_id(), {"activation_log": activation_log(engine)})
                    )
            except TransientError:
                report.notes.append("A run is going on, which will publish what this push did.")
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
    # Here, and not above, since a push needs none of what an export imports.
    from pipelines.activation.export_fields import PERSONAL
    from pipelines.activation.exports import export_segment
    from pipelines.vault import Vault

    chosen = None if fields is None else tuple(field.strip() for field in fields.split(",") if field.strip())
    is_personal = chosen is not None and any(field in PERSONAL for field in chosen)

    with state(settings) as engine, ExitStack() as opened:
        reveal = opened.enter_context(Vault.open(settings)).reveal_members if is_personal else None
        receipt = export_segment(settings, engine, name, form, out, chosen, hash_algorithm, purpose, reveal)
    return receipt.words()
