"""Signing in and staying signed in: the check of a password, locks after failures, sessions kept on the server.

Belongs here: from a name and password to a session's token, and from a token to the account. Does not belong here:
cookies and pages.

An unknown name, a wrong password, a locked and a disabled account get the same answer after the same work.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import timedelta

import sqlalchemy as sa

from pipelines import audit
from pipelines.accounts.passwords import hash_password, is_outdated, matches
from pipelines.accounts.store import Account, account_name, accounts, sessions, utc_now
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

FAILURES_TO_LOCK = 5
LOCKED_FOR = timedelta(minutes=15)
LASTS = timedelta(hours=12)
IDLE = timedelta(hours=2)
_SEEN_EVERY = timedelta(minutes=5)


def sign_in(settings: Settings, engine: sa.Engine, name: str, password: str) -> str | None:
    """The token of a new session, or None. Five failures in a row lock the account for 15 minutes."""
    try:
        plain = account_name(name)
    except ConfigurationError:
        plain = ""
    with engine.connect().execution_options(read_only=True) as connection:
        row = connection.execute(sa.select(accounts).where(accounts.c.name == plain)).first()
    stored = None if row is None else row.password_hash
    is_right = matches(password, stored)  # outside a transaction: it takes its time on purpose
    rehashed = hash_password(password) if is_right and stored and is_outdated(stored) else None
    token = secrets.token_urlsafe(32)
    with engine.begin() as transaction:
        # Read again under the lock: many attempts at once must not count as one, nor outrun a lock or a new password.
        row = transaction.execute(sa.select(accounts).where(accounts.c.name == plain).with_for_update()).first()
        if row is None:
            about = audit.subject(settings, "account", name)  # what was typed may be anything, a password even
            head = audit.record_within(transaction, settings, "nobody", "sign_in.refuse", about, {"why": "unknown"})
            token = ""
        else:
            now = utc_now()
            is_locked = row.locked_until is not None and row.locked_until > now
            values: dict[str, object] = {}
            if is_right and row.password_hash == stored and not is_locked and not row.is_disabled:
                action, details = "sign_in", None
                values = {"failures": 0, "locked_until": None}
                if rehashed:
                    values["password_hash"] = rehashed
                transaction.execute(
                    sessions.insert().values(token_hash=_hashed(token), name=plain, started_at=now, seen_at=now)
                )
            else:
                token, action = "", "sign_in.refuse"
                why = "disabled" if row.is_disabled else "locked" if is_locked else "password"
                details = {"why": why}
                if why == "password":
                    failures = row.failures + 1
                    values = {"failures": failures}
                    if failures >= FAILURES_TO_LOCK:
                        values = {"failures": 0, "locked_until": now + LOCKED_FOR}
                        details["locked_minutes"] = str(int(LOCKED_FOR.total_seconds() // 60))
            if values:
                transaction.execute(accounts.update().where(accounts.c.name == plain).values(values))
            head = audit.record_within(transaction, settings, plain, action, f"account:{plain}", details)
        transaction.execute(sessions.delete().where(sessions.c.started_at < utc_now() - LASTS))
    audit.anchor(settings, engine, head)
    return token or None


def find_account(engine: sa.Engine, token: str | None) -> Account | None:
    """Whose session it is; None when there is none, or it has ended: 12 hours after its start, 2 after its last use."""
    if not token:
        return None
    hashed = _hashed(token)
    query = (
        sa.select(sessions.c.started_at, sessions.c.seen_at, accounts)
        .join(accounts, accounts.c.name == sessions.c.name)
        .where(sessions.c.token_hash == hashed)
    )
    with engine.connect().execution_options(read_only=True) as connection:
        row = connection.execute(query).first()
    now = utc_now()
    if row is None or row.is_disabled or now >= row.started_at + LASTS or now >= row.seen_at + IDLE:
        return None
    if now >= row.seen_at + _SEEN_EVERY:
        with engine.begin() as transaction:
            transaction.execute(sessions.update().where(sessions.c.token_hash == hashed).values(seen_at=now))
    return Account(row.name, row.role, tuple(json.loads(row.stores)))


def account_named(engine: sa.Engine, name: str) -> Account | None:
    """An account that signs in elsewhere (OIDC), by its name; None if there is none or it is disabled."""
    try:
        plain = account_name(name)
    except ConfigurationError:
        return None
    with engine.connect().execution_options(read_only=True) as connection:
        row = connection.execute(sa.select(accounts).where(accounts.c.name == plain)).first()
    # One with a password is a local account: whoever registers its name at the provider is not its owner.
    if row is None or row.is_disabled or row.password_hash is not None:
        return None
    return Account(row.name, row.role, tuple(json.loads(row.stores)))


def sign_out(settings: Settings, engine: sa.Engine, token: str | None) -> None:
    """End the session; it is no fault if it has ended."""
    account = find_account(engine, token)
    if token is None or account is None:
        return
    with engine.begin() as transaction:
        transaction.execute(sessions.delete().where(sessions.c.token_hash == _hashed(token)))
        head = audit.record_within(transaction, settings, account.name, "sign_out", f"account:{account.name}")
    audit.anchor(settings, engine, head)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
