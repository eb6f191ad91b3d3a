"""Fixtures of the tests of erasing: the lake of the feeds' tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "feeds"))

from feeds_lake import lake

__all__ = ["lake"]
