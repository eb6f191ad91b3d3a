"""What can be wrong with a whole file. One row received and one quarantined, and nothing of it accepted."""

from __future__ import annotations


class FileFault(Exception):  # noqa: N818 - a fault of the file, told to its sender
    """The file can't be read. `reason` is for its sender: what was found, what to do; never a value from the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
