"""Platforms to landing: what changed at every channel that has a connector, once, whatever goes wrong on the way."""

from pipelines.pulling.channels_pull import FeedReport, PullReport, pull_all
from pipelines.pulling.state import pull_states

__all__ = ["FeedReport", "PullReport", "pull_all", "pull_states"]
