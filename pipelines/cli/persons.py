"""Commands about one person: forget, access."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipelines.cli.base import HomeCommand, chosen_settings, progress
from pipelines.errors import TransientError


@click.command(cls=HomeCommand)
@click.argument("kind", metavar="KIND")
@click.argument("value", metavar="VALUE")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--readmit", is_flag=True, help="The person came back: take rows with that identifier in again.")
def forget(kind: str, value: str, yes: bool, readmit: bool) -> None:
    """Erase a person everywhere, and keep them erased.

    KIND is phone, email, wechat_unionid, wechat_openid, alipay_uid, qq_openid, card_no, device_id, member (VALUE is
    CHANNEL/ID) or customer. VALUE is never logged; - reads it from standard input.
    """
    from pipelines.erasure import command

    value = sys.stdin.readline().rstrip("\r\n") if value == "-" else value
    settings = chosen_settings()
    if readmit:
        click.echo(command.readmit(settings, kind, value))
        return

    def confirm(who: str) -> bool:
        return yes or not sys.stdin.isatty() or click.confirm(f"{who}.\nErase? This can't be undone.", err=True)

    done = command.forget(settings, kind, value, confirm, progress())
    if done is None:
        click.echo("Nothing was erased.")
        return
    click.echo("\n".join(line for line in done.lines if line not in done.problems))
    if done.problems:
        raise TransientError("At home everything is erased. " + " ".join(done.problems))


@click.command(cls=HomeCommand)
@click.argument("kind", metavar="KIND")
@click.argument("value", metavar="VALUE")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a page (HTML).")
@click.option("--purpose", default="request of the person", show_default=True, help="Why; it is logged.")
def access(kind: str, value: str, out: Path, as_json: bool, purpose: str) -> None:
    """Write everything that is known of a person to a file.

    KIND and VALUE as for forget. The file holds personal data: its mode is 0600.
    """
    from pipelines.erasure.access import answer_access

    value = sys.stdin.readline().rstrip("\r\n") if value == "-" else value
    click.echo(answer_access(chosen_settings(), kind, value, out, as_json=as_json, purpose=purpose))
