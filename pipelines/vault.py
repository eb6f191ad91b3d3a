"""The vault: PII, encrypted, with a key a person. Erasing a person destroys that key.

A *person* here is a string: `member:<channel>:<member_id>`, `identity:<token>` for who is known by an identifier only,
or `batch:<batch_id>` for text that can be laid to nobody. Each has a random data key, wrapped by the master key whose
id is stored beside it. SQLite, with secure_delete and no shared cache, holds ciphertext and tokens only.

Belongs here: sealing, opening and destroying. Does not belong here: what counts as PII (feeds/contract.py), or who may
look (the callers that export and push).
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipelines.errors import ConfigurationError, PermanentError
from pipelines.keys import KEY_BYTES, Keys, check_token_key, ensure_keys
from pipelines.settings import Settings

NONCE_BYTES = 12
PROFILE_FIELDS = ("name", "phone", "email", "birthday", "address", "attributes")
_LOOKUP_ROWS = 5_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS data_keys (
    person TEXT PRIMARY KEY, key_id TEXT NOT NULL, wrapped BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identities (
    token TEXT PRIMARY KEY, kind TEXT NOT NULL, key_id TEXT NOT NULL, wrapped BLOB NOT NULL, sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS profiles (
    channel TEXT NOT NULL, member_id TEXT NOT NULL, version INTEGER NOT NULL, arrival INTEGER NOT NULL,
    sealed BLOB NOT NULL, PRIMARY KEY (channel, member_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    person TEXT NOT NULL, batch_id TEXT NOT NULL, part INTEGER NOT NULL, feed TEXT NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (person, batch_id, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (mark TEXT PRIMARY KEY, erasure_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasures (erasure_id TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
"""


def member_person(channel: str, member_id: str) -> str:
    """The person of a member record."""
    return f"member:{channel}:{member_id}"


class Vault:
    """An open vault. Use as a context manager, or close it."""

    def __init__(self, database: sqlite3.Connection, keys: Keys) -> None:
        self._database = database
        self._keys = keys
        self._wrapping = AESGCM(keys.vault_key)

    @classmethod
    def open(cls, settings: Settings, keys: Keys | None = None) -> Vault:
        """Open, and create if the home has none. Raises ConfigurationError if the keys are not this home's."""
        keys = keys or ensure_keys(settings)
        settings.vault.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            database = sqlite3.connect(settings.vault / "vault.db", isolation_level=None, timeout=30)
            for pragma in ("secure_delete=ON", "journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
                database.execute(f"PRAGMA {pragma}")
            database.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"{settings.vault / 'vault.db'} can't be opened ({error}). Restore it from your backup, together with "
                f"{settings.key_file}; if another process holds it, wait for that one."
            ) from error
        vault = cls(database, keys)
        try:
            vault._check_keys(settings)
        except ConfigurationError:
            vault.close()
            raise
        return vault

    @property
    def keys(self) -> Keys:
        """The keys it was opened with."""
        return self._keys

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the keys are dropped with the object."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable at the end."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def seal_identities(self, identities: Iterable[tuple[str, str, str]]) -> int:
        """Seal (token, kind, plain value) unless the token is known; the number newly sealed."""
        sealed = 0
        for block in _blocks(identities, _LOOKUP_ROWS):
            tokens = json.dumps([token for token, _, _ in block])
            query = "SELECT token FROM identities WHERE token IN (SELECT value FROM json_each(?))"
            known = {token for (token,) in self._database.execute(query, (tokens,))}
            new = [entry for entry in block if entry[0] not in known]
            rows = [
                self._identity_row(token, kind, value, bits)
                for (token, kind, value), bits in zip(new, _random(len(new)), strict=True)
            ]
            self._database.executemany("INSERT OR IGNORE INTO identities VALUES (?, ?, ?, ?, ?)", rows)
            sealed += len(rows)
        return sealed

    def seal_profiles(self, profiles: Iterable[tuple[str, str, int, int, str]]) -> None:
        """Keep the newest profile of each member: (channel, member_id, version, arrival, JSON).

        `version` is the record's time in microseconds, `arrival` breaks its ties; older ones change nothing.
        """
        for block in _blocks(profiles, _LOOKUP_ROWS):
            cyphers = self._cyphers({member_person(channel, member_id) for channel, member_id, *_ in block})
            rows = [
                (channel, member_id, version, arrival, _seal(cyphers[person], person, document.encode()))
                for channel, member_id, version, arrival, document in block
                for person in (member_person(channel, member_id),)
            ]
            self._database.executemany(
                "INSERT INTO profiles VALUES (?, ?, ?, ?, ?) ON CONFLICT (channel, member_id) DO UPDATE SET "
                "version = excluded.version, arrival = excluded.arrival, sealed = excluded.sealed "
                "WHERE (excluded.version, excluded.arrival) > (version, arrival)",
                rows,
            )

    def seal_documents(self, feed: str, batch_part: int, documents: Iterable[tuple[str, str, str]]) -> None:
        """Seal (person, batch_id, JSON text). The same person, batch and part again replaces what was there."""
        for block in _blocks(documents, _LOOKUP_ROWS):
            cyphers = self._cyphers({person for person, _, _ in block})
            rows = [
                (person, batch_id, batch_part, feed, _seal(cyphers[person], person, document.encode()))
                for person, batch_id, document in block
            ]
            self._database.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)", rows)

    def seal_block(self, person: str, plain: bytes) -> bytes:
        """Ciphertext that is stored elsewhere (quarantine files), under that person's key."""
        return _seal(self._cyphers({person})[person], person, plain)

    def open_block(self, person: str, sealed: bytes) -> bytes:
        """Undo `seal_block`. Raises PermanentError if the key was destroyed or the bytes were changed."""
        cyphers = self._cyphers({person}, create=False)
        if person not in cyphers:
            raise PermanentError(f"The vault holds no key of {person}; what it sealed was erased.")
        return _open(cyphers[person], person, sealed)

    def reveal_identities(self, tokens: Iterable[str]) -> dict[str, str]:
        """Plain values by token; unknown or erased tokens are left out."""
        revealed: dict[str, str] = {}
        for block in _blocks(tokens, _LOOKUP_ROWS):
            query = (
                "SELECT token, key_id, wrapped, sealed FROM identities WHERE token IN (SELECT value FROM json_each(?))"
            )
            for token, key_id, wrapped, sealed in self._database.execute(query, (json.dumps(block),)):
                person = f"identity:{token}"
                revealed[token] = _open(self._unwrap(person, key_id, wrapped), person, sealed).decode()
        return revealed

    def reveal_members(self, pairs: Iterable[tuple[str, str]]) -> pa.Table:
        """Newest profile of each known (channel, member_id), columns channel, member_id and PROFILE_FIELDS as text."""
        rows: list[dict[str, str | None]] = []
        for block in _blocks(pairs, _LOOKUP_ROWS):
            cyphers = self._cyphers({member_person(*pair) for pair in block}, create=False)
            query = (
                "SELECT channel, member_id, sealed FROM profiles WHERE (channel, member_id) IN "
                "(SELECT value ->> 0, value ->> 1 FROM json_each(?))"
            )
            for channel, member_id, sealed in self._database.execute(query, (json.dumps(block),)):
                person = member_person(channel, member_id)
                if person in cyphers:
                    profile = json.loads(_open(cyphers[person], person, sealed))
                    rows.append(
                        {"channel": channel, "member_id": member_id}
                        | {name: profile.get(name) for name in PROFILE_FIELDS}
                    )
        schema = pa.schema([(name, pa.string()) for name in ("channel", "member_id", *PROFILE_FIELDS)])
        return pa.Table.from_pylist(rows, schema=schema)

    def reveal_documents(self, persons: Iterable[str]) -> list[dict[str, Any]]:
        """What was sealed for these persons beyond their profile: person, batch_id, feed, rows (decoded JSON)."""
        found: list[dict[str, Any]] = []
        for block in _blocks(persons, _LOOKUP_ROWS):
            cyphers = self._cyphers(set(block), create=False)
            query = (
                "SELECT person, batch_id, feed, sealed FROM documents WHERE person IN (SELECT value FROM json_each(?))"
            )
            for person, batch_id, feed, sealed in self._database.execute(query, (json.dumps(block),)):
                if person in cyphers:
                    rows = json.loads(_open(cyphers[person], person, sealed))
                    found.append({"person": person, "batch_id": batch_id, "feed": feed, "rows": rows})
        return found

    def destroy_person(self, persons: Iterable[str] = (), tokens: Iterable[str] = ()) -> int:
        """Destroy the data keys of persons and of identity tokens, and what they sealed here; the keys destroyed.

        Whatever else those keys sealed (copies, backups made before) can't be opened any more by this vault.
        """
        destroyed = 0
        with self.transaction():
            for person in persons:
                destroyed += self._database.execute("DELETE FROM data_keys WHERE person = ?", (person,)).rowcount
                self._database.execute("DELETE FROM documents WHERE person = ?", (person,))
                if person.startswith("member:"):
                    _, channel, member_id = person.split(":", 2)
                    self._database.execute(
                        "DELETE FROM profiles WHERE channel = ? AND member_id = ?", (channel, member_id)
                    )
            for token in tokens:
                destroyed += self._database.execute("DELETE FROM identities WHERE token = ?", (token,)).rowcount
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return destroyed

    def order_erasure(self, erasure_id: str, order: str, marks: Iterable[str]) -> None:
        """Decide an erasure, all or nothing: its marks hold from now on, and its order (JSON) is kept until it is done.

        The order is sealed under a key of its own, which goes with it.
        """
        with self.transaction():
            rows = [(mark, erasure_id) for mark in marks]
            self._database.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", rows)
            sealed = self.seal_block(_erasure_person(erasure_id), order.encode())
            self._database.execute("INSERT OR REPLACE INTO erasures VALUES (?, ?)", (erasure_id, sealed))

    def erasure_orders(self) -> list[tuple[str, str]]:
        """Erasures that are not done yet: id and order, as they were decided."""
        rows = self._database.execute("SELECT erasure_id, sealed FROM erasures ORDER BY erasure_id").fetchall()
        return [(name, self.open_block(_erasure_person(name), sealed).decode()) for name, sealed in rows]

    def end_erasure(self, erasure_id: str) -> None:
        """The erasure is done: its order is destroyed; its tombstones stay."""
        with self.transaction():
            self._database.execute("DELETE FROM data_keys WHERE person = ?", (_erasure_person(erasure_id),))
            self._database.execute("DELETE FROM erasures WHERE erasure_id = ?", (erasure_id,))
        self.compact()

    def tombstones(self) -> list[str]:
        """Every mark of an erased person."""
        return [mark for (mark,) in self._database.execute("SELECT mark FROM tombstones ORDER BY mark")]

    def lift_tombstones(self, marks: Iterable[str]) -> int:
        """Let rows with these marks in again; how many marks there were."""
        with self.transaction():
            cursor = self._database.executemany("DELETE FROM tombstones WHERE mark = ?", [(mark,) for mark in marks])
        return max(cursor.rowcount, 0)

    def persons(self, prefix: str) -> list[str]:
        """Whoever has a key and a name that begins so."""
        query = "SELECT person FROM data_keys WHERE substr(person, 1, ?) = ? ORDER BY person"
        return [person for (person,) in self._database.execute(query, (len(prefix), prefix))]

    def compact(self) -> None:
        """Write the database anew and empty its log, so that no free page holds what was deleted."""
        self._database.execute("VACUUM")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def rewrap(self, limit: int = _LOOKUP_ROWS) -> int:
        """Wrap data keys of retired master keys with the present one, at most `limit` of each table; how many.

        0: every one is. What they sealed stays as it is, and opens meanwhile. A transaction a call.
        """
        changed = 0
        with self.transaction():
            for table, name, prefix in (("data_keys", "person", ""), ("identities", "token", "identity:")):
                rows = self._database.execute(
                    f"SELECT {name}, key_id, wrapped FROM {table} WHERE key_id <> ? LIMIT ?",
                    (self._keys.vault_key_id, limit),
                ).fetchall()
                new = []
                for holder, key_id, wrapped in rows:
                    person = f"{prefix}{holder}"
                    key = _decrypt(AESGCM(self._keys.vault_keys[key_id]), person, wrapped)
                    again = _encrypt(self._wrapping, person, key, os.urandom(NONCE_BYTES))
                    new.append((self._keys.vault_key_id, again, holder))
                update = f"UPDATE {table} SET key_id = ?, wrapped = ? WHERE {name} = ?"
                self._database.executemany(update, new)
                changed += len(new)
        return changed

    def keys_in_use(self) -> dict[str, int]:
        """How many data keys each master key wraps, by its id."""
        query = (
            "SELECT key_id, count(*) FROM (SELECT key_id FROM data_keys UNION ALL SELECT key_id FROM identities) "
            "GROUP BY key_id"
        )
        return dict(self._database.execute(query).fetchall())

    def _check_keys(self, settings: Settings) -> None:
        self._database.execute("INSERT OR IGNORE INTO meta VALUES ('token_check', ?)", (self._keys.token_check,))
        check_token_key(settings, self._keys)
        query = "SELECT DISTINCT key_id FROM data_keys UNION SELECT DISTINCT key_id FROM identities"
        missing = {key_id for (key_id,) in self._database.execute(query)} - self._keys.vault_keys.keys()
        if missing:
            raise ConfigurationError(
                f"The vault of {settings.home} was sealed with keys that are not given: {', '.join(sorted(missing))}. "
                f"Restore OMNILAKE_VAULT_KEY, or list the old key under retired_vault_keys in {settings.key_file}."
            )

    def _cyphers(self, persons: set[str], *, create: bool = True) -> Mapping[str, AESGCM]:
        """The data cypher of each person; a new key for those that have none, if `create`."""
        cyphers: dict[str, AESGCM] = {}
        query = "SELECT person, key_id, wrapped FROM data_keys WHERE person IN (SELECT value FROM json_each(?))"
        for person, key_id, wrapped in self._database.execute(query, (json.dumps(list(persons)),)):
            cyphers[person] = self._unwrap(person, key_id, wrapped)
        if not create:
            return cyphers
        rows = []
        for person in persons - cyphers.keys():
            key = os.urandom(KEY_BYTES)
            cyphers[person] = AESGCM(key)
            rows.append(
                (person, self._keys.vault_key_id, _encrypt(self._wrapping, person, key, os.urandom(NONCE_BYTES)))
            )
        self._database.executemany("INSERT INTO data_keys VALUES (?, ?, ?)", rows)
        return cyphers

    def _identity_row(self, token: str, kind: str, value: str, bits: bytes) -> tuple[str, str, str, bytes, bytes]:
        person = f"identity:{token}"
        key, outer, inner = bits[:KEY_BYTES], bits[KEY_BYTES:-NONCE_BYTES], bits[-NONCE_BYTES:]
        wrapped = _encrypt(self._wrapping, person, key, outer)
        sealed = _encrypt(AESGCM(key), person, _packed(value.encode()), inner)
        return token, kind, self._keys.vault_key_id, wrapped, sealed

    def _unwrap(self, person: str, key_id: str, wrapped: bytes) -> AESGCM:
        return AESGCM(_decrypt(AESGCM(self._keys.vault_keys[key_id]), person, wrapped))


def _erasure_person(erasure_id: str) -> str:
    return f"erasure:{erasure_id}"


def _seal(cypher: AESGCM, person: str, plain: bytes) -> bytes:
    return _encrypt(cypher, person, _packed(plain), os.urandom(NONCE_BYTES))


def _packed(plain: bytes) -> bytes:
    # Small values gain nothing from compression; free text and JSON do.
    return b"z" + zlib.compress(plain, 1) if len(plain) > 256 else b"p" + plain


def _random(count: int) -> list[bytes]:
    """A key and two nonces each, in one call to the system instead of three."""
    size = KEY_BYTES + 2 * NONCE_BYTES
    bits = os.urandom(count * size)
    return [bits[start : start + size] for start in range(0, len(bits), size)]


def _open(cypher: AESGCM, person: str, sealed: bytes) -> bytes:
    packed = _decrypt(cypher, person, sealed)
    return zlib.decompress(packed[1:]) if packed[:1] == b"z" else packed[1:]


def _encrypt(cypher: AESGCM, person: str, plain: bytes, nonce: bytes) -> bytes:
    return nonce + cypher.encrypt(nonce, plain, person.encode())


def _decrypt(cypher: AESGCM, person: str, sealed: bytes) -> bytes:
    try:
        return cypher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], person.encode())
    except InvalidTag as error:
        raise PermanentError(
            "A vault entry does not open: it was changed, or sealed with another key. Restore the vault from a backup."
        ) from error


def _blocks(items: Iterable[Any], size: int) -> Iterator[Sequence[Any]]:
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block
