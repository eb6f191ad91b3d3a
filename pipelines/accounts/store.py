"""Accounts in the state database: who they are, their role and stores; created and changed by an administrator.

Belongs here: the table, its checks, and the entries of the audit log that each change makes. Does not belong here:
signing in (sessions) or what a role may see (the pages).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pipelines import audit
from pipelines.accounts.passwords import hash_password
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.state import metadata

ROLES = ("admin", "analyst", "marketer", "store_manager", "auditor")
LONGEST_NAME = 128
_NAME = re.compile(r"[\w.@+-]+")

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.String(LONGEST_NAME), primary_key=True),
    sa.Column("role", sa.String(32), nullable=False),
    sa.Column("stores", sa.Text, nullable=False, comment="JSON list; only a store manager has any"),
    sa.Column("password_hash", sa.Text, comment="argon2id; null: signs in by OIDC alone"),
    sa.Column("is_disabled", sa.Boolean, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, comment="in a row, since the last success or lock"),
    sa.Column("locked_until", sa.DateTime),
    sa.Column("created_at", sa.DateTime, nullable=False),
    comment="Staff who may sign in to the pages.",
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True, comment="SHA-256 of what the browser holds"),
    sa.Column("name", sa.String(LONGEST_NAME), sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("seen_at", sa.DateTime, nullable=False),
)


@dataclass(frozen=True)
class Account:
    """Who somebody is to the pages. stores: the ids a store manager is confined to."""

    name: str
    role: str
    stores: tuple[str, ...] = ()


def account_name(name: str) -> str:
    """The form in which names are compared: lower case. Raises ConfigurationError if it can't be a name."""
    plain = name.strip().lower()
    if not _NAME.fullmatch(plain) or len(plain) > LONGEST_NAME:
        raise ConfigurationError(
            f"An account's name has letters, digits and . _ @ + - (at most {LONGEST_NAME}); {name[:40]!r} has others."
        )
    return plain


def check_role(role: str, stores: tuple[str, ...]) -> None:
    """Raises ConfigurationError for an unknown role, a store manager without stores, or stores of anybody else."""
    if role not in ROLES:
        raise ConfigurationError(f"--role is {role!r}; choose one of: {', '.join(ROLES)}.")
    if role == "store_manager" and not stores:
        raise ConfigurationError("A store manager sees certain stores: name each with --store.")
    if role != "store_manager" and stores:
        raise ConfigurationError(f"--store is for store managers; {role} sees every store.")


def add_account(
    settings: Settings, engine: sa.Engine, name: str, role: str, stores: tuple[str, ...], password: str | None, by: str
) -> Account:
    """A new account. password None: it signs in by OIDC alone. Raises ConfigurationError if it exists or is wrong."""
    account = Account(account_name(name), role, tuple(sorted(set(stores))))
    check_role(role, account.stores)
    hashed = None if password is None else hash_password(password)
    with engine.begin() as transaction:
        if transaction.execute(sa.select(accounts.c.name).where(accounts.c.name == account.name)).first():
            raise ConfigurationError(f"There is an account {account.name} already; see `omnilake users list`.")
        transaction.execute(
            accounts.insert().values(
                name=account.name, role=role, stores=json.dumps(account.stores), password_hash=hashed,
                is_disabled=False, failures=0, created_at=utc_now(),
            )
        )  # fmt: skip
        details: dict[str, audit.Detail] = {"role": role, "stores": ",".join(account.stores)}
        head = audit.record_within(transaction, settings, by, "account.add", f"account:{account.name}", details)
    audit.anchor(settings, engine, head)
    return account


def list_accounts(engine: sa.Engine) -> list[dict[str, Any]]:
    """Every account: name, role, stores, signs_in (password or oidc), state (active, disabled, locked), created_at."""
    with engine.connect().execution_options(read_only=True) as connection:
        rows = connection.execute(sa.select(accounts).order_by(accounts.c.name)).all()
    now = utc_now()
    return [
        {
            "name": row.name,
            "role": row.role,
            "stores": json.loads(row.stores),
            "signs_in": "oidc" if row.password_hash is None else "password",
            "state": "disabled" if row.is_disabled else "locked" if (row.locked_until or now) > now else "active",
            "created_at": row.created_at,
        }
        for row in rows
    ]


def has_accounts(engine: sa.Engine) -> bool:
    """Whether anybody could sign in."""
    with engine.connect().execution_options(read_only=True) as connection:
        return connection.execute(sa.select(accounts.c.name).limit(1)).first() is not None


def disable(settings: Settings, engine: sa.Engine, name: str, by: str) -> None:
    """Let the account in no more, and end its sessions at once."""
    _change(settings, engine, name, by, "account.disable", {"is_disabled": True}, ends_sessions=True)


def enable(settings: Settings, engine: sa.Engine, name: str, by: str) -> None:
    """Undo `disable`."""
    _change(settings, engine, name, by, "account.enable", {"is_disabled": False})


def unlock(settings: Settings, engine: sa.Engine, name: str, by: str) -> None:
    """Let an account that was locked after failures try again now."""
    _change(settings, engine, name, by, "account.unlock", {"failures": 0, "locked_until": None})


def set_password(settings: Settings, engine: sa.Engine, name: str, password: str, by: str) -> None:
    """Another password; whoever is signed in with the old one is signed out."""
    values = {"password_hash": hash_password(password), "failures": 0, "locked_until": None}
    _change(settings, engine, name, by, "account.password", values, ends_sessions=True)


def set_role(settings: Settings, engine: sa.Engine, name: str, role: str, stores: tuple[str, ...], by: str) -> None:
    """Another role or other stores; both hold from the next look at a page on."""
    check_role(role, stores)
    kept = sorted(set(stores))
    details: dict[str, audit.Detail] = {"role": role, "stores": ",".join(kept)}
    _change(settings, engine, name, by, "account.role", {"role": role, "stores": json.dumps(kept)}, details=details)


def _change(
    settings: Settings, engine: sa.Engine, name: str, by: str, action: str, values: dict[str, Any],
    ends_sessions: bool = False, details: dict[str, audit.Detail] | None = None,
) -> None:  # fmt: skip
    plain = account_name(name)
    with engine.begin() as transaction:
        changed = transaction.execute(accounts.update().where(accounts.c.name == plain).values(values))
        if not changed.rowcount:
            raise ConfigurationError(f"There is no account {plain}; see `omnilake users list`.")
        if ends_sessions:
            transaction.execute(sessions.delete().where(sessions.c.name == plain))
        head = audit.record_within(transaction, settings, by, action, f"account:{plain}", details)
    audit.anchor(settings, engine, head)


def utc_now() -> datetime:
    """Now, as the state database keeps instants: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)
