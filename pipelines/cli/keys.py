"""Commands on the home's keys: rotate, retire."""

from __future__ import annotations

import click

from pipelines.cli.base import HomeGroup, chosen_settings, progress


@click.group(cls=HomeGroup)
def keys() -> None:
    """The vault's master key. The token key is never changed: nobody would be recognised again."""


@keys.command(name="rotate")
def keys_rotate() -> None:
    """Wrap the vault's keys with a new master key; the old one opens them meanwhile."""
    from pipelines.key_rotation import rotate

    click.echo(rotate(chosen_settings(), progress()))


@keys.command(name="retire")
def keys_retire() -> None:
    """Let go of master keys that nothing needs any more; backups made before can't be opened without them."""
    from pipelines.key_rotation import drop_retired

    click.echo(drop_retired(chosen_settings()))
