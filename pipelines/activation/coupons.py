"""Coupon codes: deterministic, so that nobody has two for one wave; unguessable, so that nobody makes one up."""

from __future__ import annotations

import hashlib
import hmac

from pipelines.keys import check_token_key, load_keys
from pipelines.settings import Settings

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, which are misread at a till."""

_CHARACTERS = 14
"""70 bits: at a billion codes, a guess hits one in 10^12 tries."""


def home_secret(settings: Settings) -> bytes:
    """The secret of this home's coupon codes, derived from its token key.

    Raises ConfigurationError without keys, and for another home's: a person would get a second code.
    """
    keys = load_keys(settings)
    check_token_key(settings, keys)
    return keys.token("coupon", "secret of the coupon codes of this home").encode()


def coupon_code(secret: bytes, campaign_id: str, wave: str, customer_id: str) -> str:
    """The code of one person in one wave: keyed hash (HMAC-SHA256) of the three, 14 characters.

    Raises ValueError for an empty secret, which would make codes guessable.
    """
    if not secret:
        raise ValueError("coupon codes need a secret")
    message = "\x1f".join(("coupon", campaign_id, wave, customer_id)).encode()
    number = int.from_bytes(hmac.new(secret, message, hashlib.sha256).digest(), "big")
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(_CHARACTERS))
