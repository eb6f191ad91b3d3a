"""What channels.yml says of a pull."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.connectors.registry import first_since, load_connectors
from pipelines.errors import ConfigurationError
from tests.unit.pulling.conftest import MemoryShop, PulledHome

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-01-01", datetime(2025, 12, 31, 16, 0, tzinfo=UTC)),
        ("2026-01-01T08:00:00Z", datetime(2026, 1, 1, 8, 0, tzinfo=UTC)),
        (None, None),
    ],
)
def test_since_is_local_unless_it_names_an_offset(make_home, since, expected):
    home = make_home(**({"since": since} if since else {}))

    assert first_since(home.channels, "mall") == expected


def test_a_since_that_is_no_date_is_found_at_start(make_home, monkeypatch):
    from pipelines.connectors import registry

    monkeypatch.setattr(registry, "KINDS", {"memory": lambda options: MemoryShop(options.channel)})
    home = make_home(since="last year")

    with pytest.raises(ConfigurationError, match=r"'mall' has since 'last year'"):
        load_connectors(home.settings, home.channels, {})


def test_a_home_without_connectors_makes_no_keys_and_no_folders(home: PulledHome):
    assert home.pull().feeds == ()
    assert not home.settings.key_file.exists()
    assert not home.settings.landing.exists()
