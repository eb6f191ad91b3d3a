"""campaigns.yml: what is refused, and in which words."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.activation.campaigns import load_campaigns
from pipelines.destinations.registry import load_destinations
from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

OFFER = {"kind": "amount_off", "value": 30, "currency": "CNY", "valid_days": 30}


def test_the_packaged_files_are_sound_and_fit_together(tmp_path: Path):
    settings = Settings(home=tmp_path)
    parsed = load_campaigns(settings, set(load_destinations(settings)))

    assert parsed.campaigns["recall"].audience.lifecycle == ("dormant",)
    assert parsed.campaigns["recall"].holdout.share == Decimal("0.10")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"audience": {}}, "campaigns.recall.audience: name at least one of segments, lifecycle"),
        ({"audience": {"lifecycle": ["dormnat"]}}, r"audience\.lifecycle\.0: input should be 'new', 'active'"),
        ({"budget": {}}, "campaigns.recall.budget: name at least one of liability, coupons"),
        ({"holdout": {"share": 1}}, "campaigns.recall.holdout.share: input should be less than 1"),
        ({"holdout": {"share": ".nan"}}, "campaigns.recall.holdout.share"),
        ({"offer": {**OFFER, "kind": "free"}}, "campaigns.recall.offer.kind"),
        ({"offer": {**OFFER, "currency": "RMB"}}, "currency 'RMB' is no ISO 4217 code"),
        ({"offer": {**OFFER, "value": -1}}, "campaigns.recall.offer.value"),
        ({"offer": {**OFFER, "value": 0}}, "value must be more than 0"),
        ({"offer": {**OFFER, "value": "1.005"}}, "campaigns.recall.offer.value"),
        ({"offer": {**OFFER, "kind": "percent_off"}}, "percent_off needs .* max_discount"),
        ({"offer": {**OFFER, "valid_days": 0}}, "campaigns.recall.offer.valid_days"),
        ({"destinations": ["sms"]}, "names sms; destinations.yml has: files"),
        ({"destinations": []}, "campaigns.recall.destinations"),
        ({"destinations": ["files", "files"]}, "names one of them twice"),
        ({"wave": "1", "wave_days": 3, "starts_on": "2026-01-01"}, "give wave or wave_days, not both"),
        ({"wave_days": 3}, "starts_on, which is missing"),
        ({"starts_on": "2026-02-01", "ends_on": "2026-01-01"}, "ends_on lies before starts_on"),
        ({"colour": "red"}, "campaigns.recall.colour: extra inputs are not permitted"),
    ],
)
def test_a_wrong_campaign_is_named_with_its_place(world, change, words):
    world.campaign(**change)

    with pytest.raises(ConfigurationError, match=words):
        load_campaigns(world.settings, {"files"})


def test_a_wrong_cap_is_named_with_its_place(world):
    world.campaign(caps=[{"at_most": 0, "days": 1}])

    with pytest.raises(ConfigurationError, match=r"caps\.0\.at_most"):
        load_campaigns(world.settings)


def test_an_empty_file_means_no_campaign(world):
    (world.settings.home / "reference" / "campaigns.yml").write_text("")

    assert load_campaigns(world.settings).campaigns == {}


def test_broken_yaml_is_a_configuration_error(world):
    (world.settings.home / "reference" / "campaigns.yml").write_text("campaigns: {")

    with pytest.raises(ConfigurationError, match="not readable YAML"):
        load_campaigns(world.settings)


def test_one_percent_coupon_costs_at_most_its_maximum(world):
    world.campaign(offer={**OFFER, "kind": "percent_off", "value": "12.5", "max_discount": "50.00"})
    (campaign,) = load_campaigns(world.settings).campaigns.values()

    assert campaign.offer.liability_cents == 5000


def test_a_campaign_runs_from_its_first_to_its_last_day(world):
    world.campaign(starts_on="2026-01-01", ends_on="2026-01-31")
    (campaign,) = load_campaigns(world.settings).campaigns.values()

    assert [campaign.runs_on(date(2026, 1, day)) for day in (1, 31)] == [True, True]
    assert not campaign.runs_on(date(2025, 12, 31))
    assert not campaign.runs_on(date(2026, 2, 1))


def test_the_packaged_campaigns_go_wherever_coupons_are_taken(settings):
    (settings.home / "reference").mkdir(parents=True)
    (settings.home / "reference" / "destinations.yml").write_text("destinations: {out: {kind: files}}")

    parsed = load_campaigns(settings, set(load_destinations(settings)))

    assert [campaign.destinations for campaign in parsed.campaigns.values()] == [None]
