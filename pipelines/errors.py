"""The faults a user can meet, told apart by who mends them and whether a retry helps.

Every message says what was tried, what was found and what to do. The CLI prints it without a stack trace.
"""

from __future__ import annotations


class OmnilakeError(Exception):
    """A foreseeable fault with a message for its reader. `exit_code` is the CLI's."""

    exit_code = 1


class ConfigurationError(OmnilakeError):
    """A setting, file or argument is wrong: stop at start, name it and the remedy. Exit code 2."""

    exit_code = 2


class PermanentError(OmnilakeError):
    """Trying again without a change gives the same fault."""


class TransientError(OmnilakeError):
    """Trying again later may succeed: a busy lock, a time-out, a service that is down."""
