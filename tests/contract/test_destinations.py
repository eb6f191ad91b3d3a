"""What every destination must do, whatever its platform. A new one joins by one line in DESTINATIONS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.bench.push_api import PushApi
from pipelines.connectors.protocol import Options
from pipelines.destinations import rest, vendure
from pipelines.destinations.files import FilesDestination
from pipelines.destinations.protocol import (
    CouponIssue,
    CouponRevocation,
    Destination,
    Found,
    Offer,
    Operation,
    OutcomeKind,
    Recipient,
    RecommendationList,
    RecommendedItem,
    RevokesCoupons,
    SourceId,
    Tag,
    TagChange,
)
from tests.support import served_destinations
from tests.support.mall_server import PASSWORD, MallServer


def files(folder: Path) -> Destination:
    return FilesDestination("files", folder / "outbound", list(Operation))


def parquet_files(folder: Path) -> Destination:
    return FilesDestination("files", folder / "outbound", list(Operation), form="parquet")


def files_of_an_sms_provider(folder: Path) -> Destination:
    columns = {"编号": "key", "客户": "customer_id", "手机号": "contact"}
    return FilesDestination("sms", folder / "outbound", list(Operation), contact="phone", columns=columns)


_MALLS: dict[Path, MallServer] = {}


def mall(folder: Path) -> Destination:
    if folder not in _MALLS:
        _MALLS[folder] = MallServer().__enter__()
        for number in range(20):
            _MALLS[folder].person(f"c{number}")
    options = _MALLS[folder].options()
    return vendure.connect("mall", list(Operation), replace(options, secrets={"password": PASSWORD}), "omnilake:")


_APIS: dict[Path, PushApi] = {}


def rest_one_by_one(folder: Path) -> Destination:
    return _rest(folder, 1)


def rest_in_batches(folder: Path) -> Destination:
    return _rest(folder, 3)


def _rest(folder: Path, batch_size: int) -> Destination:
    if folder not in _APIS:
        _APIS[folder] = PushApi().__enter__()
    options = Options("", {"url": _APIS[folder].url, "batch_size": batch_size})
    return rest.connect("api", list(Operation), options, "omnilake:")


DESTINATIONS: list[Callable[[Path], Destination]] = [
    files,
    parquet_files,
    files_of_an_sms_provider,
    rest_one_by_one,
    rest_in_batches,
    served_destinations.corner_shop,
    mall,
    served_destinations.odoo_till,
    served_destinations.shopify_shop,
    served_destinations.wechat_account,
    served_destinations.woocommerce_shop,
    served_destinations.youzan_shop,
]


@pytest.fixture(params=DESTINATIONS, ids=lambda make: make.__name__)
def make_destination(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Destination]]:
    """Connects to the same place each time, as a process that starts again does."""
    yield lambda: request.param(tmp_path)
    if running := _MALLS.pop(tmp_path, None):
        running.__exit__()


def records(operation: Operation, numbers: range) -> list[Any]:
    """Records for several persons, with everything that can trip a writer."""
    made: list[Any] = []
    for number in numbers:
        recipient = Recipient(f"c{number}", f"c{number}", (SourceId("mall", f'"{number}",\n=1+1'),))
        common = {
            "key": f"{operation}-{number:04d}",
            "recipient": recipient,
            "source_id": recipient.address,
            "version": 1,
            "decided_on": date(2026, 3, 31),
        }
        match operation:
            case Operation.TAGS:
                made.append(TagChange(**common, add=(Tag("segment", "冠军, “a”"),), remove=(Tag("segment", "b\r\nc"),)))
            case Operation.RECOMMENDATIONS:
                made.append(RecommendationList(**common, items=(RecommendedItem(1, "007", "买过「X」", None),)))
            case Operation.COUPON:
                offer = Offer("amount_off", Decimal("30.00"), Decimal("199"), "CNY")
                made.append(
                    CouponIssue(
                        **common,
                        campaign_id="recall",
                        wave="1",
                        code=f"CODE{number}",
                        offer=offer,
                        valid_from=date(2026, 3, 31),
                        valid_to=date(2026, 4, 30),
                    )
                )
            case Operation.REVOKE:
                made.append(
                    CouponRevocation(
                        **common,
                        campaign_id="recall",
                        wave="1",
                        code=f"CODE{number}",
                        coupon_key=f"coupon-{number:04d}",
                        reason="its customer was parted",
                    )
                )
    return made


def send(destination: Destination, operation: Operation, batch: list[Any]) -> dict[str, OutcomeKind]:
    call: dict[Operation, Callable[[Any], Any]] = {
        Operation.TAGS: destination.apply_tags,
        Operation.RECOMMENDATIONS: destination.put_recommendations,
        Operation.COUPON: destination.issue_coupon,
    }
    if operation is Operation.REVOKE:
        # Only what was issued can be taken back.
        assert isinstance(destination, RevokesCoupons)
        destination.issue_coupon(records(Operation.COUPON, range(5)) if batch else [])
        call[operation] = destination.revoke_coupon
    return {outcome.key: outcome.kind for outcome in call[operation](batch)}


def supported(destination: Destination) -> list[Operation]:
    return sorted(destination.capabilities().operations)


def test_capabilities_are_told_without_a_call_and_make_sense(make_destination):
    capabilities = make_destination().capabilities()

    assert capabilities.operations
    assert capabilities.reads_back <= capabilities.operations
    assert capabilities.resend_is_safe <= capabilities.operations
    assert all(capabilities.batch_size[operation] >= 1 for operation in capabilities.operations)


def test_every_record_of_a_batch_gets_an_outcome(make_destination):
    destination = make_destination()
    for operation in supported(destination):
        batch = records(operation, range(5))
        outcomes = send(destination, operation, batch)

        assert set(outcomes) == {record.key for record in batch}
        assert set(outcomes.values()) <= {OutcomeKind.APPLIED, OutcomeKind.ALREADY}


def test_the_same_batch_again_is_one_effect(make_destination):
    for operation in supported(make_destination()):
        batch = records(operation, range(5))
        send(make_destination(), operation, batch)
        outcomes = send(make_destination(), operation, batch)

        assert set(outcomes.values()) <= {OutcomeKind.APPLIED, OutcomeKind.ALREADY}
        assert make_destination().received(operation) in (5, None)


def test_what_was_applied_is_found_by_another_process_and_nothing_else_is(make_destination):
    for operation in sorted(make_destination().capabilities().reads_back):
        applied, absent = records(operation, range(3)), records(operation, range(10, 13))
        send(make_destination(), operation, applied)
        found = make_destination().read_back(operation, applied + absent)

        assert found == {
            **{record.key: Found.PRESENT for record in applied},
            **{record.key: Found.ABSENT for record in absent},
        }


def test_reading_back_from_an_untouched_destination_finds_nothing(make_destination):
    destination = make_destination()
    for operation in sorted(destination.capabilities().reads_back):
        batch = records(operation, range(2))

        assert destination.read_back(operation, batch) == {record.key: Found.ABSENT for record in batch}
        assert destination.received(operation) in (0, None)


def test_an_empty_batch_is_no_call(make_destination):
    destination = make_destination()
    for operation in supported(destination):
        assert send(destination, operation, []) == {}
        assert destination.received(operation) in (0, None)


def test_a_customer_has_an_id_there(make_destination):
    recipient = Recipient("c1", "c1", (SourceId("mall", "m1"),))

    assert make_destination().resolve_customer(recipient) is not None


def test_a_withdrawn_list_reaches_the_destination(make_destination):
    destination = make_destination()
    if Operation.RECOMMENDATIONS not in destination.capabilities().operations:
        pytest.skip("takes no recommendations")
    recipient = Recipient("c1", "c1", ())
    withdrawn = RecommendationList("k", recipient, "c1", 2, date(2026, 3, 31), ())
    send(destination, Operation.RECOMMENDATIONS, [withdrawn])

    assert destination.read_back(Operation.RECOMMENDATIONS, [withdrawn]) == {"k": Found.PRESENT}


UNCAPPED = ("mall", "shopify_shop", "woocommerce_shop")
"""Platforms whose percentages know no greatest amount."""


def test_a_percentage_is_held_below_its_greatest_amount_or_refused(make_destination, request):
    destination = make_destination()
    if Operation.COUPON not in destination.capabilities().operations:
        pytest.skip("issues no coupons")
    (coupon,) = records(Operation.COUPON, range(1))
    capped = replace(coupon, offer=Offer("percent_off", Decimal(20), Decimal(0), "CNY", max_discount=Decimal("30.00")))
    outcome = send(destination, Operation.COUPON, [capped])[coupon.key]

    is_refused = request.node.callspec.id in UNCAPPED
    assert outcome is (OutcomeKind.REJECTED if is_refused else OutcomeKind.APPLIED)
