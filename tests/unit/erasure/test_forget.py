"""Forgetting a person whom no run has published yet: raw lake, quarantine, vault, state, and all files together."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.activation.log import activation_log
from pipelines.audit import entries
from pipelines.erasure.access import answer_access
from pipelines.erasure.carry_out import carry_out
from pipelines.erasure.command import Forgotten, forget, readmit
from pipelines.errors import ConfigurationError, PermanentError
from pipelines.feeds.erasure_order import ErasureOrder, give
from pipelines.feeds.views import create_raw_views
from pipelines.identity import resolve
from pipelines.settings import Settings
from pipelines.snapshots import new_snapshot_id, publish
from pipelines.state import state
from pipelines.vault import Vault
from pipelines.warehouse import open_snapshot, open_warehouse
from tests.support import planted_person as planted
from tests.support.searching import found_in
from tests.unit.feeds.feeds_lake import CHANNELS, Lake, lake

__all__ = ["lake"]


def _forget(lake: Lake, kind: str, value: str) -> Forgotten:
    done = forget(lake.settings, kind, value, lambda _who: True, lambda _line: None)
    assert done is not None
    return done


def _left(lake: Lake, values: tuple[str, ...] = planted.VALUES) -> list[tuple[str, str]]:
    return found_in(lake.settings.home, values, skipped=[lake.settings.landing])


@pytest.fixture(scope="session")
def planted_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the person planted, loaded and published: made once, copied for each test."""
    home = tmp_path_factory.mktemp("planted")
    (home / "reference").mkdir()
    (home / "reference" / "channels.yml").write_text(CHANNELS, encoding="utf-8")
    settings = Settings(home=home, memory_limit="1GB", threads=1)
    planted.plant(settings.landing)
    with state(settings) as engine:
        made = Lake(settings, engine)
        made.load()
        _publish(made)
    return home


@pytest.fixture
def planted_lake(planted_home: Path, tmp_path: Path) -> Iterator[Lake]:
    home = shutil.copytree(planted_home, tmp_path / "home", symlinks=True)
    settings = Settings(home=home, memory_limit="1GB", threads=1)
    with state(settings) as engine:
        yield Lake(settings, engine)


def _publish(lake: Lake) -> None:
    """What a run publishes, as far as forgetting reads it or must take the person out of it."""
    with open_warehouse(lake.settings) as connection:
        create_raw_views(connection, lake.settings, lake.channels)
        resolve(connection, lake.settings)
        for statement in _MARTS:
            connection.execute(statement)
    publish(lake.settings, new_snapshot_id(), {"activation_log": activation_log(lake.engine)})


_MARTS = (
    "CREATE SCHEMA IF NOT EXISTS marts",
    "CREATE OR REPLACE TABLE marts.customer_identities AS SELECT customer_id, channel, kind, identity, first_seen_at, "
    "last_seen_at, n_sources, is_blocked, reason FROM identity.identities",
    "CREATE OR REPLACE TABLE marts.customer_merges AS SELECT * EXCLUDE (event_id) FROM identity.merges",
    """
    CREATE OR REPLACE TABLE marts.customers AS
    SELECT DISTINCT
        customer_id, NULL::VARCHAR AS level, TRUE AS consent_marketing, FALSE AS is_staff,
        NULL::VARCHAR AS home_store_id, NULL::VARCHAR AS preferred_store_id, NULL::VARCHAR AS preferred_category,
        NULL::TIMESTAMP AS first_order_at, NULL::TIMESTAMP AS last_order_at
    FROM marts.customer_identities WHERE customer_id IS NOT NULL
    """,
    "CREATE OR REPLACE TABLE marts.orders AS SELECT channel, order_id, customer_id, paid_amount AS net_amount "
    "FROM raw.orders LEFT JOIN identity.order_customers USING (channel, order_id)",
    "CREATE OR REPLACE TABLE marts.segment_movements AS SELECT customer_id, DATE '2024-05-01' AS snapshot_date "
    "FROM marts.customers",
)


def _all_rows(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    return {feed: lake.raw(feed) for feed in ("members", "orders", "events", "coupons", "points", "reviews", "staff")}


def test_nothing_of_a_forgotten_person_is_left_in_any_file_and_everything_of_others_is(planted_lake: Lake) -> None:
    lake = planted_lake
    before = _all_rows(lake)
    # The search finds what is there: source ids are in raw until then.
    assert {value for _, value in _left(lake)} >= {planted.MINI_ID, planted.POS_ID}

    told = _forget(lake, "phone", f"+86 {planted.PHONE[:3]} {planted.PHONE[3:]}")

    assert _left(lake) == []
    assert planted.PHONE not in "".join(told.lines)
    after = _all_rows(lake)
    orders = {row["order_id"]: row for row in after["orders"]}
    assert [row["paid_amount"] for row in before["orders"]] == [row["paid_amount"] for row in after["orders"]]
    for name in ("O-member", "O-guest"):
        row = orders[name]
        assert [row[column] for column in ("member_id", "guest_phone_token", "guest_email_token", "device_token")] == (
            [None] * 4
        )
    assert orders["O-gift"]["member_id"] == "MINI-OTHER-1"
    assert orders["O-gift"]["guest_phone_token"] is None
    assert [row["member_id"] for row in after["members"]] == ["MINI-OTHER-1"]
    assert [row["phone_token"] for row in after["staff"]] == [None]
    others = [row for row in before["events"] if row["member_id"] == "MINI-OTHER-1"]
    assert [row for row in after["events"] if row["member_id"] is not None] == others
    assert {row["member_id"] for feed in ("coupons", "points", "reviews") for row in after[feed]} == {None}
    with open_snapshot(lake.settings) as connection:
        money = connection.execute("SELECT count(*), count(customer_id), sum(net_amount) FROM marts.orders").fetchone()
        known = connection.execute("SELECT count(*) FROM marts.customers").fetchall()
    assert money == (4, 2, 400)
    assert known == [(1,)]
    assert len(list(lake.settings.snapshots.glob("*.duckdb"))) == 1
    lake.assert_reconciled()


@pytest.mark.slow
def test_the_vault_forgets_the_person_and_still_knows_others(planted_lake: Lake) -> None:
    lake = planted_lake
    other = ("mini", "MINI-OTHER-1")
    _forget(lake, "member", f"mini/{planted.MINI_ID}")
    with Vault.open(lake.settings) as vault:
        assert vault.reveal_members([("mini", planted.MINI_ID)]).num_rows == 0
        assert vault.reveal_members([other])["phone"].to_pylist() == [planted.OTHER_PHONE]
        assert vault.erasure_orders() == []
        assert not [person for person in vault.persons("member:") if "FORGOTTEN" in person]


def test_redelivered_rows_stay_out_and_totals_add_up(planted_lake: Lake) -> None:
    lake = planted_lake
    _forget(lake, "email", planted.EMAIL)
    again = lake.settings.landing / "mini/members/again.jsonl"
    planted_again = {**planted.MEMBER, "updated_at": "2025-01-01T00:00:00Z"}
    lake.write_rows("mini/members/again.jsonl", [planted_again, {**planted_again, "updated_at": "no time"}])
    lake.write_rows("mini/orders/again.jsonl", [planted.order("O-later", member_id=planted.MINI_ID)])
    lake.write("pos/orders/again.csv", _csv_order())

    report = lake.load()

    assert again.exists()
    assert report.rows_accepted == 3
    assert report.rows_quarantined == 1
    assert _left(lake) == []
    assert [row["member_id"] for row in lake.raw("orders")].count(None) == 4
    assert lake.replay().rows_accepted == 0
    assert _left(lake) == []
    lake.assert_reconciled()


def _csv_order() -> str:
    return (
        "order_id,updated_at,placed_at,status,currency,paid_amount,guest_phone\n"
        f"O-csv,2024-06-01T00:00:00Z,2024-06-01T00:00:00Z,paid,CNY,10,{planted.PHONE}\n"
    )


@pytest.mark.slow
def test_a_membership_that_turns_out_to_be_the_persons_is_erased_with_what_it_did_before(planted_lake: Lake) -> None:
    lake = planted_lake
    _forget(lake, "phone", planted.PHONE)
    lake.write_rows("pos/orders/b.jsonl", [planted.order("O-new", member_id="POS-UNSEEN-9")])
    lake.load()
    assert "POS-UNSEEN-9" in {row["member_id"] for row in lake.raw("orders")}
    lake.write_rows(
        "pos/members/c.jsonl",
        [{"member_id": "POS-UNSEEN-9", "updated_at": "2025-01-01T00:00:00Z", "phone": planted.PHONE, "name": "被忘"}],
    )
    lake.load()
    carry_out(lake.settings, lake.engine, lambda _line: None)
    assert _left(lake, ("POS-UNSEEN-9", *planted.VALUES)) == []
    lake.assert_reconciled()


def test_a_phone_that_others_carry_too_stays_theirs(lake: Lake) -> None:
    rows = [
        {**planted.MEMBER, "phone": planted.OTHER_PHONE, "name": "甲", "birthday": "1990-01-01"},
        {**planted.OTHER, "name": "乙", "birthday": "1960-01-01"},
    ]
    lake.write_rows("mini/members/a.jsonl", rows)
    lake.load()
    with pytest.raises(PermanentError, match="2 memberships"):
        _forget(lake, "phone", planted.OTHER_PHONE)
    told = _forget(lake, "member", f"mini/{planted.MINI_ID}")
    assert "1 that others have too" in told.lines[0]
    (row,) = lake.raw("members")
    assert row["phone_token"] is not None
    lake.write_rows("mini/orders/a.jsonl", [planted.order("O-1", guest_phone=planted.OTHER_PHONE)])
    lake.load()
    assert lake.raw("orders")[0]["guest_phone_token"] == row["phone_token"]


@pytest.mark.slow
def test_forgetting_twice_says_so_and_changes_nothing(planted_lake: Lake) -> None:
    _forget(planted_lake, "phone", planted.PHONE)
    parts = {path: path.read_bytes() for path in planted_lake.settings.raw.rglob("*.parquet")}
    assert "was erased" in _forget(planted_lake, "phone", planted.PHONE).lines[0]
    assert {path: path.read_bytes() for path in planted_lake.settings.raw.rglob("*.parquet")} == parts


@pytest.mark.slow
def test_the_note_names_files_and_lines_and_no_value(planted_lake: Lake) -> None:
    _forget(planted_lake, "phone", planted.PHONE)
    (note,) = (planted_lake.settings.home / "erasures").iterdir()
    text = note.read_text(encoding="utf-8")
    for line in (
        "mini/members/a.jsonl: line 1",
        "paris/members/a.csv: line 2",
        "mini/orders/a.jsonl.gz: line 1, 3",
        "pos/orders/a.parquet: line 1",
        "mini/events/a.jsonl: line 1, 2",
        "mini/members/b-rejected.jsonl: line 1, 2 (rejected)",
        "pos/members/broken.csv: line 2 (rejected)",
        "mini/orders/torn.jsonl: line 1 (rejected)",
    ):
        assert line in text.splitlines()


@pytest.mark.slow
def test_exports_and_logs_that_name_the_person_go_and_others_stay(planted_lake: Lake) -> None:
    lake = planted_lake
    exports, logs = lake.settings.exports, lake.settings.logs
    exports.mkdir()
    logs.mkdir()
    (exports / "theirs.csv").write_text(f"name,phone\n{planted.NAME},+86{planted.PHONE}\n", encoding="utf-8")
    (exports / "others.csv").write_text(f"name,phone\n别人,+86{planted.OTHER_PHONE}\n", encoding="utf-8")
    (logs / "some.log").write_text(f"one\n{planted.EMAIL.upper()} two\nthree\n", encoding="utf-8")
    told = _forget(lake, "phone", planted.PHONE)
    assert sorted(path.name for path in exports.iterdir()) == ["others.csv"]
    assert (logs / "some.log").read_text(encoding="utf-8") == "one\nthree\n"
    assert "theirs.csv" in "".join(told.lines)
    assert _left(lake) == []


@pytest.mark.parametrize(
    ("kind", "value", "error", "words"),
    [
        ("phone", "138", ConfigurationError, "no usable phone"),
        ("shoe", "42", ConfigurationError, "no kind of identifier"),
        ("member", "mini", ConfigurationError, "CHANNEL/ID"),
        ("phone", "13600136000", PermanentError, "Nobody is known"),
        ("customer", "c0", PermanentError, "Nobody is known"),
    ],
)
def test_whoever_is_not_known_is_told_so_without_the_value(
    planted_lake: Lake, kind: str, value: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        _forget(planted_lake, kind, value)
    assert len(value) < 6 or value not in str(caught.value)


@pytest.mark.slow
def test_whoever_comes_back_is_taken_in_again_when_a_person_says_so(planted_lake: Lake) -> None:
    lake = planted_lake
    _forget(lake, "phone", planted.PHONE)
    assert "taken in again" in readmit(lake.settings, "phone", planted.PHONE)
    lake.write_rows(
        "pos/members/new.jsonl",
        [{"member_id": "POS-NEW-1", "updated_at": "2026-01-01T00:00:00Z", "phone": planted.PHONE}],
    )
    lake.load()
    assert "POS-NEW-1" in {row["member_id"] for row in lake.raw("members")}


@pytest.mark.slow
def test_an_erasure_that_was_only_decided_is_carried_out_by_whoever_comes_next(
    planted_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off at each step in turn: every later start goes on to the same end."""
    from pipelines.erasure import carry_out as module

    steps = (
        "plan_withdrawals", "sweep", "write_note", "erase_from_quarantine", "forget_deliveries", "scrub_state",
        "rewrite_warehouse", "rewrite_snapshots", "compact_state",
    )  # fmt: skip
    for step in steps:
        with monkeypatch.context() as broken:
            broken.setattr(module, step, _fail)
            with pytest.raises(_CutOffError):
                _forget(planted_lake, "phone", planted.PHONE)
    done = _forget(planted_lake, "phone", planted.PHONE)
    assert "cut off is now complete" in done.lines[0]
    assert _left(planted_lake) == []
    planted_lake.assert_reconciled()


class _CutOffError(Exception):
    pass


def _fail(*_: object, **__: object) -> None:
    raise _CutOffError


def test_an_order_survives_without_showing_what_it_is_about(lake: Lake, tmp_path: Path) -> None:
    lake.write_rows("mini/members/a.jsonl", [planted.OTHER])
    lake.load()
    with Vault.open(lake.settings) as vault:
        order = ErasureOrder("one", ("c1",), (("mini", "MINI-SECRET-5"),), values=("秘密的名字",))
        give(vault, order)
    assert found_in(lake.settings.vault, ("MINI-SECRET-5", "秘密的名字")) == []


def test_access_tells_the_person_everything_and_nothing_of_others(planted_lake: Lake, tmp_path: Path) -> None:
    lake = planted_lake
    for as_json in (True, False):
        out = tmp_path / f"answer-{as_json}"
        told = answer_access(lake.settings, "phone", planted.PHONE, out, as_json=as_json, purpose="they asked")
        text = out.read_text(encoding="utf-8")
        for value in (
            planted.NAME, planted.EMAIL, planted.ADDRESS, planted.UNIONID, planted.CARD, planted.WORDS,
            planted.SEARCHED, planted.NICKNAME, planted.MINI_ID, planted.POS_ID, "O-member", "O-guest", "C1", "p1",
        ):  # fmt: skip
            assert value in text, value
        assert planted.OTHER_PHONE not in text
        assert planted.NAME not in told
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
    purposes = [entry["details"]["purpose"] for entry in entries(lake.engine, action="person.access")]
    assert purposes == ["they asked", "they asked"]


def test_access_into_no_folder_is_refused_before_anything_is_revealed(planted_lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--out"):
        answer_access(
            planted_lake.settings, "phone", planted.PHONE, tmp_path / "no" / "file", as_json=True, purpose="x"
        )
    assert entries(planted_lake.engine, action="person") == []
