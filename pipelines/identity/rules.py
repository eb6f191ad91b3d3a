"""Corrections that people made: rules in the state database, replayed by every run.

Belongs here: the table of rules, making and undoing one, and reading those that hold. A rule names memberships by
(channel, member id) and values by token, never a customer id or a row number, so that it means the same after any
rebuild. Does not belong here: what a rule does to clusters (decided, apart), or words of commands (corrections).

Kinds: `split` (left is never with right, and stays together), `merge` (left and right are one person), `block` (a value
links nobody), `accept` and `reject` (a reviewed pair is one person, or never is).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from pipelines.errors import PermanentError
from pipelines.settings import Settings
from pipelines.state import metadata, state

SPLIT, MERGE, BLOCK, ACCEPT, REJECT = "split", "merge", "block", "accept", "reject"
PARTING = (SPLIT, REJECT)

identity_rules = sa.Table(
    "identity_rules",
    metadata,
    sa.Column("rule_no", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("left_side", sa.Text, nullable=False),
    sa.Column("right_side", sa.Text, nullable=False),
    sa.Column("value_kind", sa.String(32)),
    sa.Column("value_key", sa.String(36)),
    sa.Column("value_token", sa.String(64)),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("made_by", sa.String(128), nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
    sa.Column("undone_by", sa.String(128)),
    sa.Column("undone_at", sa.DateTime),
    sa.Column("undone_why", sa.Text),
)


@dataclass(frozen=True, order=True)
class NodeKey:
    """A membership, or the guests of a value: then channel is empty and the id is the value's key (a UUID as text)."""

    channel: str
    member_id: str

    def __str__(self) -> str:
        return f"{self.channel}/{self.member_id}" if self.channel else f"guest {self.member_id[:8]}…"


@dataclass(frozen=True)
class Rule:
    """One correction. Times are UTC. Block rules have a value and no sides; the others have sides and no value.

    value_key: the value's key in the tables of `identity`; value_token: the token that the marts show.
    """

    rule_no: int
    kind: str
    left: tuple[NodeKey, ...]
    right: tuple[NodeKey, ...]
    value_kind: str | None
    value_key: str | None
    value_token: str | None
    why: str
    made_by: str
    made_at: datetime
    undone_by: str | None = None
    undone_at: datetime | None = None
    undone_why: str | None = None

    @property
    def name(self) -> str:
        """How people call it: r7."""
        return f"r{self.rule_no}"

    @property
    def holds(self) -> bool:
        return self.undone_at is None


def make_rule(
    engine: sa.Engine,
    kind: str,
    left: tuple[NodeKey, ...] = (),
    right: tuple[NodeKey, ...] = (),
    *,
    value: tuple[str, str, str] | None = None,
    why: str,
    who: str,
) -> Rule:
    """Keep a rule, from the next run on; an equal rule that holds already is given back instead of made again.

    value: (kind, key, token) of a block. Raises PermanentError if an earlier rule says the opposite.
    """
    left, right = tuple(sorted(set(left))), tuple(sorted(set(right)))
    value_kind, value_key, value_token = value or (None, None, None)
    with engine.begin() as transaction:
        for rule in _read(transaction):
            if rule.holds and (rule.kind, rule.left, rule.right, rule.value_key) == (kind, left, right, value_key):
                return rule
            _refuse_contradiction(rule, kind, left, right)
        made_at = datetime.now(UTC).replace(tzinfo=None)
        result = transaction.execute(
            identity_rules.insert().values(
                kind=kind, left_side=_to_json(left), right_side=_to_json(right), value_kind=value_kind,
                value_key=value_key, value_token=value_token, why=why, made_by=who, made_at=made_at,
            )
        )  # fmt: skip
        rule_no = int(result.inserted_primary_key[0])  # type: ignore[index]
    return Rule(rule_no, kind, left, right, value_kind, value_key, value_token, why, who, made_at)


def undo_rule(engine: sa.Engine, name: str, *, why: str, who: str) -> Rule:
    """End a rule: the next run does as if it had never been. Raises PermanentError if there is none that holds."""
    with engine.begin() as transaction:
        rules = {rule.name: rule for rule in _read(transaction)}
        rule = rules.get(name)
        if rule is None:
            known = ", ".join(name for name, rule in rules.items() if rule.holds) or "none"
            raise PermanentError(f"There is no rule {name!r}; those that hold: {known}.")
        if not rule.holds:
            raise PermanentError(f"Rule {name} was undone already, on {rule.undone_at:%Y-%m-%d} by {rule.undone_by}.")
        transaction.execute(
            identity_rules.update()
            .where(identity_rules.c.rule_no == rule.rule_no)
            .values(undone_by=who, undone_at=datetime.now(UTC).replace(tzinfo=None), undone_why=why)
        )
    return rule


def read_rules(engine: sa.Engine) -> list[Rule]:
    """All rules in the order they were made, undone ones too."""
    with engine.begin() as transaction:
        return _read(transaction)


def load_rules_made(settings: Settings) -> list[Rule]:
    """`read_rules` of a home; none where the home has no state database yet."""
    if not settings.state_url and not (settings.home / "state.db").exists():
        return []
    with state(settings) as engine:
        return read_rules(engine)


def _refuse_contradiction(rule: Rule, kind: str, left: tuple[NodeKey, ...], right: tuple[NodeKey, ...]) -> None:
    """A join of what a parting that holds keeps apart; a parting of what was joined is the newer word and stands."""
    if kind not in (MERGE, ACCEPT) or not rule.holds or rule.kind not in PARTING:
        return
    both = {*left, *right}
    if both & {*rule.left} and both & {*rule.right}:
        raise PermanentError(
            f"Rule {rule.name} ({rule.kind}, {rule.made_at:%Y-%m-%d} by {rule.made_by}) keeps them apart; "
            f"undo it first: omnilake identity undo {rule.name}"
        )


def _read(transaction: sa.Connection) -> list[Rule]:
    rows = transaction.execute(sa.select(identity_rules).order_by(identity_rules.c.rule_no))
    return [
        Rule(
            row.rule_no, row.kind, _from_json(row.left_side), _from_json(row.right_side), row.value_kind,
            row.value_key, row.value_token, row.why, row.made_by, row.made_at, row.undone_by, row.undone_at,
            row.undone_why,
        )
        for row in rows
    ]  # fmt: skip


def _to_json(side: tuple[NodeKey, ...]) -> str:
    return json.dumps([[key.channel, key.member_id] for key in side], ensure_ascii=False)


def _from_json(text: str) -> tuple[NodeKey, ...]:
    return tuple(NodeKey(channel, member_id) for channel, member_id in json.loads(text))
