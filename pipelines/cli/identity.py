"""Corrections of who is whom: split, merge, block, undo, rules."""

from __future__ import annotations

import sys

import click

from pipelines.cli.base import HomeGroup, chosen_settings, print_dicts

WHY = click.option("--why", default="", help="The reason, kept with the rule; no names or numbers of persons.")


@click.group(cls=HomeGroup)
def identity() -> None:
    """Correct who is whom. A correction is a rule: every later run replays it until it is undone."""


@identity.command()
@click.argument("members", nargs=-1, required=True, metavar="CHANNEL/MEMBER…")
@click.option("--from", "customer_id", required=True, metavar="CUSTOMER", help="The customer they are parted from.")
@WHY
def split(members: tuple[str, ...], customer_id: str, why: str) -> None:
    """Part memberships from a customer: they stay together, and never are one with the rest."""
    from pipelines.identity import corrections
    from pipelines.keys import load_keys
    from pipelines.state import state
    from pipelines.warehouse import open_snapshot

    settings = chosen_settings()
    with open_snapshot(settings) as connection, state(settings) as engine:
        made = corrections.split(
            connection, engine, load_keys(settings), members, customer_id, why=why, who=corrections.operator()
        )
    click.echo(
        f"{made.name}: {', '.join(str(key) for key in made.left)} parted from {customer_id}, from the next run on. "
        f"To take it back: omnilake identity undo {made.name}"
    )


@identity.command()
@click.argument("one", metavar="CUSTOMER")
@click.argument("other", metavar="CUSTOMER")
@WHY
def merge(one: str, other: str, why: str) -> None:
    """Make two customers one."""
    from pipelines.identity import corrections
    from pipelines.state import state
    from pipelines.warehouse import open_snapshot

    settings = chosen_settings()
    with open_snapshot(settings) as connection, state(settings) as engine:
        made = corrections.merge(connection, engine, one, other, why=why, who=corrections.operator())
    click.echo(
        f"{made.name}: {one} and {other} are one customer from the next run on. "
        f"To take it back: omnilake identity undo {made.name}"
    )


@identity.command()
@click.argument("kind", metavar="KIND")
@click.argument("value", metavar="VALUE")
@click.option("--channel", metavar="CHANNEL", help="Whose id it is, for ids that a channel gives (openids).")
@WHY
def block(kind: str, value: str, channel: str | None, why: str) -> None:
    """Let a value (a shop's phone, say) link nobody. VALUE - reads it from standard input, past the shell's history."""
    from pipelines.identity import corrections
    from pipelines.keys import load_keys
    from pipelines.state import state

    settings = chosen_settings()
    plain = sys.stdin.readline().strip() if value == "-" else value
    keys = load_keys(settings)
    with state(settings) as engine:
        made = corrections.block(engine, keys, kind, plain, channel, why=why, who=corrections.operator())
    token = made.value_token or ""
    click.echo(
        f"{made.name}: {kind} {token[:8]}… links nobody from the next run on. "
        f"To take it back: omnilake identity undo {made.name}"
    )


@identity.command()
@click.argument("rule", metavar="RULE")
@WHY
def undo(rule: str, why: str) -> None:
    """Take a rule back: the next run does as if it had never been."""
    from pipelines.identity import corrections
    from pipelines.identity.rules import undo_rule
    from pipelines.state import state

    with state(chosen_settings()) as engine:
        undo_rule(engine, rule, why=corrections.without_personal_data(why), who=corrections.operator())
    click.echo(f"{rule} is undone from the next run on.")


@identity.command()
@click.option("--json", "as_json", is_flag=True, help="An array of objects.")
def rules(as_json: bool) -> None:
    """Every rule: what, who, when, why, and whether it holds."""
    from pipelines.identity.rules import read_rules
    from pipelines.state import state

    with state(chosen_settings()) as engine:
        rows = [
            {
                "rule": rule.name,
                "kind": rule.kind,
                "left": [str(key) for key in rule.left],
                "right": [str(key) for key in rule.right],
                "value": f"{rule.value_kind} {(rule.value_token or '')[:8]}…" if rule.value_kind else None,
                "holds": rule.holds,
                "why": rule.why,
                "made_by": rule.made_by,
                "made_at": rule.made_at,
                "undone_by": rule.undone_by,
                "undone_at": rule.undone_at,
                "undone_why": rule.undone_why,
            }
            for rule in read_rules(engine)
        ]
    columns = ("rule", "kind", "left", "right", "value", "holds", "why", "made_by", "made_at", "undone_by", "undone_at",
               "undone_why")  # fmt: skip
    print_dicts(rows, columns, as_json)
