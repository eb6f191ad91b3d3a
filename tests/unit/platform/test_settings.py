from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError
from pipelines.settings import load_settings, note_places, with_places_of_last_run


def test_home_comes_from_argument_then_environment_then_data(tmp_path: Path) -> None:
    environ = {"OMNILAKE_HOME": str(tmp_path / "env")}
    assert load_settings(tmp_path / "arg", environ=environ).home == tmp_path / "arg"
    assert load_settings(environ=environ).home == tmp_path / "env"
    assert load_settings(environ={}).home == Path("data").resolve()


@pytest.mark.parametrize(
    ("name", "value"),
    [("OMNILAKE_MEMORY_LIMIT", "lots"), ("OMNILAKE_THREADS", "0"), ("OMNILAKE_THREADS", "two")],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load_settings(environ={name: value})


def test_a_missing_landing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--landing .*nowhere does not exist"):
        load_settings(landing=tmp_path / "nowhere", environ={})


def test_the_homes_own_reference_file_comes_before_the_packaged_one(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, environ={})
    assert settings.reference("segments.yml").parent.name == "reference"
    assert settings.reference("segments.yml").parent.parent != tmp_path
    own = tmp_path / "reference" / "segments.yml"
    own.parent.mkdir()
    own.write_text("")
    assert settings.reference("segments.yml") == own


def test_commands_that_are_not_told_use_the_places_of_the_last_run(tmp_path: Path) -> None:
    home, landing = tmp_path / "home", tmp_path / "landing"
    landing.mkdir()
    config = tmp_path / "channels.yml"
    config.write_text("channels: []")
    note_places(load_settings(home, landing, config, environ={}))

    later = with_places_of_last_run(load_settings(home, environ={}))
    assert (later.landing, later.channels_file) == (landing, config)

    other = tmp_path / "other"
    other.mkdir()
    assert with_places_of_last_run(load_settings(home, other, environ={})).landing == other

    config.unlink()
    assert with_places_of_last_run(load_settings(home, environ={})).channels_file is None

    note_places(load_settings(home, environ={}))
    assert with_places_of_last_run(load_settings(home, environ={})).landing == home / "landing"


@pytest.mark.parametrize("noted", ["", "[]", "{}", '{"landing": 3, "channels_file": null}', "\xff"])
def test_a_note_that_cannot_be_read_is_no_note(tmp_path: Path, noted: str) -> None:
    (tmp_path / "last-run.json").write_text(noted, encoding="latin-1")
    settings = load_settings(tmp_path, environ={})
    assert with_places_of_last_run(settings) == settings
