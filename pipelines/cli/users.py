"""Commands on accounts: users add, list, role, password, disable, enable, unlock."""

from __future__ import annotations

import sys

import click

from pipelines.cli.base import HomeGroup, chosen_settings, print_dicts, say

BY = "cli"
STORE = click.option("--store", "stores", multiple=True, metavar="ID", help="A store of a store manager; repeatable.")
ROLE = click.option("--role", required=True, metavar="ROLE", help="admin, analyst, marketer, store_manager or auditor.")
STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")


@click.group(cls=HomeGroup)
def users() -> None:
    """Accounts of the pages."""


def _password(from_stdin: bool) -> tuple[str, bool]:
    """The password, and whether it was generated: then it is shown once."""
    from pipelines.accounts.passwords import generate

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    return generate(), True


@users.command(name="add")
@click.argument("name")
@ROLE
@STORE
@click.option("--oidc", is_flag=True, help="No password: signs in at the OIDC provider, under this name.")
@STDIN
def users_add(name: str, role: str, stores: tuple[str, ...], oidc: bool, password_stdin: bool) -> None:
    """Make an account. Its password is generated and shown once, unless it is given."""
    from pipelines.accounts.store import add_account
    from pipelines.state import state

    settings = chosen_settings()
    password, generated = (None, False) if oidc else _password(password_stdin)
    with state(settings) as engine:
        account = add_account(settings, engine, name, role, stores, password, BY)
    say(f"{account.name} may sign in as {role}.")
    if generated:
        click.echo(password)


@users.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="An array of objects.")
def users_list(as_json: bool) -> None:
    """Every account with its role, its stores and whether it is locked or disabled."""
    from pipelines.accounts.store import list_accounts
    from pipelines.state import state

    with state(chosen_settings()) as engine:
        print_dicts(list_accounts(engine), ("name", "role", "stores", "signs_in", "state", "created_at"), as_json)


@users.command(name="role")
@click.argument("name")
@ROLE
@STORE
def users_role(name: str, role: str, stores: tuple[str, ...]) -> None:
    """Give an account another role, or other stores."""
    from pipelines.accounts.store import set_role
    from pipelines.state import state

    settings = chosen_settings()
    with state(settings) as engine:
        set_role(settings, engine, name, role, stores, BY)


@users.command(name="password")
@click.argument("name")
@STDIN
def users_password(name: str, password_stdin: bool) -> None:
    """Set another password (generated and shown once, unless given) and end the account's sessions."""
    from pipelines.accounts.store import set_password
    from pipelines.state import state

    settings = chosen_settings()
    password, generated = _password(password_stdin)
    with state(settings) as engine:
        set_password(settings, engine, name, password, BY)
    if generated:
        click.echo(password)


@users.command(name="disable")
@click.argument("name")
def users_disable(name: str) -> None:
    """Let an account in no more, and sign it out at once."""
    from pipelines.accounts.store import disable
    from pipelines.state import state

    settings = chosen_settings()
    with state(settings) as engine:
        disable(settings, engine, name, BY)


@users.command(name="enable")
@click.argument("name")
def users_enable(name: str) -> None:
    """Let a disabled account in again."""
    from pipelines.accounts.store import enable
    from pipelines.state import state

    settings = chosen_settings()
    with state(settings) as engine:
        enable(settings, engine, name, BY)


@users.command(name="unlock")
@click.argument("name")
def users_unlock(name: str) -> None:
    """Let an account that was locked after wrong passwords try again now."""
    from pipelines.accounts.store import unlock
    from pipelines.state import state

    settings = chosen_settings()
    with state(settings) as engine:
        unlock(settings, engine, name, BY)
