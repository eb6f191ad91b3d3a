"""Two nights of one small retailer: what the first delivers, and what the second adds and changes.

Belongs here: the landing folders and campaigns of the experiment. Does not belong here: running or comparing anything.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.simulation import simulate

NIGHTS = (date(2026, 6, 2), date(2026, 6, 30))
"""Four weeks apart: the simulation delivers members and coupons every four weeks."""
CHANGED_AT = "2026-06-30T12:00:00+08:00"
CHANNEL = "mini_hemu"
"""A channel that delivers JSON Lines, whose records are easily sent again with a change."""

CAMPAIGNS = """\
caps: [{at_most: 1, days: 30}]
campaigns:
  welcome:
    name: {zh: 新客礼, en: Welcome}
    kind: welcome
    audience: {lifecycle: [new, active]}
    offer: {kind: amount_off, value: "20.00", threshold: "99.00", currency: CNY, valid_days: 30}
    holdout: {share: "0.20"}
    budget: {liability: "400.00", coupons: 25}
    priority: monetary
    destinations: [files]
    wave: "1"
  always_on:
    name: {zh: 月月券, en: Monthly}
    kind: monthly
    audience: {lifecycle: [new, active, at_risk]}
    offer: {kind: percent_off, value: "10", max_discount: "30.00", threshold: "0.00", currency: CNY, valid_days: 7}
    holdout: {share: "0.10"}
    budget: {coupons: 30}
    priority: random
    destinations: [files]
    wave_days: 28
    starts_on: 2026-05-06
"""
"""Campaigns whose decisions depend on what was decided before: budgets that run out, a cap, waves."""


def make_landings(folder: Path, customers: int, days: int) -> list[Path]:
    """A landing folder for each night, the second with all that the first had.

    New in the second: files of its four weeks; members of one channel who now share a phone (so that
    customers merge and tags are withdrawn) or have taken back their consent; and orders that were cancelled.
    """
    second = folder / "landing-2"
    simulate(second, None, customers, days, 11, None, NIGHTS[1])
    first = folder / "landing-1"
    shutil.copytree(second, first)  # with the times of the files, by which the ledger knows them
    for path in first.rglob("*-20*.*"):
        if path.name.split("-")[-1].split(".")[0] > f"{NIGHTS[0]:%Y%m%d}":
            path.unlink()
    for path in first.rglob("*-resent.*"):
        path.unlink()
    _change(second, "members", _changed_member)
    _change(second, "orders", _changed_order)
    return [first, second]


def make_home(home: Path) -> Path:
    """A home with campaigns of its own, otherwise new."""
    (home / "reference").mkdir(parents=True)
    (home / "reference" / "campaigns.yml").write_text(CAMPAIGNS, encoding="utf-8")
    return home


def _changed_member(number: int, record: dict[str, Any], before: dict[str, Any]) -> None:
    if number % 2:
        record["phone"] = before["phone"]
    else:
        record["consent_marketing"] = False
        record["consent_updated_at"] = CHANGED_AT


def _changed_order(number: int, record: dict[str, Any], _before: dict[str, Any]) -> None:
    if number % 3 == 0:
        record |= {"status": "cancelled", "cancelled_at": CHANGED_AT, "completed_at": None}


def _change(landing: Path, feed: str, change: Callable[[int, dict[str, Any], dict[str, Any]], None]) -> None:
    records = []
    for path in sorted((landing / CHANNEL / feed).glob(f"{feed}-20*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:  # one of the rows that the simulation spoils
                continue
    before = records[0]
    for number, record in enumerate(records):
        change(number, record, before)
        record["updated_at"] = CHANGED_AT
        before = record
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (landing / CHANNEL / feed / f"{feed}-changed.jsonl").write_text(lines, encoding="utf-8")
