"""Sending to Odoo when things go wrong: nothing twice, neighbours unharmed, and the right word for each fault."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines.connectors.protocol import Options
from pipelines.destinations.odoo import connect
from pipelines.destinations.protocol import (
    CouponIssue,
    Destination,
    Found,
    Offer,
    Operation,
    OutcomeKind,
    Recipient,
    RecommendationList,
    RecommendedItem,
    Tag,
    TagChange,
)
from pipelines.errors import ConfigurationError
from pipelines.http import CredentialsError, waiting
from tests.support.platform_server import Answer, Fault
from tests.support.till_server import TillServer

TODAY = date(2026, 3, 31)
PEOPLE = range(1000, 1010)


@pytest.fixture
def till(monkeypatch: pytest.MonkeyPatch) -> Iterator[TillServer]:
    monkeypatch.setattr(waiting, "sleep", lambda _seconds: None)
    with TillServer() as server:
        for number in PEOPLE:
            server.add("res.partner", {"id": number, "name": "王", "category_id": [], "phone": "13912345678"})
        yield server


@pytest.fixture
def destination(till: TillServer) -> Destination:
    return connect("till", list(Operation), till.options(), "omnilake:")


def coupon(owner: int, code: str, currency: str = "CNY", later: int = 0) -> CouponIssue:
    offer = Offer("amount_off", Decimal("30.00"), Decimal("199"), currency)
    return CouponIssue(f"key-{code}", Recipient("c", str(owner)), str(owner), 1, TODAY, "recall", "1", code, offer,
                       TODAY + timedelta(days=later), TODAY + timedelta(days=30))  # fmt: skip


def tagged(owner: int, add: str, remove: str | None = None, version: int = 1) -> TagChange:
    gone = (Tag("segment", remove),) if remove else ()
    key = f"tag-{owner}-{version}"
    return TagChange(key, Recipient("c", str(owner)), str(owner), version, TODAY, (Tag("segment", add),), gone)


def kinds(outcomes: list[Any]) -> dict[str, OutcomeKind]:
    return {outcome.key: outcome.kind for outcome in outcomes}


def codes(till: TillServer) -> list[str]:
    return sorted(card["code"] for card in till.tables.get("loyalty.card", {}).values())


def lose(till: TillServer, path: str) -> None:
    """The next call to that method takes effect, and its answer is lost."""
    respond = till.respond

    def losing(call: Any) -> Any:
        answer, fault = respond(call)
        if call.path.endswith(path):
            till.respond = respond
            return answer, Fault.LOST
        return answer, fault

    till.respond = losing


def test_a_card_whose_answer_was_lost_is_found_and_never_made_again(till: TillServer, destination: Destination) -> None:
    batch = [coupon(1000, "A"), coupon(1001, "B")]
    destination.issue_coupon([coupon(1002, "C")])
    lose(till, "loyalty.card/create")

    assert set(kinds(destination.issue_coupon(batch)).values()) == {OutcomeKind.UNKNOWN}
    assert destination.read_back(Operation.COUPON, batch) == {"key-A": Found.PRESENT, "key-B": Found.PRESENT}
    assert set(kinds(destination.issue_coupon(batch)).values()) == {OutcomeKind.ALREADY}
    assert codes(till) == ["A", "B", "C"]


def test_a_request_that_was_doubled_on_its_way_is_one_card(till: TillServer, destination: Destination) -> None:
    respond = till.respond

    def doubling(call: Any) -> Any:
        if call.path.endswith("loyalty.card/create"):
            respond(call)
        return respond(call)

    till.respond = doubling

    outcomes = destination.issue_coupon([coupon(1000, "A"), coupon(1001, "B")])
    assert set(kinds(outcomes).values()) <= {OutcomeKind.APPLIED, OutcomeKind.ALREADY}
    assert codes(till) == ["A", "B"]


def test_a_program_whose_answer_was_lost_is_found_by_its_external_id(
    till: TillServer, destination: Destination
) -> None:
    lose(till, "loyalty.program/load")

    assert kinds(destination.issue_coupon([coupon(1000, "A")])) == {"key-A": OutcomeKind.UNKNOWN}
    again = connect("till", list(Operation), till.options(), "omnilake:")
    assert kinds(again.issue_coupon([coupon(1000, "A")])) == {"key-A": OutcomeKind.APPLIED}
    assert len(till.tables["loyalty.program"]) == 1


def test_one_poisoned_record_costs_its_neighbours_nothing(till: TillServer, destination: Destination) -> None:
    refuse = till._create

    def poisoned(model: str, vals_list: list[dict[str, Any]]) -> Answer:
        if any(values.get("code") == "POISON" for values in vals_list):
            return till.refused()
        return refuse(model, vals_list)

    till._create = poisoned
    batch = [coupon(number, "POISON" if number == 1003 else f"N{number}") for number in PEOPLE]
    outcomes = destination.issue_coupon(batch)

    assert {key for key, kind in kinds(outcomes).items() if kind is OutcomeKind.REJECTED} == {"key-POISON"}
    assert len(codes(till)) == len(PEOPLE) - 1
    assert not any("13912345678" in (outcome.reason or "") for outcome in outcomes)


def test_a_card_of_somebody_else_is_refused_and_a_wrong_currency_too(
    till: TillServer, destination: Destination
) -> None:
    destination.issue_coupon([coupon(1000, "A")])

    assert kinds(destination.issue_coupon([coupon(1001, "A")])) == {"key-A": OutcomeKind.REJECTED}
    assert kinds(destination.issue_coupon([coupon(1001, "B", "USD")])) == {"key-B": OutcomeKind.REJECTED}
    assert codes(till) == ["A"]


def test_equal_offers_share_a_program_and_a_later_start_has_its_own(till: TillServer, destination: Destination) -> None:
    destination.issue_coupon([coupon(1000, "A"), coupon(1001, "B"), coupon(1002, "C", later=3)])
    programs = till.tables["loyalty.program"].values()

    assert sorted(program.get("date_from", "") for program in programs) == ["", "2026-04-03"]


def test_two_changes_of_one_contact_in_a_batch_end_as_the_later_one_says(
    till: TillServer, destination: Destination
) -> None:
    changes = [tagged(1000, "a"), tagged(1000, "b", "a", 2), tagged(1001, "a")]

    assert set(kinds(destination.apply_tags(changes)).values()) == {OutcomeKind.APPLIED}
    names = {number: tag["name"] for number, tag in till.tables["res.partner.category"].items()}
    held = {
        number: [names[tag] for tag in till.tables["res.partner"][number]["category_id"]] for number in (1000, 1001)
    }
    assert held == {1000: ["omnilake:segment=b"], 1001: ["omnilake:segment=a"]}


def test_a_tag_that_was_deleted_in_odoo_is_made_again(till: TillServer, destination: Destination) -> None:
    destination.apply_tags([tagged(1000, "a")])
    till.tables["res.partner.category"].clear()
    till.external.clear()
    till.tables["res.partner"][1000]["category_id"] = []
    respond = till._write
    till._write = lambda model, ids, vals: till.refused()
    later = destination.apply_tags([tagged(1001, "a")])
    till._write = respond

    assert kinds(later) == {"tag-1001-1": OutcomeKind.RETRY_AFTER}
    assert kinds(destination.apply_tags([tagged(1001, "a")])) == {"tag-1001-1": OutcomeKind.APPLIED}


def test_a_locked_record_is_tried_later_and_a_lost_answer_is_unknown(
    till: TillServer, destination: Destination
) -> None:
    write = till._write
    till._write = lambda model, ids, vals: Answer({"name": "odoo.exceptions.LockError", "message": "locked"}, 409)
    locked = destination.apply_tags([tagged(1000, "a")])
    till._write = write
    lose(till, "res.partner/write")
    lost = destination.apply_tags([tagged(1000, "a")])

    assert [outcome.kind for outcome in locked] == [OutcomeKind.RETRY_AFTER]
    assert [outcome.kind for outcome in lost] == [OutcomeKind.UNKNOWN]
    assert destination.read_back(Operation.TAGS, [tagged(1000, "a")]) == {"tag-1000-1": Found.PRESENT}


def test_a_missing_right_keeps_the_coupons_waiting_instead_of_refusing_them(
    till: TillServer, destination: Destination
) -> None:
    till._has_access = lambda model, operation: Answer(False)

    with pytest.raises(CredentialsError, match="may not create loyalty"):
        destination.issue_coupon([coupon(1000, "A")])


def test_recommendations_without_a_field_or_the_right_to_make_it_are_refused_in_words(
    till: TillServer, destination: Destination
) -> None:
    till._create = lambda model, vals_list: Answer({"name": "odoo.exceptions.AccessError", "message": "no"}, 403)
    listed = RecommendationList("k", Recipient("c", "1000"), "1000", 1, TODAY, (RecommendedItem(1, "MILK"),))
    (outcome,) = destination.put_recommendations([listed])

    assert outcome.kind is OutcomeKind.REJECTED
    assert "x_omnilake_recommendations" in (outcome.reason or "")


def test_an_address_that_can_be_no_id_is_nobody(destination: Destination) -> None:
    assert [destination.resolve_customer(Recipient("c", address)) for address in ("1000", "m-1", "99999999999")] == [
        "1000", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "channel", "words"),
    [
        ({"recommendations_field": "comment"}, "till", "recommendations_field"),
        ({}, "", "names no channel"),
        ({"fieldd": "x"}, "till", "fieldd"),
    ],
)
def test_wrong_settings_are_found_at_start(settings: dict[str, str], channel: str, words: str) -> None:
    options = Options(channel, {"url": "http://127.0.0.1:1", **settings}, {"api_key": "k" * 40})

    with pytest.raises(ConfigurationError, match=words):
        connect("till", list(Operation), options, "omnilake:")
