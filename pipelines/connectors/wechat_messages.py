"""Messages that WeChat pushes, in safe mode: sealed with AES, and signed.

Belongs here: opening a message after its signature was found right. Does not belong here: what it says. In plain mode
WeChat signs nothing of the body, so plain messages are not taken.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from pipelines.connectors.signatures import same

_KEY_CHARACTERS = 43
_BLOCK = 32
_RANDOM = 16


class SealedMessages:
    """One account's messages. Raises ValueError for a key that is none."""

    def __init__(self, token: str, encoding_aes_key: str, app_id: str) -> None:
        if len(encoding_aes_key) != _KEY_CHARACTERS:
            raise ValueError("an EncodingAESKey has 43 characters")
        self._token = token
        self._key = base64.b64decode(encoding_aes_key + "=", validate=True)
        self._app_id = app_id.encode()

    def opened(self, query: Mapping[str, str], body: bytes) -> bytes | None:
        """The message; b"" for the greeting with which WeChat tries an address (no body, `echostr` in the query); None
        if it isn't rightly signed and sealed."""
        if not body and query.get("echostr"):
            given = query.get("signature", "")
            return b"" if same(self._signature(query), given) else None
        try:
            # Nothing may stand beside the signed text: the body must be one JSON object, to its last byte.
            text = body.decode()
            envelope, end = json.JSONDecoder().raw_decode(text)
            sealed = envelope["Encrypt"]
            if end != len(text) or not isinstance(sealed, str):
                return None
        except (ValueError, KeyError, TypeError):
            return None
        if not same(self._signature(query, sealed), query.get("msg_signature", "")):
            return None
        return self._unsealed(sealed)

    def _signature(self, query: Mapping[str, str], *more: str) -> str:
        parts = sorted([self._token, query.get("timestamp", ""), query.get("nonce", ""), *more])
        return hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()  # WeChat's choice

    def _unsealed(self, sealed: str) -> bytes | None:
        """16 random bytes, the length of the message in 4, the message, the account's app id, padding."""
        try:
            cipher = Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16])).decryptor()
            padded = cipher.update(base64.b64decode(sealed, validate=True)) + cipher.finalize()
        except (ValueError, binascii.Error):
            return None
        if not padded or not 1 <= padded[-1] <= _BLOCK:
            return None
        content = padded[: -padded[-1]]
        length = int.from_bytes(content[_RANDOM : _RANDOM + 4], "big")
        message, app_id = content[_RANDOM + 4 :][:length], content[_RANDOM + 4 + length :]
        return message if len(message) == length and app_id == self._app_id else None
