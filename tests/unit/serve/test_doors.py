"""Who may come in: secrets by the names of their variables, and nobody by a slip of configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines import inbox
from pipelines.channels import load_channels
from pipelines.connectors.protocol import WebhookEvent
from pipelines.doctor import examine
from pipelines.doors import Door, channel_of_key, open_doors
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from tests.unit.serve.conftest import StubMall

CHANNELS = """
channels:
  - {id: mall, kind: pc_web, connector: stub, api_key_env: MALL_API, lookup_key_env: MALL_KEY}
  - {id: pos, kind: pos, webhook_secret_env: POS_HOOK, lookup_key_env: POS_KEY}
  - {id: kiosk, kind: kiosk}
"""
ENVIRON = {"MALL_KEY": "m", "POS_HOOK": "h", "POS_KEY": "p"}


@pytest.fixture
def home(settings: Settings) -> Settings:
    reference = settings.home / "reference"
    reference.mkdir(parents=True)
    (reference / "channels.yml").write_text(CHANNELS)
    return settings


def test_every_channel_has_its_door(home: Settings) -> None:
    doors = open_doors(load_channels(home), {"mall": StubMall()}, ENVIRON)
    assert {name: (door.has_webhooks, door.hook_secret, door.lookup_key) for name, door in doors.items()} == {
        "mall": (True, None, b"m"),
        "pos": (False, b"h", b"p"),
        "kiosk": (False, None, None),
    }


@pytest.mark.parametrize("missing", ["MALL_KEY", "POS_HOOK", "POS_KEY"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_that_is_not_set_stops_at_start_by_its_name(home: Settings, missing: str, value: str | None) -> None:
    environ = {name: text for name, text in ENVIRON.items() if name != missing}
    with pytest.raises(ConfigurationError, match=f"{missing} is not set"):
        open_doors(load_channels(home), {}, environ if value is None else environ | {missing: value})


def test_two_channels_may_not_share_a_key(home: Settings) -> None:
    with pytest.raises(ConfigurationError, match="'mall' and 'pos' have the same look-up key") as fault:
        open_doors(load_channels(home), {}, ENVIRON | {"POS_KEY": "m"})
    assert "'m'" not in str(fault.value)


def test_no_door_shows_its_secrets() -> None:
    shown = repr(Door("mall", hook_secret=b"hush", lookup_key=b"hush"))
    assert "hush" not in shown


def test_an_empty_key_is_nobodys() -> None:
    assert channel_of_key([Door("kiosk"), Door("mall", lookup_key=b"m")], "") is None
    assert channel_of_key([Door("kiosk"), Door("mall", lookup_key=b"m")], "m") == "mall"


def _findings(home: Settings, check: str) -> list[tuple[bool, str, str]]:
    return [(found.ok, found.found, found.remedy) for found in examine(home) if found.check == check]


def test_doctor_says_for_whom_serve_is_open_and_why_it_would_not_start(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home.home / "reference" / "channels.yml"
    path.write_text("\n".join(line for line in CHANNELS.splitlines() if "stub" not in line))
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert _findings(home, "serve") == [(True, "webhooks of pos; look-ups of pos", "")]
    monkeypatch.delenv("POS_KEY")
    ((ok, _, remedy),) = _findings(home, "serve")
    assert not ok
    assert "POS_KEY is not set" in remedy


def test_doctor_says_when_webhooks_have_waited_too_long(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.home / "reference" / "channels.yml").write_text("channels:\n  - {id: mall, kind: pc_web}\n")
    inbox.append(home, "mall", [WebhookEvent("orders", "O1", "E1")])
    assert _findings(home, "inbox of mall") == []
    (path,) = inbox.waiting_files(home, "mall")
    long_ago = datetime.now(UTC) - timedelta(days=3)
    _age(path, long_ago)
    ((ok, found, remedy),) = _findings(home, "inbox of mall")
    assert (ok, found) == (False, f"waits since {long_ago:%Y-%m-%d %H:%M} UTC")
    assert "omnilake run" in remedy


def _age(path: Path, at: datetime) -> None:
    before, _, _ = path.read_text().partition('"received_at"')
    path.write_text(f'{before}"received_at": "{at.isoformat()}"}}\n')
