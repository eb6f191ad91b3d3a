"""Files in a provider's own layout, with the contact that it needs."""

from __future__ import annotations

import csv
import stat
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest

from pipelines.destinations.files import FilesDestination
from pipelines.destinations.protocol import CouponIssue, Found, Offer, Operation, Recipient

COLUMNS = {"mobile": "contact", "code": "coupon_code", "until": "valid_to", "custom_id": "key", "person": "customer_id"}


def coupon(number: int) -> CouponIssue:
    recipient = Recipient(f"c{number}", f"c{number}", contact=f"+86139000000{number:02d}")
    offer = Offer("amount_off", Decimal("30.00"), Decimal("199"), "CNY")
    return CouponIssue(
        f"key-{number}", recipient, recipient.address, 1, date(2026, 3, 31), "recall", "1", f"CODE{number}", offer,
        date(2026, 3, 31), date(2026, 4, 30),
    )  # fmt: skip


def provider(folder: Path, form: str) -> FilesDestination:
    return FilesDestination("sms", folder, [Operation.COUPON], form=form, contact="phone", columns=COLUMNS)


def read(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_has_the_columns_that_the_provider_asks_for_and_is_readable_for_its_owner_alone(tmp_path, form):
    provider(tmp_path, form).issue_coupon([coupon(1)])
    (path,) = (tmp_path / "coupons").iterdir()

    assert read(path) == [
        {"mobile": "+8613900000001", "code": "CODE1", "until": "2026-04-30", "custom_id": "key-1", "person": "c1"}
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_erased_person_leaves_the_key_alone(tmp_path, form):
    destination = provider(tmp_path, form)
    records = [coupon(1), coupon(2)]
    destination.issue_coupon(records)

    assert destination.blank(["c1"]) == 1
    assert destination.blank(["c1"]) == 0
    (path,) = (tmp_path / "coupons").iterdir()
    kept, other = read(path)
    assert (kept["mobile"], kept["person"], kept["custom_id"]) == ("", "", "key-1")
    assert other["mobile"] == "+8613900000002"
    assert set(destination.read_back(Operation.COUPON, records).values()) == {Found.PRESENT}


def test_files_of_an_earlier_layout_are_still_receipts(tmp_path):
    FilesDestination("sms", tmp_path, [Operation.COUPON]).issue_coupon([coupon(1)])

    assert provider(tmp_path, "parquet").read_back(Operation.COUPON, [coupon(1), replace(coupon(2), key="new")]) == {
        "key-1": Found.PRESENT,
        "new": Found.ABSENT,
    }


def test_a_contact_is_never_shown_by_a_record():
    assert "1390000" not in repr(coupon(1))
