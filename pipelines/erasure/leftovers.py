"""Files beneath the home that name a person: exports, plans, logs, notices of webhooks, Dagster's records.

Belongs here: looking into files of any kind and removing what names the person. Does not belong here: the lake, the
vault and the state database, which are written anew by their own rules, what destinations keep (they blank it), and the
landing folder, which is the retailer's own.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import sqlalchemy as sa

from pipelines.durable_lines import locked
from pipelines.erasure.remembered import compact_state, scrub_state
from pipelines.erasure.traces import Traces
from pipelines.feeds.identifiers import normalise, stored_member_id
from pipelines.feeds.sql import literal, quoted
from pipelines.inbox import waiting_files
from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.warehouse import connect

SPILL_AGE_SECONDS = 3_600
"""A spill file that nobody has written to for so long is a killed process's."""

LONG_ENOUGH = 6
"""Characters from which a value is looked for in any file, not in exports alone."""

_WORD = re.compile(rb"[0-9a-z]{4,}")
_ENCODINGS = ("utf-8", "gb18030", "utf-16-le")
_BLOCK = 8 << 20


@dataclass
class Swept:
    """What was done. deleted: files that named the person; outside: such files beyond the home, left alone."""

    deleted: list[Path] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)


def sweep(settings: Settings, keys: Keys, traces: Traces, exports: Sequence[Path]) -> Swept:
    """Delete exports and plans that name the person, and what names them in logs and notices. Repeatable.

    exports: files that were exported to, wherever they lie.
    """
    swept = Swept()
    for_exports, for_others = Needles(traces, shortest=2), Needles(traces, shortest=LONG_ENOUGH)
    for path in sorted({*_files(settings), *exports}):
        is_export = path in exports or path.is_relative_to(settings.exports)
        needles = for_exports if is_export else for_others
        if not path.is_file() or not needles.stand_in(settings, path):
            continue
        if not path.is_relative_to(settings.home):
            swept.outside.append(path)
        elif path.is_relative_to(settings.logs):
            _drop_lines(path, needles)
        elif path.suffix == ".db" and path.is_relative_to(settings.dagster_home):
            _scrub_database(path, traces)
        else:
            path.unlink()
            swept.deleted.append(path)
    _drop_notices(settings, keys, traces)
    _drop_spilled(settings)
    return swept


class Needles:
    """Byte forms of everything that names a person, and how to look for them in a file of any kind.

    shortest: values below this length are not looked for. Names of two letters are a person's in an export, and
    anything at all in another file. Member ids are never: a short id stands in many rows that are not theirs.
    """

    def __init__(self, traces: Traces, shortest: int) -> None:
        forms = {form for order in traces.orders for value in order.values for form in _forms(value)}
        values = {*(form for form in forms if len(form) >= shortest), *traces.long_names}
        encoded = {value.lower().encode(encoding).lower() for value in values for encoding in _ENCODINGS}
        encoded |= {json.dumps(value.lower())[1:-1].encode() for value in values}
        # By their longest run of letters and digits: whether that stands in a file as a word is a look-up, and few
        # files need a second look.
        self._by_word: dict[bytes, list[bytes]] = {}
        self._wordless: list[bytes] = []
        for form in encoded | {name.encode() for name in traces.long_names}:
            word = max(_WORD.findall(form), key=len, default=b"")
            if word:
                self._by_word.setdefault(word, []).append(form)
            else:
                self._wordless.append(form)
        self._text = f"(^|[^0-9A-Za-z])({'|'.join(map(re.escape, sorted(values)))})($|[^0-9A-Za-z])"
        self._longest = max(map(len, encoded), default=0) + 1
        self._is_empty = not values

    def stand_in(self, settings: Settings, path: Path) -> bool:
        """Whether the file names the person; packed and columnar files are read as what they hold."""
        try:
            if path.suffix == ".parquet":
                return self._in_parquet(settings, path)
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    return any(self.stand_in_bytes(archive.read(name)) for name in archive.namelist())
            if path.suffix == ".gz":
                with gzip.open(path) as stream:
                    return self.stand_in_bytes(stream.read())
        except (OSError, EOFError, zipfile.BadZipFile, duckdb.Error):
            pass  # no such file inside: its bytes are looked at
        return any(self.stand_in_bytes(block) for block in _blocks(path, self._longest))

    def stand_in_bytes(self, content: bytes) -> bool:
        """Whether the bytes name the person, as words of their own."""
        if self._is_empty:
            return False
        lowered = content.lower()
        words = self._by_word.keys() & set(_WORD.findall(lowered))
        forms = [*self._wordless, *(form for word in words for form in self._by_word[word])]
        return any(
            form in lowered and re.search(rb"(?<![0-9a-z])" + re.escape(form) + rb"(?![0-9a-z])", lowered)
            for form in forms
        )

    def _in_parquet(self, settings: Settings, path: Path) -> bool:
        if self._is_empty:
            return False
        connection = connect(settings)
        try:
            source = f"read_parquet({literal(str(path))})"
            columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
            found = " OR ".join(
                f"regexp_matches(CAST({quoted(column)} AS VARCHAR), {literal(self._text)}, 'i')" for column in columns
            )
            return connection.execute(f"SELECT 1 FROM {source} WHERE {found} LIMIT 1").fetchone() is not None
        finally:
            connection.close()


def _forms(value: str) -> set[str]:
    """A value as exports write it: as it is, in its normal forms, and hashed."""
    normals = {normal for kind in ("phone", "email", "name") if (normal := normalise(kind, value))}
    hashed = {hashlib.sha256(one.encode()).hexdigest() for one in {value, *normals}}
    national = {normal[3:] for normal in normals if normal.startswith("+86")}
    return {one for one in {value, *normals, *national, *hashed} if len(one) > 1}


def _files(settings: Settings) -> Iterator[Path]:
    """Every file beneath the home that nothing else sees to."""
    cared_for: tuple[Path, ...] = (
        settings.lake,
        settings.vault,
        settings.landing,
        settings.home / "reference",
        settings.tmp,
    )
    cared_for += (settings.outbound, settings.home / "erasures", settings.home / "inbox")
    own = {settings.key_file, settings.last_run, *(settings.home / f"state.db{end}" for end in ("", "-wal", "-shm"))}
    for path in settings.home.rglob("*"):
        if path not in own and not any(path.is_relative_to(place) for place in cared_for):
            yield path


def _blocks(path: Path, overlap: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        tail = b""
        while block := stream.read(_BLOCK):
            yield tail + block
            tail = block[-overlap:]


def _drop_lines(path: Path, needles: Needles) -> None:
    kept = [line for line in path.read_bytes().splitlines(keepends=True) if not needles.stand_in_bytes(line)]
    _replace(path, b"".join(kept))


def _drop_notices(settings: Settings, keys: Keys, traces: Traces) -> None:
    """Notices of webhooks name members by their plain source id."""
    for channel in {channel for channel, _ in traces.members}:
        theirs = {member_id for of, member_id in traces.members if of == channel}
        for path in waiting_files(settings, channel):
            with locked(path.parent):
                if not path.exists():
                    continue
                lines = path.read_bytes().splitlines(keepends=True)
                kept = [line for line in lines if _noticed(keys, line) not in theirs]
                if len(kept) < len(lines):
                    _replace(path, b"".join(kept))


def _noticed(keys: Keys, line: bytes) -> str | None:
    try:
        source_id = json.loads(line)["source_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return stored_member_id(keys, source_id) if isinstance(source_id, str) else None


def _drop_spilled(settings: Settings) -> None:
    for path in settings.tmp.rglob("*") if settings.tmp.is_dir() else ():
        if path.is_file() and time.time() - path.stat().st_mtime > SPILL_AGE_SECONDS:
            path.unlink(missing_ok=True)


def _scrub_database(path: Path, traces: Traces) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        scrub_state(engine, traces)
        compact_state(engine)
    finally:
        engine.dispose()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
