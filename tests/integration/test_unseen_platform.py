"""A platform that was added by CONTRIBUTING's recipes alone, through the whole night: pull, marts, push, and again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import yaml

from pipelines.connectors import registry as connectors
from pipelines.destinations import registry as destinations
from pipelines.nightly import run_nightly
from pipelines.settings import Settings
from tests.examples import corner_connector, corner_destination
from tests.support.corner_server import KEY, CornerServer
from tests.support.platform_server import Fault

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nightly"), pytest.mark.timeout(900)]

ZONE = ZoneInfo("Asia/Shanghai")
"""Of the business days where channels.yml names none."""


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[CornerServer]:
    monkeypatch.setitem(connectors.KINDS, "corner", corner_connector.connect)
    monkeypatch.setitem(destinations.KINDS, "corner", corner_destination.connect)
    monkeypatch.setenv("CORNER_KEY", KEY)
    reference = settings.home / "reference"
    reference.mkdir(parents=True)
    with CornerServer() as running:
        mall = {"id": "mall", "kind": "pc_web", "connector": "corner", "url": running.url, "api_key_env": "CORNER_KEY"}
        (reference / "channels.yml").write_text(yaml.safe_dump({"channels": [mall | {"since": "2026-01-01"}]}))
        tags = {"kind": "corner", "channel": "mall", "operations": ["tags"]}
        (reference / "destinations.yml").write_text(
            yaml.safe_dump({"destinations": {"files": {"kind": "files"}, "corner": tags}})
        )
        yield running


def test_orders_come_in_and_tags_go_out_once(settings: Settings, server: CornerServer) -> None:
    server.seed(120, datetime.now(UTC))
    buyers = {sale["buyer"]["ref"] for sale in server.sales.values()}
    server.fail_next(Fault.BUSY)
    server.fail_next(Fault.TRUNCATED)
    lines: list[str] = []
    first = run_nightly(settings, datetime.now(ZONE).date(), False, True, lines.append)
    labels = {buyer: dict(given) for buyer, given in server.labels.items()}
    calls = len(server.calls)
    second = run_nightly(settings, datetime.now(ZONE).date(), False, True, lines.append)
    changes = [call for call in server.calls[calls:] if call.method != "GET"]

    assert (first.rows_received, first.rows_quarantined, second.rows_received) == (240, 0, 0)
    assert set(labels) == buyers
    assert all(label.startswith("omnilake:") for given in labels.values() for label in given)
    assert (changes, server.labels) == ([], labels)
