"""Passwords: argon2id by argon2-cffi, and generated ones. Nothing else looks at a password.

Belongs here: hashing, verifying in a time that doesn't tell whether the account exists, the rule for a new password.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pipelines.errors import ConfigurationError

SHORTEST = 12
LONGEST = 1024
_GENERATED_BYTES = 12
_hasher = PasswordHasher()  # RFC 9106's second recommended option: argon2id, 64 MiB, 3 passes


def hash_password(password: str) -> str:
    """The argon2id hash of a new password. Raises ConfigurationError if it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigurationError(f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}.")
    return _hasher.hash(password)


def matches(password: str, stored: str | None) -> bool:
    """Whether it is the password. Without a stored hash the same work is done, and the answer is no."""
    if len(password) > LONGEST:
        password, stored = "", None
    try:
        given = password.encode(errors="surrogatepass")
        return _hasher.verify(stored or _nobodys_hash(), given) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def generate() -> str:
    """A random password of 16 characters, 96 bits."""
    return secrets.token_urlsafe(_GENERATED_BYTES)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe())
