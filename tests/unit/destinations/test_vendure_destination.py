"""The Vendure destination where the server isn't as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from pipelines.destinations import vendure
from pipelines.destinations.protocol import (
    CouponIssue,
    Destination,
    Offer,
    Operation,
    OutcomeKind,
    Recipient,
    Tag,
    TagChange,
)
from pipelines.errors import ConfigurationError
from tests.support.mall_server import PASSWORD, MallServer
from tests.support.platform_server import Answer, Call

DAY = date(2026, 3, 31)


@pytest.fixture
def server() -> Iterator[MallServer]:
    with MallServer() as running:
        running.person("1")
        yield running


def connect(server: MallServer, **settings: str) -> Destination:
    options = server.options()
    options = replace(options, settings={**options.settings, **settings}, secrets={"password": PASSWORD})
    return vendure.connect("mall", list(Operation), options, "omnilake:")


def coupon(owner: str = "1", value: str = "30.00", threshold: str = "199") -> CouponIssue:
    offer = Offer("amount_off", Decimal(value), Decimal(threshold), "CNY")
    return CouponIssue("k", Recipient("c1", owner), owner, 1, DAY, "recall", "1", "CODE", offer, DAY, date(2026, 4, 30))


def test_without_the_custom_fields_nothing_is_refused_for_good(
    server: MallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_fields(call: Call) -> Answer:
        if b"omnilake" in call.body:
            error = {"message": "Cannot query field", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}
            return Answer({"errors": [error]}, 400)
        return MallServer.answer(server, call)

    monkeypatch.setattr(server, "answer", without_fields)
    change = TagChange("k", Recipient("c1", "1"), "1", 1, DAY, add=(Tag("segment", "loyal"),))

    with pytest.raises(ConfigurationError, match="custom fields"):
        connect(server).apply_tags([change])
    with pytest.raises(ConfigurationError, match="custom fields"):
        connect(server).issue_coupon([coupon()])


def test_the_days_of_a_coupon_are_those_of_the_shop(server: MallServer) -> None:
    connect(server, timezone="Asia/Tokyo").issue_coupon([coupon()])
    (promotion,) = server.lists["promotions"].values()

    assert promotion["startsAt"] == "2026-03-30T15:00:00.000Z"
    assert promotion["endsAt"] == "2026-04-30T14:59:59.999Z"


@pytest.mark.parametrize(("value", "threshold"), [("30.005", "199"), ("30.00", "199.001")])
def test_an_amount_that_the_server_cannot_hold_is_refused_and_not_rounded(
    server: MallServer, value: str, threshold: str
) -> None:
    (outcome,) = connect(server).issue_coupon([coupon(value=value, threshold=threshold)])

    assert outcome.kind is OutcomeKind.REJECTED
    assert server.lists["promotions"] == {}


def test_a_group_to_which_somebody_else_was_added_is_no_group_of_one(server: MallServer) -> None:
    connect(server).issue_coupon([coupon()])
    (group,) = server.lists["customerGroups"].values()
    group["customers"]["items"].append({"id": "2"})
    server.lists["promotions"].clear()
    (outcome,) = connect(server).issue_coupon([coupon()])

    assert (outcome.kind, server.lists["promotions"]) == (OutcomeKind.REJECTED, {})


@pytest.mark.parametrize("address", ["t_4f7e=", "13912345678", ""])
def test_an_address_that_is_no_customers_number_reaches_no_batch(server: MallServer, address: str) -> None:
    assert connect(server).resolve_customer(Recipient("c1", address)) is None


@pytest.mark.parametrize("settings", [{"timezone": "Asia/Nowhere"}, {"timezones": "Asia/Tokyo"}])
def test_a_wrong_setting_is_found_at_start_by_name(server: MallServer, settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"'mall'.*timezone"):
        connect(server, **settings)
