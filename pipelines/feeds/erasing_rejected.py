"""Rejected rows of erased persons: text that no contract has read, searched for identifiers.

Belongs here: finding the keys (feeds/erasing.py) that a raw text shows, and the two places that ask: rows on their way
into quarantine, and the quarantine itself. Does not belong here: rows that were accepted. A rejected row of an erased
person keeps its line and its reason, so that counts hold, and loses what it held, so that it can't be replayed.
"""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from pipelines.feeds.erasing import member_key, token_key
from pipelines.feeds.identifiers import normalise, stored_member_id
from pipelines.feeds.parts import part_path, sync
from pipelines.feeds.quarantine import BLOCK_ROWS, SCHEMA, quarantine_files, quarantine_person
from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.vault import Vault

OPAQUE_KINDS = ("wechat_unionid", "wechat_openid", "alipay_uid", "qq_openid", "card_no", "device")
LONGEST_IDENTIFIER = 256
RESEALED = "~"
"""Follows a load's id in the name of the key that seals its rows anew."""

_DELIMITERS = re.compile(r"[\s,;|{}\[\]\"'=<>]+")
_COLON = re.compile(r":")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_NUMBER = re.compile(r"\+?\d[\d\s().-]{5,24}\d")
_ADDRESS = re.compile(r"[^\s@\"',;:<>()\[\]{}|=]+@[^\s@\"',;:<>()\[\]{}|=]+")


class Tombstones:
    """Says of a text whether it shows an identifier or a member id of an erased person."""

    def __init__(self, keys: Keys, marks: Iterable[str]) -> None:
        self._keys, self._marks = keys, frozenset(marks)
        self._known: dict[tuple[str, str], bool] = {}

    @classmethod
    def of_vault(cls, vault: Vault) -> Tombstones:
        """Those of everybody who was erased."""
        return cls(vault.keys, vault.tombstones())

    @classmethod
    def of_keys(cls, keys: Keys, erased: Iterable[str]) -> Tombstones:
        """Those that stand for these keys."""
        return cls(keys, map(keys.tombstone, erased))

    def __bool__(self) -> bool:
        return bool(self._marks)

    def stand_in(self, channel: str, text: str | None) -> bool:
        """Whether an erased person's key stands in the text, which came from that channel."""
        return bool(self._marks and text) and any(self._is_marked(channel, one) for one in candidates(text or ""))

    def _is_marked(self, channel: str, candidate: str) -> bool:
        known = self._known.get((channel, candidate))
        if known is None:
            known = any(self._keys.tombstone(key) in self._marks for key in keys_of(self._keys, channel, candidate))
            if len(self._known) > 200_000:
                self._known.clear()
            self._known[channel, candidate] = known
        return known


def keys_of(keys: Keys, channel: str, value: str) -> set[str]:
    """The keys that a plain value would have as each kind of identifier, and as a member id of that channel."""
    found = {member_key(channel, stored_member_id(keys, value))}
    plain = value.strip()
    kinds = dict.fromkeys(OPAQUE_KINDS, plain)
    if sum(map(str.isdigit, value)) >= 5:
        kinds["phone"] = normalise("phone", value) or ""
    if "@" in value or "＠" in value:
        kinds["email"] = normalise("email", value) or ""
    return found | {token_key(kind, channel, keys.token(kind, normal)) for kind, normal in kinds.items() if normal}


def candidates(text: str) -> set[str]:
    """Whatever in the text could be an identifier: values of a JSON document, cells, words, numbers, addresses."""
    found: set[str] = set()
    if text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            found.update(_leaves(json.loads(text, parse_int=str, parse_float=str)))
    plain = unicodedata.normalize("NFKC", _ESCAPE.sub(lambda code: chr(int(code.group(1), 16)), text))
    for variant in {text, plain}:
        words = _DELIMITERS.split(variant)
        found.update(words)
        found.update(part for word in words if ":" in word for part in _COLON.split(word))
        found.update(cell.strip() for cell in re.split(r"[,;|\t\r\n\"]", variant))
        found.update(_NUMBER.findall(variant))
        found.update(_ADDRESS.findall(variant))
    return {value for value in found if 1 < len(value) <= LONGEST_IDENTIFIER}


def emptied(channel: str, rejected: pa.Table, tombstones: Tombstones) -> pa.Table:
    """Judged rejected rows, those of erased persons without `_raw` and `_value`."""
    if not tombstones:
        return rejected
    theirs = pa.array([tombstones.stand_in(channel, text) for text in rejected["_raw"].to_pylist()], pa.bool_())
    for name in ("_raw", "_value"):
        column = pa.compute.if_else(theirs, pa.scalar(None, rejected[name].type), rejected[name])
        rejected = rejected.set_column(rejected.schema.get_field_index(name), name, column)
    return rejected


def erase_from_quarantine(settings: Settings, vault: Vault) -> int:
    """Empty the rejected rows of erased persons in the quarantine; the number of files written anew.

    A file with such rows is sealed anew under another key, and the old key destroyed: copies made before don't open
    any more. Killed at any instant, it can be called again.
    """
    tombstones = Tombstones.of_vault(vault)
    changed = sum(_erase_from_file(path, vault, tombstones) for path in quarantine_files(settings))
    in_use = {quarantine_person(load_id) for path in quarantine_files(settings) for load_id in _load_ids(path)}
    vault.destroy_person(person for person in vault.persons(quarantine_person("")) if person not in in_use)
    return changed


def _erase_from_file(path: Path, vault: Vault, tombstones: Tombstones) -> bool:
    """Two passes, a block at a time: is there anything to empty, and if so, the file written anew."""
    if not any(_has_theirs(rows, opened, tombstones) for rows, opened in _blocks(path, vault)):
        return False
    with pyarrow.parquet.ParquetWriter(part_path(path.parent, path.name), SCHEMA) as writer:
        for rows, opened in _blocks(path, vault):
            for row in rows:
                row["load_id"] = _renewed(row["load_id"])
                if row["slot"] is not None and _is_theirs(row, opened, tombstones):
                    opened["rows"][row["slot"]] = {"raw": None, "value": None}
            for row in rows:
                if row["sealed"] is not None:
                    plain = json.dumps(opened, ensure_ascii=False).encode()
                    row["sealed"] = vault.seal_block(quarantine_person(row["load_id"]), plain)
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    sync(part_path(path.parent, path.name))
    part_path(path.parent, path.name).replace(path)
    return True


def _blocks(path: Path, vault: Vault) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """The rows of each sealed block with what the block holds; rows without a block come by themselves."""
    rows: list[dict[str, Any]] = []
    opened: dict[str, Any] = {}
    with pyarrow.parquet.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(batch_size=BLOCK_ROWS):
            for row in batch.to_pylist():
                if rows and row["block"] != rows[0]["block"]:
                    yield rows, opened
                    rows, opened = [], {}
                if row["sealed"] is not None:
                    opened = json.loads(vault.open_block(quarantine_person(row["load_id"]), row["sealed"]))
                rows.append(row)
    if rows:
        yield rows, opened


def _has_theirs(rows: list[dict[str, Any]], opened: dict[str, Any], tombstones: Tombstones) -> bool:
    return any(row["slot"] is not None and _is_theirs(row, opened, tombstones) for row in rows)


def _is_theirs(row: dict[str, Any], opened: dict[str, Any], tombstones: Tombstones) -> bool:
    return tombstones.stand_in(row["channel"], opened["rows"][row["slot"]]["raw"])


def _renewed(load_id: str) -> str:
    stem, _, number = load_id.partition(RESEALED)
    return f"{stem}{RESEALED}{int(number or 0) + 1}"


def _load_ids(path: Path) -> set[str]:
    return set(pyarrow.parquet.read_table(path, columns=["load_id"])["load_id"].to_pylist())


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
