"""The examples on the platforms' pages are configuration that loads, and their secrets are named, never written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.channels import load_channels
from pipelines.connectors.registry import load_connectors
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import load_destinations
from pipelines.settings import Settings

DOCS = Path(__file__).parents[3] / "docs" / "platforms"
PAGES = ["shopify", "wechat", "woocommerce", "youzan"]


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_load(page: str, tmp_path: Path):
    channels_text, destinations_text = examples(page)
    settings = Settings(home=tmp_path)
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "channels.yml").write_text(channels_text, encoding="utf-8")
    (tmp_path / "reference" / "destinations.yml").write_text(destinations_text, encoding="utf-8")
    secrets = dict.fromkeys(re.findall(r"_env: (\w+)", channels_text), "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
    connectors = load_connectors(settings, load_channels(settings), secrets)
    destinations = load_destinations(settings, environ=secrets)

    assert [type(connector).__module__ for connector in connectors.values()] == [f"pipelines.connectors.{page}"]
    (configured,) = destinations.values()
    # Whoever is to issue coupons is asked to take them back too, where the platform can.
    asked, able = set(configured.settings.operations), configured.destination.capabilities().operations
    assert asked - {Operation.REVOKE} == able - {Operation.REVOKE}
    assert configured.destination.capabilities().channel in load_channels(settings).channels


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_how_it_was_tested(page: str):
    assert "**Tested on recorded shapes**" in (DOCS / f"{page}.md").read_text(encoding="utf-8")
