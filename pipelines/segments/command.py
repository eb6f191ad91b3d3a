"""Saved segments as the command line and the pages ask for them: against this home's snapshot and state."""

from __future__ import annotations

from typing import Any

from pipelines.errors import ConfigurationError
from pipelines.published import read_published
from pipelines.segments.definition import check, parse
from pipelines.segments.published import columns_in, names_taken
from pipelines.segments.saved import save, versions
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.warehouse import current_snapshot, open_snapshot


def save_segment(settings: Settings, name: str, definition: str, by: str) -> str:
    """Check a definition (JSON) against the published marts and save it; a line for the person who asked."""
    tree = parse(definition)
    with open_snapshot(settings) as connection:
        read_published(connection, current_snapshot(settings).stem)
        check(tree, columns_in(connection))
        taken = names_taken(connection)
    with state(settings) as engine:
        saved = save(settings, engine, name, tree, by, taken)
    return f"Segment {saved.name} is saved as version {saved.version}; campaigns can name it from the next run on."


def show_segment(settings: Settings, name: str) -> list[dict[str, Any]]:
    """Its versions, newest first. Raises ConfigurationError if there never was one of that name."""
    with state(settings) as engine:
        found = versions(engine, name)
    if not found:
        raise ConfigurationError(f"There is no saved segment {name!r}; see `omnilake segments list`.")
    return found
