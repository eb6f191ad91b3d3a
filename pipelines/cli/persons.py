"""Commands about one person: forget."""

from __future__ import annotations

import sys

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
