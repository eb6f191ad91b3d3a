"""Pushes to an API over real HTTP that counts what took effect, and behaves badly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from pipelines.activation.dispatch import RETRY_SECONDS
from pipelines.bench.push_api import PushApi
from pipelines.destinations.registry import load_destinations
from pipelines.errors import ConfigurationError

PERSONS = 40


@pytest.fixture
def api() -> Iterator[PushApi]:
    with PushApi() as started:
        yield started


@pytest.fixture(params=[1, 16], ids=["one_by_one", "batches"])
def shop(world, api, request):
    """A retailer whose coupons go to the API."""
    settings = {"kind": "rest", "url": api.url, "operations": ["coupon"], "batch_size": request.param, "timeout": 2}
    world.configure("destinations.yml", {"destinations": {"files": settings}})
    world.publish([world.person(f"c{number:03d}") for number in range(PERSONS)])
    return world


def all_applied_once(world, api, count=PERSONS):
    return (
        set(world.states().values()) == {"applied"}
        and len(api.effects.applied) == count
        and api.effects.duplicates == 0
    )


def test_everybody_gets_one_coupon_and_a_second_push_sends_nothing(shop, api):
    shop.push()
    assert all_applied_once(shop, api)

    calls = sum(api.effects.calls.values())
    shop.push()
    assert sum(api.effects.calls.values()) == calls


def test_applied_but_not_answered_is_found_and_never_sent_again(shop, api):
    api.effects.configure({"behave": "takes_but_hangs_up"})
    shop.push()
    api.effects.configure({"behave": "answers"})
    for _ in range(6):
        shop.now += timedelta(hours=9)
        shop.push()

    assert all_applied_once(shop, api)


def test_one_call_in_doubt_is_settled_in_the_same_push(shop, api):
    api.effects.configure({"behave": "takes_but_hangs_up", "left": 1})
    shop.push()

    assert all_applied_once(shop, api)


def test_a_connection_that_breaks_without_effect_is_tried_again_by_schedule(shop, api):
    api.effects.configure({"behave": "hangs_up", "left": 1})
    shop.push()
    assert "planned" in shop.states().values()

    shop.now += timedelta(seconds=RETRY_SECONDS[0])
    shop.push()
    assert all_applied_once(shop, api)


def test_a_dead_api_is_not_waited_for_row_by_row_and_costs_no_attempt(world, api):
    settings = {"kind": "rest", "url": "http://127.0.0.1:9", "operations": ["coupon"], "concurrency": 1}
    world.configure("destinations.yml", {"destinations": {"files": settings}})
    world.publish([world.person(f"c{number:03d}") for number in range(PERSONS)])
    report = world.push()

    assert report.failures[0].startswith("files: 3 calls in a row failed (POST 127.0.0.1:9/coupons: no connection")
    assert {row["attempts"] for row in world.log("coupon")} == {0}

    settings["url"] = api.url
    world.configure("destinations.yml", {"destinations": {"files": settings}})
    world.now += timedelta(days=15)
    world.push()
    assert all_applied_once(world, api)


def test_refused_credentials_give_the_destination_up_and_lose_nobody(shop, api):
    api.effects.configure({"behave": "refuses_the_token"})
    report = shop.push()

    assert "our credentials are refused" in report.failures[0]
    assert set(shop.states().values()) == {"planned"}
    assert api.effects.calls["/coupons"] <= 4

    api.effects.configure({"behave": "answers"})
    shop.push()
    assert all_applied_once(shop, api)


def test_a_busy_api_is_waited_for(shop, api):
    api.effects.configure({"behave": "is_busy", "left": 2})
    shop.push()

    assert all_applied_once(shop, api)
    assert shop.slept


@pytest.mark.parametrize(("status", "state"), [(422, "rejected"), (500, "planned")])
def test_poison_stops_nobody_else(shop, api, status, state):
    api.effects.configure({"poison": ["c007"], "poison_answer": status})
    shop.push()
    for _ in range(3):
        shop.now += timedelta(days=1)
        shop.push()

    states = shop.states()
    assert states.pop("c007") == state
    assert set(states.values()) == {"applied"}
    assert api.effects.duplicates == 0


def test_a_record_that_the_api_never_manages_ends_in_rejected_with_its_reason(shop, api):
    api.effects.configure({"poison": ["c007"], "poison_answer": 500})
    for _ in range(12):
        shop.push()
        shop.now += timedelta(days=2)

    (row,) = [row for row in shop.log("coupon") if row["customer_id"] == "c007"]
    assert (row["state"], row["attempts"]) == ("rejected", 8)
    assert "answered 500" in row["reason"]


def test_money_and_prefix_travel_as_text(world, api):
    settings = {"kind": "rest", "url": api.url, "prefix": "ours:"}
    world.configure("destinations.yml", {"destinations": {"files": settings}})
    api.effects.configure({"keeps_bodies": True})
    world.publish([world.person("c001", skus=["0071"])])
    world.push()
    bodies = list(api.effects.bodies.values())

    (coupon,) = [body for body in bodies if "code" in body]
    assert (coupon["value"], coupon["threshold"], coupon["currency"]) == ("30.00", "199", "CNY")
    (tags,) = [body for body in bodies if "add" in body]
    assert {tag["tag"] for tag in tags["add"]} == {"ours:segment", "ours:lifecycle"}


def test_the_token_is_in_no_text(world, api, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "a-very-secret-token")
    settings = {"kind": "rest", "url": api.url, "token_env": "SHOP_TOKEN"}
    world.configure("destinations.yml", {"destinations": {"files": settings}})
    api.effects.configure({"behave": "refuses_the_token"})
    world.publish([world.person("c001")])
    report = world.push()

    assert "a-very-secret-token" not in "".join([*report.lines(), repr(report), str(world.log())])
    assert report.failures


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "needs the setting url"),
        ({"url": "ftp://x"}, "unusable url"),
        ({"url": "http://x", "paths": {"letters": "/x"}}, "unusable paths"),
        ({"url": "http://x", "paths": {"tags": "x"}}, "unusable paths"),
        ({"url": "http://x", "batch_size": 0}, "unusable batch_size"),
        ({"url": "http://x", "bach_size": 7}, "does not know the setting.*bach_size"),
    ],
)
def test_a_wrong_setting_is_named(world, entry, words):
    world.configure("destinations.yml", {"destinations": {"out": {"kind": "rest", **entry}}})

    with pytest.raises(ConfigurationError, match=words):
        load_destinations(world.settings)
