"""Fixtures of the feeds' tests."""

from feeds_lake import lake

__all__ = ["lake"]
