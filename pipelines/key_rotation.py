"""Another master key for the vault: new data keys wrapped by it, old ones wrapped anew, then the old key let go.

Belongs here: the order of these steps and words about keys. Does not belong here: key files (keys.py), wrapping
(vault.py). The token key is never changed: every identifier would get another token, so that nobody in raw files,
marts, snapshots and tombstones were recognised again. Whoever must replace it begins a new home from the landing
folder.
"""

from __future__ import annotations

from collections.abc import Callable

from pipelines.errors import ConfigurationError
from pipelines.keys import RETIRED_VARIABLE, drop_retired_keys, ensure_keys, load_keys, renew_vault_key
from pipelines.settings import Settings
from pipelines.vault import Vault
from pipelines.warehouse import single_writer


def rotate(settings: Settings, progress: Callable[[str], None]) -> str:
    """Give the vault another master key; a line for people. Killed at any instant, calling it again goes on.

    Both keys open the vault until the old one is dropped (`drop_retired`). Raises ConfigurationError if keys come from
    the environment and no new one is given, or if they are lost; TransientError if a run is writing.
    """
    with single_writer(settings):
        ensure_keys(settings)
        with Vault.open(settings, load_keys(settings)):
            pass  # a wrong key is told before anything is changed
        is_new = renew_vault_key(settings)
        done = 0
        with Vault.open(settings, load_keys(settings)) as vault:
            while changed := vault.rewrap():
                done += changed
                progress(f"keys: {done:,} data keys wrapped anew")
            vault.compact()
    begun = "A new vault key was made; " if is_new else ""
    return (
        f"{begun}{done:,} data keys are wrapped with the present one. The old key opens nothing any more but backups: "
        f"let it go with `omnilake keys retire`, or keep it as long as its backups. Save {settings.key_file} anew."
    )


def drop_retired(settings: Settings) -> str:
    """Forget retired vault keys. Raises ConfigurationError if data keys still need one."""
    with single_writer(settings):
        keys = load_keys(settings)
        with Vault.open(settings, keys) as vault:
            needed = {key_id: count for key_id, count in vault.keys_in_use().items() if key_id != keys.vault_key_id}
        if needed:
            raise ConfigurationError(
                f"{sum(needed.values())} data keys still need a retired key; run `omnilake keys rotate` first."
            )
        dropped = drop_retired_keys(settings)
    return f"{dropped} retired key(s) dropped from {settings.key_file}. Of {RETIRED_VARIABLE} dispose yourself, if set."


def examine_keys(settings: Settings) -> str:
    """What a look at the keys finds, in words. Raises ConfigurationError, with the remedy, if something is wrong."""
    keys = load_keys(settings)
    if not (settings.vault / "vault.db").exists():
        return "readable; the vault is empty"
    with Vault.open(settings, keys) as vault:
        in_use = vault.keys_in_use()
    old = sum(count for key_id, count in in_use.items() if key_id != keys.vault_key_id)
    if old:
        raise ConfigurationError(f"{old} data keys are wrapped with a retired key; run `omnilake keys rotate`.")
    waiting = len(keys.vault_keys) - 1
    told = f"readable; {sum(in_use.values())} data keys"
    return told + (f"; {waiting} retired key(s) can go: `omnilake keys retire`" if waiting else "")
