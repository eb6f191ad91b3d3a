"""Exports of segments: fields, formats, formulas, personal data."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import stat
import time
import zipfile
from datetime import date
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from pipelines import audit
from pipelines.activation import export_files, exports
from pipelines.activation.export_contacts import hash_contact
from pipelines.activation.export_log import export_log
from pipelines.activation.exports import export_segment, list_segments
from pipelines.errors import ConfigurationError
from pipelines.segments.saved import save
from pipelines.warehouse import open_snapshot


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.csv"


def export(world, out, form="csv", name="hibernating", **options):
    if isinstance(options.get("fields"), str):
        options["fields"] = tuple(options["fields"].split(","))
    return export_segment(world.settings, world.engine, name, form, out, **options)


def rows(out):
    with out.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def log(world):
    with world.engine.begin() as transaction:
        return [dict(row._mapping) for row in transaction.execute(sa.select(export_log))]


def reveal_from(profiles):
    schema = pa.schema([(name, pa.string()) for name in ("channel", "member_id", "name", "phone", "email", "address")])

    def reveal(pairs):
        found = [
            {"channel": channel, "member_id": member, **profiles[channel, member]}
            for channel, member in pairs
            if (channel, member) in profiles
        ]
        return pa.Table.from_pylist(found, schema=schema)

    return reveal


def test_a_segment_is_exported_with_the_default_fields(world, out):
    world.publish([world.person("c2"), world.person("c1", level="gold"), world.person("c3", segment="champions")])
    receipt = export(world, out)

    assert [row["customer_id"] for row in rows(out)] == ["c1", "c2"]
    assert rows(out)[0] == {
        "customer_id": "c1",
        "segment": "hibernating",
        "lifecycle": "dormant",
        "level": "gold",
        "consent_marketing": "true",
        "recency_days": "200",
        "frequency": "1",
        "monetary": "100.00",
        "home_store_id": "s1",
        "tags": "lifecycle=dormant;segment=hibernating",
    }
    assert (receipt.rows, receipt.path) == (2, out)
    assert receipt.words() == f"2 customers of snapshot marts-0001 written to {out}"


def test_fields_come_in_the_order_asked_for(world, out):
    world.publish([world.person("c1")])
    export(world, out, fields="monetary,customer_id")

    assert out.read_text(encoding="utf-8-sig") == "monetary,customer_id\n100.00,c1\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(world, out, start):
    world.publish([world.person("c1", level=f"{start}cmd|' /C calc'!A0")])
    export(world, out, fields="level")

    assert rows(out)[0]["level"] == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize("number", ["-5", "+86", "-1.50", "+1e5", "-.5"])
def test_a_number_with_a_sign_stays_a_number(world, out, number):
    world.publish([world.person("c1", level=number)])
    export(world, out, fields="level")

    assert rows(out)[0]["level"] == number


@pytest.mark.parametrize("text", ["-5 yuan", "+86 138", "-", "--1", "-1-1", "+1.2.3", "-1e", "=1", "-\n5", "+５"])
def test_what_only_looks_like_a_number_is_neutralised(world, out, text):
    world.publish([world.person("c1", level=text)])
    export(world, out, fields="level")

    assert rows(out)[0]["level"] == "'" + text


def test_quotes_commas_and_line_breaks_survive(world, out):
    world.publish([world.person("c1", level='金卡, "VIP"\r\n=1+1')])
    export(world, out, fields="level,customer_id")

    assert rows(out) == [{"level": '金卡, "VIP"\r\n=1+1', "customer_id": "c1"}]


def test_the_file_starts_with_a_byte_order_mark_for_excel(world, out):
    world.publish([world.person("c1")])
    export(world, out)

    assert out.read_bytes().startswith(b"\xef\xbb\xbfcustomer_id,")


def test_an_empty_segment_that_is_defined_gives_a_header_alone(world, out, monkeypatch):
    world.publish([world.person("c1")])
    monkeypatch.setattr(
        exports, "list_segments", lambda _connection: [{"name": "nobody", "customers": 0, "definition": None}]
    )
    receipt = export(world, out, name="nobody", fields="customer_id,tags")

    assert out.read_text(encoding="utf-8-sig") == "customer_id,tags\n"
    assert receipt.rows == 0


def test_parquet_keeps_types(world, tmp_path):
    out = tmp_path / "out.parquet"
    world.publish([world.person("c1", level="=1")])
    export(world, out, "parquet", fields="level,monetary,tags")

    assert pq.read_table(out).to_pylist() == [
        {"level": "=1", "monetary": Decimal("100.00"), "tags": ["lifecycle=dormant", "segment=hibernating"]}
    ]


def test_xlsx_holds_text_and_numbers_but_no_formula(world, tmp_path):
    out = tmp_path / "out.xlsx"
    world.publish([world.person("c1", level="=1+1")])
    export(world, out, "xlsx", fields="level,monetary,consent_marketing,tags")
    with zipfile.ZipFile(out) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()

    assert "<f>" not in sheet
    assert "=1+1" in sheet
    assert re.search(r"<v>100(\.0+)?</v>", sheet)


def test_what_is_too_long_for_a_sheet_goes_on_in_the_next(world, tmp_path, monkeypatch):
    monkeypatch.setattr(export_files, "XLSX_ROWS", 3)
    out = tmp_path / "out.xlsx"
    world.publish([world.person(f"c{number}") for number in range(5)])

    assert export(world, out, "xlsx", fields="customer_id,level").rows == 5
    with zipfile.ZipFile(out) as book:
        names = [name for name in book.namelist() if name.startswith("xl/worksheets/")]
        rows_of = [book.read(name).decode().count("<row ") for name in sorted(names)]
    assert rows_of == [3, 3, 2]


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_the_same_request_gives_the_same_bytes_whoever_asks_and_whenever(world, tmp_path, form):
    world.publish([world.person(f"c{number}", level="金") for number in range(9)])
    asked = {"fields": "customer_id,level,monetary,tags"}
    first = export(world, tmp_path / "first", form, actor="cli", **asked)
    time.sleep(2.1)  # a ZIP file knows time in steps of two seconds
    second = export(world, tmp_path / "second", form, actor="mia", **asked)

    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()


def test_a_receipt_lies_beside_the_file(world, out):
    world.publish([world.person("c1", members=[("a", "m")])])
    profiles = {("a", "m"): {"name": "B", "phone": "13912345678", "email": None}}
    receipt = export(
        world, out, fields="phone", purpose="win back, ask li@corp.example", reveal=reveal_from(profiles), actor="mia"
    )
    written = json.loads((out.parent / "out.csv.receipt.json").read_text())

    assert written["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest() == log(world)[0]["sha256"]
    assert (written["customers"], written["bytes"], written["exported_by"]) == (1, out.stat().st_size, "mia")
    assert written["purpose"] == log(world)[0]["purpose"] == "win back, ask [address]"
    assert written["snapshot_id"] == receipt.snapshot_id == "marts-0001"
    assert re.fullmatch(r"[0-9a-f]{12}", written["definition_version"])
    actions = [(entry["actor"], entry["action"]) for entry in audit.entries(world.engine)]
    assert actions == [("mia", "export.finish"), ("mia", "export.start")]
    assert "B" not in json.dumps(written)


def test_a_store_managers_export_holds_their_own_customers_alone(world, out):
    world.publish([world.person(f"c{number}") for number in (1, 2, 3)])
    with duckdb.connect(str((world.settings.snapshots / "current").resolve())) as connection:
        for customer, store in (("c1", "s1"), ("c2", "s2"), ("c3", None)):
            connection.execute("UPDATE marts.customers SET home_store_id = ? WHERE customer_id = ?", [store, customer])
    assert export(world, out, fields="customer_id", stores=("s2",)).rows == 1
    assert rows(out) == [{"customer_id": "c2"}]
    assert export(world, out, fields="customer_id", stores=()).rows == 0
    sly = export(world, out, fields="customer_id", stores=("s2') OR ('1' = '1",))
    assert sly.rows == 0


def test_a_saved_segment_is_exported_before_it_is_published_and_listed_with_its_customers(world, out):
    world.publish([world.person("c1", level="gold"), world.person("c2"), world.person("c3", level="gold")])
    tree = {"column": "level", "op": "in", "value": ["gold"]}
    saved = save(world.settings, world.engine, "golden", tree, "ana")
    receipt = export(world, out, name="golden", fields="customer_id")

    assert rows(out) == [{"customer_id": "c1"}, {"customer_id": "c3"}]
    assert receipt.definition_version == "v1"
    with open_snapshot(world.settings) as connection:
        assert list_segments(connection, saved=[saved])[-1] == {
            "name": "golden", "customers": 2, "definition": f"v1 {saved.definition}",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "champs"}, "no segment 'champs'; choose one of: hibernating"),
        ({"fields": "customer_id,shoe_size"}, "--fields has 'shoe_size'; choose from: customer_id, segment"),
        ({"fields": "clv_12m"}, "--fields has 'clv_12m'"),
        ({"fields": ()}, "--fields has nothing"),
        ({"fields": "level,level"}, "names a column twice"),
        ({"form": "doc"}, "--format is 'doc'; choose one of: csv, parquet, xlsx"),
        ({"fields": "phone"}, "say why with --purpose"),
        ({"fields": "phone", "purpose": "  "}, "say why with --purpose"),
        ({"fields": "phone", "purpose": "x"}, "vault of this home can't be opened"),
        ({"fields": "level", "hash_algorithm": "sha256"}, "--fields asks for none of them"),
        ({"fields": "phone", "hash_algorithm": "md5"}, "--hash is 'md5'; choose one of: sha256"),
    ],
)
def test_a_wrong_request_writes_nothing_and_lists_what_is_valid(world, out, options, words):
    world.publish([world.person("c1")])

    with pytest.raises(ConfigurationError, match=words):
        export(world, out, **options)
    assert not out.exists()
    assert log(world) == []


def test_a_missing_folder_is_a_configuration_error(world, tmp_path):
    world.publish([world.person("c1")])

    with pytest.raises(ConfigurationError, match="name an existing folder"):
        export(world, tmp_path / "nowhere" / "out.csv")


def test_a_folder_is_no_file(world, tmp_path):
    world.publish([world.person("c1")])

    with pytest.raises(ConfigurationError, match="is a folder"):
        export(world, tmp_path)


def test_personal_data_needs_a_purpose_and_is_logged_before_it_is_revealed(world, out):
    world.publish([world.person("c1", members=[("mall", "m1")])])
    seen = []

    def reveal(pairs):
        seen.extend(log(world))
        return reveal_from({("mall", "m1"): {"name": "张三", "phone": "+8613912345678", "email": "z@example.com"}})(
            pairs
        )

    export(world, out, fields="customer_id,name,phone,email", purpose="recall campaign", reveal=reveal, actor="li")

    assert rows(out) == [{"customer_id": "c1", "name": "张三", "phone": "+8613912345678", "email": "z@example.com"}]
    assert [entry["rows_written"] for entry in seen] == [None]
    (entry,) = log(world)
    assert (entry["actor"], entry["purpose"], entry["rows_written"]) == ("li", "recall campaign", 1)
    assert (entry["fields"], entry["snapshot_id"]) == ("customer_id,name,phone,email", "marts-0001")
    assert entry["finished_at"] is not None
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_of_several_memberships_the_last_seen_that_has_the_value_counts(world, out):
    world.publish([world.person("c1", members=[("a", "old"), ("b", "new"), ("c", "older")])])
    with duckdb.connect(str((world.settings.snapshots / "current").resolve())) as connection:
        for member, day in (("older", 1), ("old", 5), ("new", 9)):
            connection.execute(
                "UPDATE marts.customer_identities SET last_seen_at = ? WHERE identity = ?", [date(2026, 1, day), member]
            )
    nobody = {"name": None, "phone": None, "email": None}
    profiles = {
        ("a", "old"): {**nobody, "phone": "139-1234 5678", "name": "Old"},
        ("b", "new"): {**nobody, "name": "New", "phone": "139****5678"},
        ("c", "older"): {**nobody, "phone": "13912345679", "email": " E@x.cn"},
    }
    export(world, out, fields="name,phone,email", purpose="test", reveal=reveal_from(profiles))

    assert rows(out) == [{"name": "New", "phone": "+8613912345678", "email": "e@x.cn"}]


def test_a_customer_without_memberships_or_erased_has_empty_contacts(world, out):
    world.publish([world.person("c1", members=[("a", "gone")]), world.person("c2", members=[("a", "m2")])])
    profiles = {("a", "m2"): {"name": "B", "phone": None, "email": None}}
    export(world, out, fields="customer_id,name,phone", purpose="test", reveal=reveal_from(profiles))

    assert rows(out) == [
        {"customer_id": "c1", "name": "", "phone": ""},
        {"customer_id": "c2", "name": "B", "phone": ""},
    ]


def test_hashed_contacts_are_of_the_normal_form(world, out):
    world.publish([world.person("c1", members=[("a", "m")])])
    profiles = {("a", "m"): {"name": None, "phone": "139-1234 5678", "email": " Zhang@Example.COM "}}
    export(
        world, out, fields="customer_id,phone,email,name", hash_algorithm="sha256", purpose="ads",
        reveal=reveal_from(profiles),
    )  # fmt: skip

    (row,) = rows(out)
    assert row["phone"] == hashlib.sha256(b"+8613912345678").hexdigest()
    assert row["email"] == hashlib.sha256(b"zhang@example.com").hexdigest()
    assert (row["customer_id"], row["name"]) == ("c1", "")


def test_the_hash_does_not_depend_on_how_the_value_was_typed():
    assert (
        len({hash_contact("phone", text) for text in ("13912345678", "+86 139 1234 5678", "１３９１２３４５６７８")})
        == 1
    )
    assert hash_contact("phone", "nobody") is None
    meta = hash_contact("phone", "139-1234 5678", "sha256-meta")
    assert meta == hashlib.sha256(b"8613912345678").hexdigest()
    google = [hash_contact("email", text, "sha256-google") for text in ("J.Doe@gmail.com", "j.doe@corp.example")]
    assert google == [hashlib.sha256(text).hexdigest() for text in (b"jdoe@gmail.com", b"j.doe@corp.example")]
    assert hash_contact("name", " Li  LEI ") == hash_contact("name", "li lei")


def test_a_failing_vault_leaves_no_file_and_an_open_entry_in_the_log(world, out):
    def broken(_pairs):
        raise ConfigurationError("the vault's key is missing")

    world.publish([world.person("c1")])
    out.write_text("before")
    with pytest.raises(ConfigurationError, match="key is missing"):
        export(world, out, fields="phone", purpose="test", reveal=broken)

    assert out.read_text() == "before"
    assert [path.name for path in out.parent.iterdir() if path.name.endswith(".part")] == []
    assert [entry["finished_at"] for entry in log(world)] == [None]


def test_many_customers_are_written_in_batches(world, out, monkeypatch):
    monkeypatch.setattr(exports, "_BATCH", 7)
    world.publish([world.person(f"c{number:03d}", members=[("a", f"m{number}")]) for number in range(50)])
    calls = []

    def reveal(pairs):
        calls.append(len(pairs))
        return reveal_from({pair: {"name": pair[1], "phone": None, "email": None} for pair in pairs})(pairs)

    export(world, out, fields="customer_id,name", purpose="test", reveal=reveal)

    assert [(row["customer_id"], row["name"]) for row in rows(out)] == [(f"c{n:03d}", f"m{n}") for n in range(50)]
    assert sum(calls) == 50


def test_segments_are_listed_with_their_customers(world):
    world.publish([world.person("c1"), world.person("c2"), world.person("c3", segment="champions")])
    with open_snapshot(world.settings) as connection:
        assert list_segments(connection) == [
            {"name": "champions", "customers": 1, "definition": None},
            {"name": "hibernating", "customers": 2, "definition": None},
        ]


def test_defined_segments_without_members_are_listed_in_their_order(world):
    world.publish([world.person("c1")])
    with duckdb.connect(str((world.settings.snapshots / "current").resolve())) as connection:
        connection.execute(
            "CREATE TABLE marts.segments AS SELECT * FROM (VALUES ('vip', 1, '贵宾', 'Very good'), "
            "('hibernating', 2, '沉睡', 'Asleep')) AS t (segment, position, definition_zh, definition_en)"
        )
    with open_snapshot(world.settings) as connection:
        assert list_segments(connection, "zh") == [
            {"name": "vip", "customers": 0, "definition": "贵宾"},
            {"name": "hibernating", "customers": 1, "definition": "沉睡"},
        ]


def test_a_row_of_one_empty_cell_is_still_a_row(world, out):
    world.publish([world.person("c1"), world.person("c2", level="gold")])
    export(world, out, fields="level")

    assert rows(out) == [{"level": ""}, {"level": "gold"}]
