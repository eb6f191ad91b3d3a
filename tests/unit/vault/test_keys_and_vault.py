"""Keys and the vault: where keys come from, which are refused, and what sealing promises."""

from __future__ import annotations

import base64
import itertools
import stat
from pathlib import Path

import pytest

from pipelines.activation.coupons import home_secret
from pipelines.errors import ConfigurationError, PermanentError
from pipelines.key_rotation import drop_retired, examine_keys, rotate
from pipelines.keys import RETIRED_VARIABLE, TOKEN_VARIABLE, VAULT_VARIABLE, ensure_keys, load_keys
from pipelines.settings import Settings
from pipelines.vault import Vault


def _key(letter: str) -> str:
    return base64.b64encode(letter.encode() * 32).decode()


def test_a_fresh_home_gets_a_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    keys = ensure_keys(settings, {})
    assert stat.S_IMODE(settings.key_file.stat().st_mode) == 0o600
    assert ensure_keys(settings, {}) == keys
    assert keys.token_key.hex() not in repr(keys)


def test_a_key_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    ensure_keys(settings, {})
    settings.key_file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_keys(settings, {})


@pytest.mark.parametrize("place", ["vault", "lake/raw", "lake/quarantine"])
def test_a_home_with_data_and_no_keys_gets_no_new_ones(tmp_path: Path, place: str) -> None:
    (tmp_path / place / "x").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="keys are gone"):
        ensure_keys(Settings(home=tmp_path), {})
    assert not (tmp_path / "keys.yml").exists()


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    environment = {TOKEN_VARIABLE: _key("a"), VAULT_VARIABLE: _key("b")}
    first = ensure_keys(settings, environment)
    assert not settings.key_file.exists()
    assert ensure_keys(Settings(home=tmp_path / "other"), environment) == first


@pytest.mark.parametrize("text", ["not base64!", base64.b64encode(b"short").decode()])
def test_a_malformed_key_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=TOKEN_VARIABLE) as caught:
        ensure_keys(Settings(home=tmp_path), {TOKEN_VARIABLE: text, VAULT_VARIABLE: _key("b")})
    assert text not in str(caught.value)


def test_another_token_key_or_vault_key_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    keys = ensure_keys(settings, {TOKEN_VARIABLE: _key("a"), VAULT_VARIABLE: _key("b")})
    with Vault.open(settings, keys) as vault, vault.transaction():
        vault.seal_identities([("t1", "phone", "secret")])
    for token, wrapping, named in (("x", "b", "token key"), ("a", "x", "retired_vault_keys")):
        other = load_keys(settings, {TOKEN_VARIABLE: _key(token), VAULT_VARIABLE: _key(wrapping)})
        with pytest.raises(ConfigurationError, match=named):
            Vault.open(settings, other)


def test_a_rotated_vault_key_still_opens_what_the_old_one_sealed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with Vault.open(settings) as vault:
        vault.seal_identities([("t1", "phone", "old")])
    lines = dict(
        line.split(": ") for line in settings.key_file.read_text().splitlines() if ": " in line and line[0] != "#"
    )
    text = f"token_key: {lines['token_key']}\nvault_key: {_key('n')}\nretired_vault_keys: [{lines['vault_key']}]\n"
    settings.key_file.write_text(text)
    settings.key_file.chmod(0o600)
    with Vault.open(settings) as vault:
        vault.seal_identities([("t2", "phone", "new")])
        assert vault.reveal_identities(["t1", "t2"]) == {"t1": "old", "t2": "new"}


def test_sealing_again_changes_nothing_and_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with Vault.open(Settings(home=tmp_path)) as vault:
        assert vault.seal_identities([("t1", "phone", "a")]) == 1
        assert vault.seal_identities([("t1", "phone", "b")]) == 0
        with pytest.raises(TypeError), vault.transaction():
            vault.seal_identities(itertools.chain([("t2", "phone", "c")] * 5000, [None]))  # type: ignore[list-item]
        assert vault.reveal_identities(["t1", "t2"]) == {"t1": "a"}


def test_a_sealed_block_opens_for_its_person_alone_and_only_unchanged(tmp_path: Path) -> None:
    with Vault.open(Settings(home=tmp_path)) as vault:
        sealed = vault.seal_block("batch:1", b"secret" * 100)
        vault.seal_block("batch:2", b"")
        assert vault.open_block("batch:1", sealed) == b"secret" * 100
        for person, data in (("batch:2", sealed), ("batch:1", sealed[:-1] + bytes([sealed[-1] ^ 1]))):
            with pytest.raises(PermanentError, match="does not open"):
                vault.open_block(person, data)


def _keys_of(settings: Settings) -> dict[str, int]:
    with Vault.open(settings) as vault:
        return vault.keys_in_use()


def test_a_rotated_home_opens_with_the_new_key_alone_once_the_old_one_is_let_go(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with Vault.open(settings) as vault:
        vault.seal_identities([("t1", "phone", "13900000001"), ("t2", "phone", "13900000002")])
        vault.seal_profiles([("pos", "m1", 1, 1, '{"name": "甲"}')])
    old = load_keys(settings, {})
    told = rotate(settings, lambda _line: None)
    assert "3 data keys" in told
    assert _keys_of(settings) == {load_keys(settings, {}).vault_key_id: 3}
    assert load_keys(settings, {}).vault_key_id != old.vault_key_id
    assert old.vault_key_id in load_keys(settings, {}).vault_keys
    assert "can go" in examine_keys(settings)
    drop_retired(settings)
    with Vault.open(settings) as vault:
        assert vault.reveal_identities(["t1", "t2"]) == {"t1": "13900000001", "t2": "13900000002"}
        assert vault.reveal_members([("pos", "m1")])["name"].to_pylist() == ["甲"]
    assert list(load_keys(settings, {}).vault_keys) == [load_keys(settings, {}).vault_key_id]
    assert stat.S_IMODE(settings.key_file.stat().st_mode) == 0o600


def test_a_rotation_that_was_cut_off_goes_on_with_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    with Vault.open(settings) as vault:
        vault.seal_identities([(f"t{number}", "phone", f"1390000000{number}") for number in range(5)])
    with monkeypatch.context() as broken:
        broken.setattr(Vault, "compact", lambda _self: (_ for _ in ()).throw(KeyboardInterrupt))
        broken.setattr(Vault, "rewrap", lambda self: _once(self))
        with pytest.raises(KeyboardInterrupt):
            rotate(settings, lambda _line: None)
    new = load_keys(settings, {}).vault_key_id
    assert len(_keys_of(settings)) == 2
    with pytest.raises(ConfigurationError, match="keys rotate"):
        drop_retired(settings)
    with pytest.raises(ConfigurationError, match="keys rotate"):
        examine_keys(settings)
    rotate(settings, lambda _line: None)
    assert _keys_of(settings) == {new: 5}


_rewrap = Vault.rewrap


def _once(vault: Vault) -> int:
    """Two keys, and then the process dies."""
    _rewrap(vault, limit=2)
    return 0


def test_keys_of_the_environment_are_rotated_by_setting_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    monkeypatch.setenv(TOKEN_VARIABLE, _key("a"))
    monkeypatch.setenv(VAULT_VARIABLE, _key("b"))
    with Vault.open(settings) as vault:
        vault.seal_identities([("t1", "phone", "13900000001")])
    with pytest.raises(ConfigurationError, match=RETIRED_VARIABLE):
        rotate(settings, lambda _line: None)
    monkeypatch.setenv(VAULT_VARIABLE, _key("c"))
    with pytest.raises(ConfigurationError, match="not given"):
        rotate(settings, lambda _line: None)
    monkeypatch.setenv(RETIRED_VARIABLE, _key("b"))
    rotate(settings, lambda _line: None)
    monkeypatch.delenv(RETIRED_VARIABLE)
    with Vault.open(settings) as vault:
        assert vault.reveal_identities(["t1"]) == {"t1": "13900000001"}


def test_a_vault_that_is_no_database_is_told_in_words(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with Vault.open(settings):
        pass
    (settings.vault / "vault.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError, match="backup"):
        Vault.open(settings)


def test_a_push_with_another_homes_token_key_is_refused_before_a_second_code_is_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with Vault.open(settings):
        pass
    home_secret(settings)
    settings.key_file.unlink()
    ensure_keys(Settings(home=tmp_path / "other"), {})
    (tmp_path / "other" / "keys.yml").rename(settings.key_file)
    with pytest.raises(ConfigurationError, match="token key is not the one"):
        home_secret(settings)
