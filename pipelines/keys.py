"""The home's two master keys: one makes identifier tokens, the other wraps the vault's keys.

Belongs here: where the keys come from (environment, or `keys.yml` with mode 0600), their checks, and what is derived
from them (HKDF). Does not belong here: encrypting anything, or storing what was encrypted (vault.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import sqlite3
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

TOKEN_VARIABLE = "OMNILAKE_TOKEN_KEY"  # noqa: S105 - the name of a variable, not a secret
VAULT_VARIABLE = "OMNILAKE_VAULT_KEY"
RETIRED_VARIABLE = "OMNILAKE_RETIRED_VAULT_KEYS"
KEY_BYTES = 32
TOKEN_DIGITS = 32
_HMAC_BLOCK = 64
_KEY_FILE_HEAD = """\
# Master keys of this home. Keep a copy in a safe place: without it the data can't be read, and nobody is
# recognised again. Never commit this file. Mode 0600 is enforced.
"""


@dataclass(frozen=True)
class Keys:
    """Derived keys, ready for use. Their repr shows none of them.

    token_key: HMAC key of identifier tokens; it can never change in a home, or nobody would be recognised.
    vault_key: wraps the data keys written from now on; `vault_key_id` is stored beside each of them.
    vault_keys: every wrapping key by id, retired ones too, so that what they wrapped stays readable.
    """

    token_key: bytes = field(repr=False)
    vault_key: bytes = field(repr=False)
    vault_key_id: str
    vault_keys: dict[str, bytes] = field(repr=False)

    def token(self, kind: str, value: str) -> str:
        """HMAC-SHA256 of "kind:value", the first 32 hex digits. `value` is normalised already."""
        digest = hmac.new(self.token_key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()
        return digest[:TOKEN_DIGITS]

    @property
    def token_check(self) -> str:
        """What a home stores to notice that it is opened with another token key."""
        return self.token("check", "token key of this home")

    def derived(self, purpose: str) -> bytes:
        """A key of its own for one purpose, which outlives every rotation of the vault's keys."""
        return _derive(self.token_key, f"omnilake {purpose}".encode())

    def hmac_blocks(self) -> tuple[bytes, bytes]:
        """The inner and outer padded key blocks of RFC 2104, for computing `token` in SQL with two plain SHA-256."""
        return _hmac_blocks(self.token_key)

    def tombstone(self, key: str) -> str:
        """The mark of an erased person's key (feeds/erasing.py), HMAC-SHA256 in hex, under a key of its own.

        It is no token: whoever has raw files and tombstones side by side can't join them.
        """
        return hmac.new(self._tombstone_key, key.encode(), hashlib.sha256).hexdigest()

    def tombstone_blocks(self) -> tuple[bytes, bytes]:
        """As `hmac_blocks`, for `tombstone`."""
        return _hmac_blocks(self._tombstone_key)

    @property
    def _tombstone_key(self) -> bytes:
        return _derive(self.token_key, b"omnilake tombstones")


def ensure_keys(settings: Settings, environ: Mapping[str, str] | None = None) -> Keys:
    """The home's keys; a fresh home without any gets a `keys.yml` (mode 0600).

    Raises ConfigurationError if keys are missing in a home that holds data, malformed, or readable by others.
    """
    environment = os.environ if environ is None else environ
    given = {name for name in (TOKEN_VARIABLE, VAULT_VARIABLE) if environment.get(name)}
    if len(given) < 2 and not settings.key_file.exists():
        if _holds_data(settings):
            raise ConfigurationError(
                f"{settings.home} holds data, but its keys are gone: neither {settings.key_file} nor {TOKEN_VARIABLE} "
                f"and {VAULT_VARIABLE} exist. Restore the key file from your backup; new keys could read nothing."
            )
        _create_key_file(settings.key_file)
    return load_keys(settings, environ)


def load_keys(settings: Settings, environ: Mapping[str, str] | None = None) -> Keys:
    """The home's keys from the environment, else from `keys.yml`. Creates nothing. Raises ConfigurationError."""
    environment = os.environ if environ is None else environ
    content = _read_key_file(settings.key_file) if settings.key_file.exists() else {}
    token_master = _master_key(environment, content, TOKEN_VARIABLE, "token_key", settings.key_file)
    vault_master = _master_key(environment, content, VAULT_VARIABLE, "vault_key", settings.key_file)
    masters = [vault_master, *_retired(environment, content, settings.key_file)]
    vault_keys = {_key_id(master): _derive(master, b"omnilake vault wrapping") for master in masters}
    return Keys(
        token_key=_derive(token_master, b"omnilake identifier tokens"),
        vault_key=vault_keys[_key_id(vault_master)],
        vault_key_id=_key_id(vault_master),
        vault_keys=vault_keys,
    )


def check_token_key(settings: Settings, keys: Keys) -> None:
    """Raises ConfigurationError if the home was made with another token key. What the vault stores of it is enough."""
    database = settings.vault / "vault.db"
    if not database.exists():
        return
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
        try:
            row = connection.execute("SELECT value FROM meta WHERE name = 'token_check'").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(
            f"{database} can't be opened ({error}). Restore it from your backup, together with {settings.key_file}."
        ) from error
    if row is not None and row[0] != keys.token_check:
        raise ConfigurationError(
            f"The token key is not the one {settings.home} was made with; every identifier would get a new token. "
            f"Restore {settings.key_file} (or {TOKEN_VARIABLE}) from your backup."
        )


def renew_vault_key(settings: Settings) -> bool:
    """Write a new vault key into `keys.yml`, whole or not at all; the old one becomes a retired one. False, and nothing
    is changed, if a retired key is there already: then it is still to be replaced in the vault.

    Raises ConfigurationError if the vault key comes from the environment, saying what to set.
    """
    if os.environ.get(VAULT_VARIABLE):
        if os.environ.get(RETIRED_VARIABLE):
            return False
        raise ConfigurationError(
            f"The vault key comes from {VAULT_VARIABLE}. Set {RETIRED_VARIABLE} to what it is now, {VAULT_VARIABLE} to "
            "32 new random bytes in base64, and run `omnilake keys rotate` again; both keys open the vault meanwhile."
        )
    content = _read_key_file(settings.key_file)
    if content.get("retired_vault_keys"):
        return False
    content["retired_vault_keys"] = [content["vault_key"]]
    content["vault_key"] = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    _write_key_file(settings.key_file, content)
    return True


def drop_retired_keys(settings: Settings) -> int:
    """Take the retired vault keys out of `keys.yml`; how many. The caller has seen that nothing needs them."""
    content = _read_key_file(settings.key_file) if settings.key_file.exists() else {}
    retired = content.pop("retired_vault_keys", None) or []
    if retired:
        _write_key_file(settings.key_file, content)
    return len(retired) if isinstance(retired, list) else 0


def _retired(environment: Mapping[str, str], content: dict[str, object], path: Path) -> list[bytes]:
    retired = content.get("retired_vault_keys") or []
    if not isinstance(retired, list):
        raise ConfigurationError(f"{path}: retired_vault_keys must be a list of base64 keys.")
    given = [entry for entry in environment.get(RETIRED_VARIABLE, "").split(",") if entry.strip()]
    return [
        *(_decode(entry, f"{path} retired_vault_keys") for entry in retired),
        *(_decode(entry, RETIRED_VARIABLE) for entry in given),
    ]


def _hmac_blocks(key: bytes) -> tuple[bytes, bytes]:
    padded = key.ljust(_HMAC_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(master)


def _key_id(master: bytes) -> str:
    return hashlib.sha256(b"omnilake key id" + master).hexdigest()[:12]


def _holds_data(settings: Settings) -> bool:
    return any(place.is_dir() and any(place.iterdir()) for place in (settings.vault, settings.raw, settings.quarantine))


def _create_key_file(path: Path) -> None:
    names = ("token_key", "vault_key")
    _write_key_file(path, {name: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() for name in names})


def _write_key_file(path: Path, content: Mapping[str, object]) -> None:
    """Whole or not at all, and for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_KEY_FILE_HEAD + yaml.safe_dump(dict(content), sort_keys=False))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _read_key_file(path: Path) -> dict[str, object]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigurationError(f"{path} has mode {mode:04o}, so others can read it; run `chmod 600 {path}`.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, PermissionError) as error:
        raise ConfigurationError(f"{path} is not readable as YAML ({type(error).__name__}).") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold token_key and vault_key, each 32 bytes in base64.")
    return content


def _master_key(
    environment: Mapping[str, str], content: dict[str, object], variable: str, name: str, path: Path
) -> bytes:
    if environment.get(variable):
        return _decode(environment[variable], variable)
    if name in content:
        return _decode(content[name], f"{path} {name}")
    raise ConfigurationError(
        f"{variable} is not set and {path} has no {name}; set the variable to 32 bytes in base64, or restore the file."
    )


def _decode(text: object, where: str) -> bytes:
    try:
        key = base64.b64decode(str(text).strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"{where} is not base64; give {KEY_BYTES} random bytes in base64.") from error
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{where} has {len(key)} bytes; give {KEY_BYTES} random bytes in base64.")
    return key
