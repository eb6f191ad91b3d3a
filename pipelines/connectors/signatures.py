"""Signatures of webhooks over the raw body, compared in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac


def is_hmac_sha256(secret: str, body: bytes, signature: str) -> bool:
    """Whether `signature` is the base64 HMAC-SHA256 of the body."""
    expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return same(expected, signature.strip())


def same(expected: str, given: str) -> bool:
    """Whether two texts are equal, in a time that doesn't tell where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode())
