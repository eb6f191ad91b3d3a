"""The order of an erasure: what stands for the person, until nothing of them is left.

Belongs here: its content, its form in the vault, and how it is given. Does not belong here: carrying it out
(pipelines.erasure), or finding out who somebody is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pipelines.feeds.erasing import member_key, token_key
from pipelines.vault import Vault


@dataclass(frozen=True)
class OwnToken:
    """The token of an identifier that is one person's alone. channel: of kinds that mean something in one only."""

    kind: str
    channel: str | None
    token: str

    @property
    def key(self) -> str:
        return token_key(self.kind, self.channel, self.token)


@dataclass(frozen=True)
class ErasureOrder:
    """A person, as the lake knows them.

    customers: customer ids, earlier ones too. members: (channel, member id as stored). tokens: identifiers that are
    nobody else's. loose_tokens: others' identifiers that stand on this person's rows alone. values: plain values, to
    look for in files that people made.
    """

    erasure_id: str
    customers: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    tokens: tuple[OwnToken, ...] = ()
    loose_tokens: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """The keys (feeds/erasing.py) that stand for the person from now on."""
        return [*(member_key(*member) for member in self.members), *(token.key for token in self.tokens)]


def give(vault: Vault, order: ErasureOrder) -> None:
    """Decide the erasure: rows of the person are kept out from now on, and it will be carried out to its end."""
    marks = [vault.keys.tombstone(key) for key in order.keys]
    vault.order_erasure(order.erasure_id, json.dumps(asdict(order)), marks)


def given(vault: Vault) -> list[ErasureOrder]:
    """The erasures that were decided and are not done."""
    return [_read(text) for _, text in vault.erasure_orders()]


def order_found(vault: Vault, members: Iterable[tuple[str, str]]) -> None:
    """Decide to erase memberships that turned out to be an erased person's."""
    found = tuple(sorted(set(members)))
    if found:
        name = vault.keys.tombstone("\x1e".join(member_key(*member) for member in found))[:16]
        give(vault, ErasureOrder(f"found-{name}", members=found))


def _read(text: str) -> ErasureOrder:
    content = json.loads(text)
    return ErasureOrder(
        content["erasure_id"],
        tuple(content["customers"]),
        tuple((channel, member_id) for channel, member_id in content["members"]),
        tuple(OwnToken(**token) for token in content["tokens"]),
        tuple(content["loose_tokens"]),
        tuple(content["values"]),
    )
