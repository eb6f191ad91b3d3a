from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from dashboards.access import Scope, scope_of
from dashboards.visitor import Claims, account_of_claims, claims_in, oidc_secrets, sign_in_mode, state_of
from pipelines.accounts.store import Account, add_account, disable
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings, load_settings

OIDC = {
    f"OMNILAKE_OIDC_{name}": name.lower()
    for name in ("CLIENT_ID", "CLIENT_SECRET", "METADATA_URL", "REDIRECT_URI", "COOKIE_SECRET")
}


@pytest.fixture
def own_settings(empty_home: Path) -> Settings:
    settings = load_settings(empty_home)
    add_account(settings, state_of(settings), "eva@corp.example", "auditor", (), None, "cli")
    return settings


def account(settings: Settings, **claims: Any) -> Account | None:
    return account_of_claims(settings, claims, Claims())


def test_accounts_are_the_default_and_a_wrong_word_is_named() -> None:
    assert sign_in_mode({}) == "accounts"
    assert sign_in_mode({"OMNILAKE_SIGN_IN": "off"}) == "off"
    with pytest.raises(ConfigurationError, match="OMNILAKE_SIGN_IN"):
        sign_in_mode({"OMNILAKE_SIGN_IN": "no"})


def test_the_provider_is_told_by_the_environment_whole_or_not_at_all() -> None:
    assert oidc_secrets({}) == {}
    assert oidc_secrets(OIDC)["auth"]["server_metadata_url"] == "metadata_url"
    with pytest.raises(ConfigurationError, match="OMNILAKE_OIDC_CLIENT_SECRET"):
        oidc_secrets({name: value for name, value in OIDC.items() if "CLIENT_SECRET" not in name})


def test_the_role_comes_from_the_claim(own_settings: Settings) -> None:
    assert account(own_settings, email="Bo@corp.example", roles=["x", "marketer"]) == Account(
        "bo@corp.example", "marketer"
    )
    manager = account(own_settings, email="bo@corp.example", roles="store_manager", stores=["S2", "S1"])
    assert manager == Account("bo@corp.example", "store_manager", ("S1", "S2"))


def test_or_from_the_account_of_that_name(own_settings: Settings) -> None:
    assert account(own_settings, email="EVA@corp.example") == Account("eva@corp.example", "auditor")
    disable(own_settings, state_of(own_settings), "eva@corp.example", "cli")
    assert account(own_settings, email="eva@corp.example") is None


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"email": ""},
        {"email": ["eva@corp.example"]},
        {"email": "bo@corp.example"},
        {"email": "bo@corp.example", "roles": ["boss"]},
        {"email": "bo@corp.example", "roles": {"admin": True}},
        {"email": "eva@corp.example", "email_verified": False},
        {"email": "eva@corp.example", "roles": ["admin"], "iat": time.time() - 13 * 3600},
        {"sub": "admin", "name": "admin"},
    ],
)
def test_anybody_else_has_no_role(own_settings: Settings, claims: dict[str, Any]) -> None:
    assert account(own_settings, **claims) is None


def test_a_store_manager_without_stores_sees_no_row(own_settings: Settings) -> None:
    manager = account(own_settings, email="bo@corp.example", roles=["store_manager"])
    assert manager is not None
    assert scope_of(manager) == Scope(())


def test_a_store_managers_account_is_a_scope_and_no_others_is() -> None:
    assert scope_of(Account("mia", "store_manager", ("S1",))) == Scope(("S1",))
    assert scope_of(Account("ana", "analyst")) == Scope()


def test_the_claims_may_have_other_names() -> None:
    assert claims_in({"OMNILAKE_OIDC_ROLE_CLAIM": "groups"}) == Claims(role="groups")
