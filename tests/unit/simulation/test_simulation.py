"""A small simulated retailer, looked at from outside: files, rows, money, truth."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.channels import load_channels
from pipelines.errors import ConfigurationError
from pipelines.feeds.contract import FEEDS
from pipelines.settings import PACKAGED_REFERENCE, load_settings
from pipelines.simulation import SimulationReport, simulate
from pipelines.simulation.doors import DOORS, channels_yml
from pipelines.simulation.faults import _FAULTS

END = date(2026, 6, 30)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, SimulationReport]:
    """Landing folder, truth folder and report of 900 persons in 70 days."""
    folder = tmp_path_factory.mktemp("simulated")
    report = simulate(folder / "landing", folder / "truth", customers=900, days=70, seed=3)
    return folder / "landing", folder / "truth", report


def _text(path: Path, encoding: str) -> str:
    payload = path.read_bytes()
    return (gzip.decompress(payload) if path.name.endswith(".gz") else payload).decode(encoding)


def _good_rows(landing: Path, channel: str, feed: str) -> list[dict[str, Any]]:
    """Rows of a channel's feed that aren't planted faults, nested cells as objects; repeats and versions included."""
    door = next(door for door in DOORS if door.id == channel)
    rows: list[dict[str, Any]] = []
    key = FEEDS[feed].key[0]
    for path in sorted((landing / channel / feed).glob("*")):
        if "resent" in path.name:
            continue
        if path.suffix == ".parquet":
            rows += pl.read_parquet(path).to_dicts()
        elif ".csv" in path.name:
            text = _text(path, "utf-8-sig" if door.bom else door.encoding)
            clean = "\n".join(line for line in text.split("\n") if "-bad" not in line and line.count(",") > 3)
            frame = pl.read_csv(io.StringIO(clean), infer_schema=False, truncate_ragged_lines=True)
            rows += [{name: _cell(value) for name, value in row.items()} for row in frame.to_dicts()]
        else:
            for line in _text(path, door.encoding).split("\n"):
                if line.endswith("}") and "-bad" not in line:
                    rows.append(json.loads(line, parse_float=Decimal))
    return [row for row in rows if "-bad" not in str(row.get(key))]


def _cell(value: str | None) -> Any:
    return json.loads(value, parse_float=Decimal) if value and value[0] in "[{" else value


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate(tmp_path / name, tmp_path / f"{name}-truth", customers=120, days=15, seed=11)
    assert _digest(tmp_path / "one") == _digest(tmp_path / "two")
    assert _digest(tmp_path / "one-truth") == _digest(tmp_path / "two-truth")


def test_another_seed_gives_another_retailer(tmp_path: Path) -> None:
    for seed in (1, 2):
        simulate(tmp_path / str(seed), customers=60, days=8, seed=seed)
    assert _digest(tmp_path / "1" / "pc_mall") != _digest(tmp_path / "2" / "pc_mall")


def test_the_committed_channels_are_the_simulated_ones(world: tuple[Path, Path, SimulationReport]) -> None:
    committed = (PACKAGED_REFERENCE / "channels.yml").read_bytes()
    assert committed == (world[0] / "channels.yml").read_bytes() == channels_yml().encode()


def test_channels_load_and_are_of_seven_kinds_or_more(
    world: tuple[Path, Path, SimulationReport], tmp_path: Path
) -> None:
    channels = load_channels(load_settings(home=tmp_path, landing=world[0], environ={})).channels
    assert set(channels) == {door.id for door in DOORS}
    assert len({channel.kind for channel in channels.values()}) >= 7
    assert {channel.brand for channel in channels.values()} == {"maiya", "hemu"}
    assert {path.name for path in world[0].iterdir() if path.is_dir()} == {"_shared", *channels}


def test_every_feed_of_the_contract_is_delivered(world: tuple[Path, Path, SimulationReport]) -> None:
    delivered = {path.parent.name for path in world[0].rglob("*") if path.is_file()} - {world[0].name}
    assert delivered == set(FEEDS)


def test_every_format_is_delivered_and_nothing_is_left_half_written(world: tuple[Path, Path, SimulationReport]) -> None:
    names = [path.name for path in world[0].rglob("*") if path.is_file()]
    endings = Counter(name.split(".", 1)[1] for name in names)
    assert set(endings) == {"simulation.json", "yml", "jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"}


def test_columns_are_the_contracts_but_for_declared_drift(world: tuple[Path, Path, SimulationReport]) -> None:
    unknown = set()
    for door in DOORS:
        for feed in FEEDS:
            if (world[0] / door.id / feed).is_dir():
                names = {name for row in _good_rows(world[0], door.id, feed) for name in row}
                unknown |= names - {column.name for column in FEEDS[feed].columns}
    assert unknown == {"trace_id", "vip_source"}


def test_the_number_of_orders_is_exact_when_given(tmp_path: Path) -> None:
    report = simulate(tmp_path / "landing", tmp_path / "truth", customers=200, days=30, seed=5, orders=777)
    known = pl.read_parquet(tmp_path / "truth" / "order_persons.parquet")
    assert report.orders == 777
    assert known.select(pl.struct("channel", "order_id").n_unique()).item() == 777
    delivered = {
        (door.id, row["order_id"])
        for door in DOORS
        if (tmp_path / "landing" / door.id / "orders").is_dir()
        for row in _good_rows(tmp_path / "landing", door.id, "orders")
    }
    assert delivered == set(known.select("channel", "order_id").rows())


def test_till_files_are_gbk_with_lines_apart(world: tuple[Path, Path, SimulationReport]) -> None:
    members = next((world[0] / "pos_cn" / "members").iterdir()).read_bytes()
    with pytest.raises(UnicodeDecodeError):
        members.decode("utf-8")
    assert "上海" in members.decode("gbk")
    orders = {row["order_id"] for row in _good_rows(world[0], "pos_cn", "orders")}
    lines = {row["order_id"] for row in _good_rows(world[0], "pos_cn", "order_lines")}
    assert lines == orders
    assert "lines" not in _good_rows(world[0], "pos_cn", "orders")[0]


def test_the_store_abroad_trades_in_its_own_currency_and_local_time(world: tuple[Path, Path, SimulationReport]) -> None:
    orders = _good_rows(world[0], "pos_sydney", "orders")
    assert {row["currency"] for row in orders} == {"AUD"}
    assert {row["store_id"] for row in orders} == {"S012"}
    assert all(row["placed_at"][10] == " " and len(row["placed_at"]) == 19 for row in orders)
    assert all(int(row["placed_at"][11:13]) >= 7 or row["placed_at"][11:13] == "00" for row in orders)
    rates = pl.read_csv(next((world[0] / "_shared" / "fx_rates").iterdir()))
    assert set(rates["currency"]) == {"AUD"}
    assert date.fromisoformat(rates["date"][0]) <= END - timedelta(days=70)


@pytest.mark.parametrize("channel", ["pc_mall", "app", "live", "social", "market", "pos_sydney"])
def test_an_orders_money_adds_up(world: tuple[Path, Path, SimulationReport], channel: str) -> None:
    orders = _good_rows(world[0], channel, "orders")
    assert orders
    for row in orders:
        amounts = {
            name: Decimal(str(row[name]))
            for name in ("items_amount", "discount_amount", "shipping_amount", "paid_amount")
        }
        lines = sum(
            Decimal(str(line["unit_price"])) * Decimal(str(line["quantity"])) - Decimal(str(line["discount_amount"]))
            for line in row["lines"]
        )
        assert lines == amounts["items_amount"]
        assert 0 <= amounts["discount_amount"] <= amounts["items_amount"]
        tenders = row["tenders"] or []
        points = sum(Decimal(str(tender["amount"])) for tender in tenders if tender["type"] == "points")
        tendered = sum(Decimal(str(tender["amount"])) for tender in tenders)
        if row["paid_at"]:
            assert tendered == amounts["items_amount"] - amounts["discount_amount"] + amounts["shipping_amount"]
            assert amounts["paid_amount"] == tendered - points
        else:
            assert tendered == amounts["paid_amount"] == 0


def test_nobody_gets_back_more_than_was_paid(world: tuple[Path, Path, SimulationReport]) -> None:
    checked = 0
    for door in DOORS:
        if door.split_lines:
            continue
        orders = {row["order_id"]: row for row in _good_rows(world[0], door.id, "orders")}
        for refund in {row["refund_id"]: row for row in _good_rows(world[0], door.id, "refunds")}.values():
            order = orders[refund["order_id"]]
            lines = {line["line_id"]: line for line in order["lines"]}
            assert Decimal(str(refund["amount"])) <= Decimal(str(order["paid_amount"]))
            for line in refund.get("lines") or []:
                sold = lines[line["line_id"]]
                worth = Decimal(str(sold["unit_price"])) * sold["quantity"] - Decimal(str(sold["discount_amount"]))
                assert line["quantity"] <= sold["quantity"]
                assert Decimal(str(line["amount"])) <= worth
            checked += 1
    assert checked > 20


def test_a_redeemed_coupon_stands_on_its_order(world: tuple[Path, Path, SimulationReport]) -> None:
    redeemed = 0
    for channel in ("pc_mall", "mini_hemu", "app"):
        orders = {row["order_id"]: row for row in _good_rows(world[0], channel, "orders")}
        for coupon in _good_rows(world[0], channel, "coupons"):
            if coupon.get("redeemed_order_id"):
                order = orders[coupon["redeemed_order_id"]]
                assert list(order["coupon_codes"]) == [coupon["coupon_code"]]
                assert order["member_id"] == coupon["member_id"]
                assert Decimal(str(order["items_amount"])) >= Decimal(str(coupon["threshold"]))
                redeemed += 1
    assert redeemed > 5


def test_an_order_is_placed_by_a_member_who_had_registered(world: tuple[Path, Path, SimulationReport]) -> None:
    registered = {row["member_id"]: row["registered_at"] for row in _good_rows(world[0], "app", "members")}
    with_member = [row for row in _good_rows(world[0], "app", "orders") if row["member_id"]]
    assert with_member
    assert all(registered[row["member_id"]] <= row["placed_at"] for row in with_member)


def test_nothing_happens_after_the_last_day(world: tuple[Path, Path, SimulationReport]) -> None:
    for row in _good_rows(world[0], "mini_maiya", "orders"):
        assert row["placed_at"][:10] <= END.isoformat()
        assert row["updated_at"][:10] <= END.isoformat()


def test_orders_come_in_versions_some_of_them_out_of_order(tmp_path: Path) -> None:
    simulate(tmp_path / "landing", customers=900, days=56, seed=4, orders=6000)
    overtaken = versions = 0
    for channel in ("app", "mini_maiya", "pc_mall"):
        newest: dict[str, Any] = {}
        for row in _good_rows(tmp_path / "landing", channel, "orders"):
            seen = newest.get(row["order_id"])
            versions += seen is not None and seen != row["updated_at"]
            overtaken += seen is not None and seen > row["updated_at"]
            newest[row["order_id"]] = max(seen or row["updated_at"], row["updated_at"])
    assert versions > 50
    assert overtaken >= 1


def test_deleted_members_changed_phones_and_repeats_are_among_the_rows(
    world: tuple[Path, Path, SimulationReport],
) -> None:
    rows = [row for channel in ("mini_maiya", "app", "pos_cn") for row in _good_rows(world[0], channel, "members")]
    assert any(row.get("deleted") in (True, "true") for row in rows)
    assert any((row.get("phone") or "").startswith("1980") for row in rows)
    assert any(count > 1 for count in Counter(str(row) for row in rows).values())


def test_a_clerks_number_stands_on_more_members_than_any_person_has(world: tuple[Path, Path, SimulationReport]) -> None:
    hubs = pl.read_parquet(world[1] / "hubs.parquet")
    clerk = hubs.filter(pl.col("reason") == "a clerk's number").row(0, named=True)
    phones = Counter(row["phone"] for row in _good_rows(world[0], "pos_cn", "members"))
    assert phones[clerk["value"]] >= clerk["members"] > 10
    staff = pl.concat([pl.read_csv(path, infer_schema=False) for path in (world[0] / "_shared" / "staff").iterdir()])
    assert clerk["value"] in set(staff["phone"])


def test_bad_rows_are_counted_by_file_and_each_is_there(world: tuple[Path, Path, SimulationReport]) -> None:
    planted = pl.read_parquet(world[1] / "bad_rows.parquet")
    assert planted["rows"].sum() == world[2].bad_rows
    assert all((world[0] / file).is_file() for file in planted["file"])
    kinds = set(planted["kind"])
    assert {"broken JSON", "too many cells", "too few cells"} <= kinds
    assert {"broken Parquet", "not gzip", "truncated gzip", "undeclared encoding", "missing header column"} <= kinds
    rowwise = {kind for faults in _FAULTS.values() for kind in faults}
    assert len(kinds & rowwise) >= len(rowwise) - 2
    assert planted["rows"].sum() < 0.01 * sum(world[2].rows.values())


def test_every_fault_of_orders_comes_up_in_a_larger_simulation(tmp_path: Path) -> None:
    simulate(tmp_path / "landing", tmp_path / "truth", customers=1000, days=42, seed=6, orders=12_000)
    planted = pl.read_parquet(tmp_path / "truth" / "bad_rows.parquet").filter(pl.col("feed") == "orders")
    assert set(_FAULTS["orders"]) <= set(planted["kind"])


def test_truth_stays_out_of_the_landing_folder(world: tuple[Path, Path, SimulationReport]) -> None:
    assert {path.name for path in world[1].iterdir()} == {
        "persons.parquet", "order_persons.parquet", "households.parquet", "hubs.parquet", "bad_rows.parquet",
    }  # fmt: skip
    assert not any("person_id" in row for row in _good_rows(world[0], "pc_mall", "orders"))
    assert not list(world[0].rglob("*truth*"))


def test_truth_names_the_person_of_every_delivered_member(world: tuple[Path, Path, SimulationReport]) -> None:
    known = pl.read_parquet(world[1] / "persons.parquet")
    pairs = set(known.select("channel", "member_id").rows())
    assert len(pairs) == len(known)
    delivered = {(door.id, row["member_id"]) for door in DOORS for row in _good_rows(world[0], door.id, "members")}
    assert delivered == pairs


def test_components_never_join_two_persons_and_join_many_members(world: tuple[Path, Path, SimulationReport]) -> None:
    known = pl.read_parquet(world[1] / "persons.parquet")
    persons_a_component = known.group_by("component").agg(pl.col("person_id").n_unique().alias("persons"))
    assert persons_a_component["persons"].max() == 1
    several = known.group_by("person_id").agg(pl.len().alias("members"), pl.col("component").n_unique().alias("parts"))
    linkable = several.filter((pl.col("members") > 1) & (pl.col("parts") == 1))
    assert len(linkable) > 0.2 * len(several.filter(pl.col("members") > 1))


def test_a_folder_that_holds_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("x")
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        simulate(tmp_path, customers=10, days=7)


def test_a_finished_simulation_is_not_written_again_and_a_killed_one_is(tmp_path: Path) -> None:
    out = tmp_path / "landing"
    first = simulate(out, tmp_path / "truth", customers=40, days=8)
    whole = _digest(out)
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert simulate(out, tmp_path / "truth", customers=40, days=8) == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == written
    marker = json.loads((out / ".simulation.json").read_text())
    (out / ".simulation.json").write_text(json.dumps(marker | {"report": None}))
    next((out / "pc_mall" / "orders").iterdir()).unlink()
    assert simulate(out, tmp_path / "truth", customers=40, days=8) == first
    assert _digest(out) == whole


def test_a_simulation_of_other_arguments_is_refused(tmp_path: Path) -> None:
    simulate(tmp_path / "landing", customers=40, days=8)
    with pytest.raises(ConfigurationError, match="other arguments"):
        simulate(tmp_path / "landing", customers=41, days=8)


def test_truth_within_the_landing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="apart"):
        simulate(tmp_path / "landing", tmp_path / "landing" / "truth", customers=10, days=7)


@pytest.mark.parametrize(("name", "value"), [("customers", -1), ("days", 0), ("orders", -5)])
def test_impossible_arguments_are_named(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=f"--{name} is {value}"):
        simulate(tmp_path / "landing", **{name: value})


@pytest.mark.parametrize(("customers", "days", "orders"), [(1, 1, None), (1, 1, 1), (3, 8, 40), (2, 120, 3)])
def test_the_smallest_retailers_work_too(tmp_path: Path, customers: int, days: int, orders: int | None) -> None:
    report = simulate(tmp_path / "landing", tmp_path / "truth", customers=customers, days=days, orders=orders)
    assert report.orders >= 1
    assert report.orders == (orders or report.orders)


def test_progress_is_told_a_week(tmp_path: Path) -> None:
    told: list[str] = []
    simulate(tmp_path / "landing", customers=20, days=15, progress=told.append)
    assert [line.split(":")[0] for line in told] == ["week 1 of 3", "week 2 of 3", "week 3 of 3"]
