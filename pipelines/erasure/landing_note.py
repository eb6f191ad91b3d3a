"""What to delete in the landing folder: files and line numbers, never a value.

The landing folder is the retailer's own and is never changed by us; what lies there of an erased person is theirs to
delete, and is kept out of the lake as long as it lies there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipelines.feeds.contract import FEEDS
from pipelines.feeds.erasing import may_name_persons, token_columns, touches, use_keys
from pipelines.feeds.erasing_rejected import Tombstones
from pipelines.feeds.erasure_order import ErasureOrder
from pipelines.feeds.quarantine import open_rejected, quarantine_files
from pipelines.feeds.sql import literal
from pipelines.settings import Settings
from pipelines.vault import Vault
from pipelines.warehouse import connect

_HEAD = """\
What is left of an erased person in the landing folder {landing}
These rows were theirs. omnilake keeps them out from now on and changes nothing in that folder: delete the rows, or the
files once they need not be kept, and ask the source systems to erase the person too. Lines count from 1, a header too.
Rows that could not be read as a whole file are not listed.
"""


def write_note(settings: Settings, vault: Vault, order: ErasureOrder) -> Path | None:
    """Write HOME/erasures/<erasure>.txt unless it is there; None if no row of theirs came from the landing folder.

    To be called before raw lake and quarantine are blanked; when that was cut off, the note of the first call stands.
    """
    path = settings.home / "erasures" / f"{order.erasure_id}.txt"
    if path.exists():
        return path
    lines = [*_lines(settings, order), *_rejected(settings, vault, order)]
    if not lines:
        return None
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(_HEAD.format(landing=settings.landing) + "\n".join(lines) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def _lines(settings: Settings, order: ErasureOrder) -> Iterator[str]:
    connection = connect(settings)
    try:
        use_keys(connection, order.keys)
        for feed in FEEDS.values():
            if not may_name_persons(feed) or not any((settings.raw / feed.name).glob("*.parquet")):
                continue
            source = f"read_parquet({literal(str(settings.raw / feed.name / '*.parquet'))}, union_by_name = TRUE)"
            present = {column.name for column in token_columns(feed)} | ({"member_id"} & set(feed.names))
            rows = connection.execute(
                f"SELECT _file, list(DISTINCT _line ORDER BY _line) FROM {source} "
                f"WHERE {touches(feed, source, present)} GROUP BY _file ORDER BY _file"
            ).fetchall()
            yield from (f"{file}: line {', '.join(map(str, numbers))}" for file, numbers in rows)
    finally:
        connection.close()


def _rejected(settings: Settings, vault: Vault, order: ErasureOrder) -> Iterator[str]:
    theirs = Tombstones.of_keys(vault.keys, order.keys)
    for path in quarantine_files(settings):
        found: dict[str, set[int]] = {}
        for block in open_rejected(path, vault):
            for row in block:
                if row.line is not None and theirs.stand_in(row.channel, row.raw):
                    found.setdefault(row.file, set()).add(row.line)
        yield from (f"{file}: line {', '.join(map(str, sorted(lines)))} (rejected)" for file, lines in found.items())
