"""Who looks at the page: a local account's session, an OIDC user, or anybody where sign-in is off.

Belongs here: from the browser's cookie or the provider's claims to an account, and the settings of it. Does not belong
here: passwords and sessions (`pipelines/accounts`), the sign-in page (`dashboards/web`), what a role may see.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import sqlalchemy as sa

from pipelines.accounts.sessions import LASTS, account_named, find_account
from pipelines.accounts.store import ROLES, Account
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.state import open_state

COOKIE = "omnilake_session"
Mode = Literal["accounts", "oidc", "off"]
NOBODY_IN_PARTICULAR = Account("local", "admin")
"""Whoever is at the machine, where OMNILAKE_SIGN_IN is off."""
_OIDC = ("CLIENT_ID", "CLIENT_SECRET", "METADATA_URL", "REDIRECT_URI", "COOKIE_SECRET")
_PREFIX = "OMNILAKE_OIDC_"


def sign_in_mode(environ: Mapping[str, str] | None = None) -> Mode:
    """How people sign in: OMNILAKE_SIGN_IN. Raises ConfigurationError for a word that is none."""
    chosen = (os.environ if environ is None else environ).get("OMNILAKE_SIGN_IN", "").strip() or "accounts"
    for mode in ("accounts", "oidc", "off"):
        if chosen == mode:
            return mode
    raise ConfigurationError(f"OMNILAKE_SIGN_IN is {chosen!r}; choose accounts, oidc or off.")


def oidc_secrets(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What `st.login` needs, from the environment; empty where secrets.toml is to have it.

    Raises ConfigurationError if some of the settings are given and others are not.
    """
    environment = os.environ if environ is None else environ
    given = {name: environment.get(_PREFIX + name, "") for name in _OIDC}
    if not any(given.values()):
        return {}
    missing = [_PREFIX + name for name, value in given.items() if not value]
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} is not set; OIDC needs all of them (see .env.example).")
    return {
        "auth": {
            "redirect_uri": given["REDIRECT_URI"],
            "cookie_secret": given["COOKIE_SECRET"],
            "client_id": given["CLIENT_ID"],
            "client_secret": given["CLIENT_SECRET"],
            "server_metadata_url": given["METADATA_URL"],
        }
    }


@dataclass(frozen=True)
class Claims:
    """Which claims of the provider say the name, the role and the stores."""

    name: str = "email"
    role: str = "roles"
    stores: str = "stores"


def claims_in(environ: Mapping[str, str] | None = None) -> Claims:
    """The claims' names: OMNILAKE_OIDC_NAME_CLAIM, _ROLE_CLAIM and _STORES_CLAIM, where they are set."""
    environment = os.environ if environ is None else environ
    default = Claims()
    return Claims(
        environment.get(f"{_PREFIX}NAME_CLAIM") or default.name,
        environment.get(f"{_PREFIX}ROLE_CLAIM") or default.role,
        environment.get(f"{_PREFIX}STORES_CLAIM") or default.stores,
    )


@lru_cache(maxsize=8)
def state_of(settings: Settings) -> sa.Engine:
    """The home's state database, opened once a process."""
    return open_state(settings)


def account_of_session(settings: Settings, token: str | None) -> Account | None:
    """Whose session the cookie names; None if it has none or it has ended. A home without state has no sessions."""
    return find_account(state_of(settings), token) if token else None


def account_of_claims(settings: Settings, user: Mapping[str, Any], claims: Claims) -> Account | None:
    """Who the provider says it is: with the role of the claim, else with that of the account of the same name.

    None without either, 12 hours after the sign-in, or where the provider says that the address is not verified. Of
    several roles the claim may hold, the first in the order of ROLES counts; a store manager without stores has none.
    """
    name = user.get(claims.name)
    if not isinstance(name, str) or not name.strip():
        return None
    if claims.name == "email" and user.get("email_verified") is False:
        return None
    issued = user.get("iat")
    if isinstance(issued, int | float) and datetime.now(UTC).timestamp() >= issued + LASTS.total_seconds():
        return None
    given = _words(user.get(claims.role))
    role = next((role for role in ROLES if role in given), None)
    if role is None:
        return account_named(state_of(settings), name)
    stores = _words(user.get(claims.stores)) if role == "store_manager" else ()
    return Account(name.strip().lower(), role, tuple(sorted(set(stores))))


def _words(claim: Any) -> tuple[str, ...]:
    """A claim as providers give it: a list, or one text."""
    if isinstance(claim, str):
        return (claim,)
    return tuple(word for word in claim if isinstance(word, str)) if isinstance(claim, list | tuple) else ()
