"""Whatever goes wrong with whichever call: by looking up and sending again as activation does, every record ends with
exactly one effect."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipelines.connectors import youzan_api
from pipelines.destinations import shopify, vendure, wechat, woocommerce, youzan
from pipelines.destinations.protocol import (
    CouponIssue,
    CouponRevocation,
    Destination,
    Found,
    Offer,
    Operation,
    Outcome,
    OutcomeKind,
    Recipient,
    RecommendationList,
    RecommendedItem,
    Tag,
    TagChange,
)
from pipelines.errors import OmnilakeError
from pipelines.http import waiting
from tests.support.mall_server import PASSWORD, MallServer
from tests.support.platform_server import Fault, PlatformServer
from tests.support.shopify_server import ShopifyServer
from tests.support.wechat_server import WeChatServer
from tests.support.woocommerce_server import WooCommerceServer
from tests.support.youzan_server import YouzanServer

DAY = date(2026, 3, 31)
PEOPLE = ["1", "2", "3"]
SETTLED = (OutcomeKind.APPLIED, OutcomeKind.ALREADY)


@dataclass(frozen=True)
class Platform:
    """make: a server that knows these people. coupons: how many it holds in all."""

    connect: Callable[..., Destination]
    server: type[PlatformServer]
    know: Callable[[Any, str], None]
    coupons: Callable[[Any], int]
    settings: dict[str, Any]


PLATFORMS = {
    "shopify": Platform(
        shopify.connect, ShopifyServer, ShopifyServer.add_customer, lambda server: len(server.discounts), {}
    ),
    "woocommerce": Platform(
        woocommerce.connect, WooCommerceServer, WooCommerceServer.add_customer, lambda server: len(server.coupons), {}
    ),
    "youzan": Platform(
        youzan.connect,
        YouzanServer,
        YouzanServer.add_customer,
        lambda server: sum(map(len, server.vouchers.values())),
        {"activities": {"recall": 555}},
    ),
    "vendure": Platform(
        lambda name, operations, options, prefix: vendure.connect(
            name, operations, replace(options, secrets={"password": PASSWORD}), prefix
        ),
        MallServer,
        MallServer.person,
        lambda server: len(server.lists["promotions"]),
        {},
    ),
    "wechat": Platform(wechat.connect, WeChatServer, WeChatServer.add_follower, lambda _server: 0, {}),
}


def record(operation: Operation, person: str) -> Any:
    recipient = Recipient(f"c{person}", person)
    common = (f"{operation}-{person}", recipient, person, 1, DAY)
    match operation:
        case Operation.TAGS:
            return TagChange(*common, add=(Tag("segment", "champions"),), remove=(Tag("segment", "loyal"),))
        case Operation.RECOMMENDATIONS:
            return RecommendationList(*common, items=(RecommendedItem(1, "TEA-01"),))
        case Operation.REVOKE:
            return CouponRevocation(*common, "recall", "1", f"ABCDEFGH23456{person}", f"coupon-{person}", "split")
    offer = Offer("amount_off", Decimal("30.00"), Decimal("199"), "CNY")
    return CouponIssue(*common, "recall", "1", f"ABCDEFGH23456{person}", offer, DAY, date(2026, 4, 30))


def go_wrong(server: PlatformServer, fault: Fault, position: int) -> None:
    """The call at that position, counted from now, goes wrong."""
    respond, calls = server.respond, iter(range(10_000))

    def wrongly(call):
        if next(calls) == position:
            server.fail_next(fault)
        return respond(call)

    server.respond = wrongly


def sender(destination: Any, operation: Operation) -> Callable[[list[Any]], list[Outcome]]:
    """The method that takes records of an operation."""
    match operation:
        case Operation.TAGS:
            return destination.apply_tags
        case Operation.COUPON:
            return destination.issue_coupon
        case Operation.RECOMMENDATIONS:
            return destination.put_recommendations
    return destination.revoke_coupon


def settle(destination: Destination, operation: Operation, records: list[Any]) -> None:
    """As activation does: what has no clear outcome is looked up, and what isn't there is sent again."""
    send = sender(destination, operation)
    for _ in range(6):
        try:
            outcomes = send(records)
        except OmnilakeError:
            outcomes = []
        kinds = {outcome.key: outcome.kind for outcome in outcomes}
        assert OutcomeKind.REJECTED not in kinds.values()
        doubtful = [one for one in records if kinds.get(one.key) not in (*SETTLED, OutcomeKind.RETRY_AFTER)]
        try:
            found = destination.read_back(operation, doubtful) if doubtful else {}
        except OmnilakeError:
            found = {}
        records = [
            one
            for one in records
            if kinds.get(one.key) not in SETTLED and found.get(one.key, Found.ABSENT) is not Found.PRESENT
            and (one not in doubtful or one.key in found or operation in destination.capabilities().resend_is_safe)
        ]  # fmt: skip
        if not records:
            return
    raise AssertionError(f"never settled: {[one.key for one in records]}")


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.BROKEN, Fault.RESET, Fault.TRUNCATED, Fault.LOST, Fault.ERROR_PAGE,
                                   Fault.EXPIRED], ids=lambda fault: fault.name)  # fmt: skip
@pytest.mark.parametrize("name", PLATFORMS)
def test_every_record_ends_with_exactly_one_effect(name: str, fault: Fault, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    monkeypatch.setattr(youzan_api, "TAG_CALLS_PER_SECOND", 10_000)
    platform = PLATFORMS[name]
    for position in range(5):
        with platform.server() as server:
            for person in PEOPLE:
                platform.know(server, person)
            options = server.options()
            options = replace(options, settings={**options.settings, **platform.settings})
            destination = platform.connect(name, list(Operation), options, "omnilake:")
            for operation in sorted(destination.capabilities().operations):
                records = [record(operation, person) for person in PEOPLE]
                go_wrong(server, fault, position)
                settle(destination, operation, records)
                del server.respond  # the method again
                server.heal()

                assert destination.read_back(operation, records) == {one.key: Found.PRESENT for one in records}
            if Operation.COUPON in destination.capabilities().operations:
                assert platform.coupons(server) == len(PEOPLE)


@pytest.mark.parametrize("name", PLATFORMS)
def test_threads_at_the_same_time_don_t_disturb_each_other(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(youzan_api, "TAG_CALLS_PER_SECOND", 10_000)
    platform, people = PLATFORMS[name], [str(number) for number in range(24)]
    with platform.server() as server, ThreadPoolExecutor(8) as threads:
        for person in people:
            platform.know(server, person)
        options = server.options()
        options = replace(options, settings={**options.settings, **platform.settings})
        destination = platform.connect(name, list(Operation), options, "omnilake:")
        assert destination.capabilities().concurrency > 1
        for operation in sorted(destination.capabilities().operations):
            records = [record(operation, person) for person in people]
            batches = [records[start : start + 3] for start in range(0, len(records), 3)]
            send = sender(destination, operation)
            outcomes = [outcome for made in threads.map(send, batches) for outcome in made]

            assert {outcome.kind for outcome in outcomes} == {OutcomeKind.APPLIED}
            assert destination.read_back(operation, records) == {one.key: Found.PRESENT for one in records}
        if Operation.COUPON in destination.capabilities().operations:
            assert platform.coupons(server) == len(people)
