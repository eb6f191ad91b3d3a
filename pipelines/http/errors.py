"""What can go wrong with a call, told apart by what it may have done and by what helps.

Texts hold neither secrets nor query strings nor bodies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from pipelines.http.client import Reply


class RefusedError(PermanentError):
    """It answered and refused; the same call again is useless.

    status: the HTTP status, if that was the refusal. code: the platform's own error code, if it named one. reply: the
    answer that refused, for who must look into its body; no text shows it.
    """

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, reply: Reply | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.reply = reply


class CredentialsError(PermanentError):
    """It refuses our credentials, also after they were renewed where they can be."""


class BusyError(TransientError):
    """It asked us to wait, and surely did nothing else. seconds: how long."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class UnreachableError(TransientError, OSError):
    """No connection: surely no effect."""


class DoubtfulError(TransientError):
    """Sent, but no whole answer came back (time-out, reset, truncated, 5xx): the effect may be there.

    seconds: how long it asked us to wait, if it did. status: the HTTP status, if there was a whole answer.
    """

    def __init__(self, message: str, seconds: float = 0.0, *, status: int | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.status = status
