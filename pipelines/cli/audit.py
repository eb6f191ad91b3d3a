"""Commands on the audit log: list, verify."""

from __future__ import annotations

import json

import click

from pipelines.cli.base import HomeGroup, chosen_settings, plain, print_dicts

COLUMNS = ("seq", "at", "actor", "action", "subject", "details")


@click.group(cls=HomeGroup)
def audit() -> None:
    """Who did what: the append-only log of sign-ins, exports, corrections and erasures."""


@audit.command(name="list")
@click.option("--actor", metavar="NAME", help="Only what this account did.")
@click.option("--action", metavar="ACTION", help="Only this action and those beneath it: export finds export.finish.")
@click.option("--customer", metavar="ID", help="Only what was done to this customer.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="An array of objects.")
def audit_list(actor: str | None, action: str | None, customer: str | None, limit: int, as_json: bool) -> None:
    """The newest entries, newest first."""
    from pipelines.audit import entries, subject
    from pipelines.state import state

    settings = chosen_settings()
    about = None if customer is None else subject(settings, "customer", customer)
    with state(settings) as engine:
        found = entries(engine, actor=actor, action=action, subject=about, limit=limit)
    print_dicts(found, (*COLUMNS, "hash") if as_json else COLUMNS, as_json)


@audit.command(name="verify")
@click.option("--expect", metavar="N:HASH", help="A head that was noted elsewhere; the log must still hold it.")
@click.option("--json", "as_json", is_flag=True, help="One object.")
@click.pass_context
def audit_verify(context: click.Context, expect: str | None, as_json: bool) -> None:
    """Read every entry and name each that was changed, moved, removed or cut off. Exit 1 if there is one."""
    from pipelines.audit import parse_head, verify

    verdict = verify(chosen_settings(), None if expect is None else parse_head(expect))
    head = verdict.head.words() if verdict.head else None
    if as_json:
        faults = [vars(fault) for fault in verdict.faults]
        click.echo(json.dumps(plain({"entries": verdict.entries, "head": head, "faults": faults}), ensure_ascii=False))
    else:
        for fault in verdict.faults:
            click.echo(fault.words)
        if not verdict.faults:
            note = f"; note its head elsewhere, for --expect later: {head}" if head else ""
            click.echo(f"The audit log is whole: {verdict.entries} entries{note}")
    if verdict.faults:
        context.exit(1)
