"""What a peer that cannot be had says, so that its tests are skipped with a reason that a reader can act on."""

from __future__ import annotations


class CannotBeHadError(Exception):
    """A program, package or right is missing on this machine. The message names it and the remedy."""
