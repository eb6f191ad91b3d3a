"""Segment builder, exports and audit log, as each role; and what a store manager can get hold of anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from streamlit.testing.v1 import AppTest

from dashboards import components
from dashboards.access import may_fetch
from dashboards.app import PAGES
from dashboards.data import Reader
from dashboards.language import words
from dashboards.segment_tree import from_tree, new_condition, new_group, remove, to_tree
from dashboards.visitor import state_of
from pipelines.accounts.store import ROLES, Account
from pipelines.activation.export_log import list_exports
from pipelines.activation.exports import export_segment
from pipelines.audit import entries
from pipelines.segments.definition import canonical, parse
from pipelines.segments.saved import find, save
from pipelines.settings import load_settings
from tests.dashboards.conftest import OpenPage, turn_to
from tests.dashboards.test_pages import run_sql
from tests.unit.segments.test_segments import _trees

pytestmark = pytest.mark.usefixtures("home")
OWN, FOREIGN = "S03", "S01"
AccountOf = Callable[..., Account]


@pytest.fixture
def sign_in_as(monkeypatch: pytest.MonkeyPatch) -> AccountOf:
    """Be somebody on every page that is opened from now on."""

    def become(role: str, *stores: str) -> Account:
        account = Account(f"a-{role}", role, stores)
        monkeypatch.setenv("OMNILAKE_SIGN_IN", "accounts")
        monkeypatch.setattr("dashboards.visitor.account_of_session", lambda *_: account)
        return account

    return become


def shown(app: AppTest) -> bytes:
    """Everything that was sent to the browser: words, options, tables, charts."""
    protos = [getattr(element, "proto", None) for element in app._tree]
    return b"".join(proto.SerializeToString() for proto in protos if proto is not None)


def open_as(open_page: OpenPage, page: str, **query: str | list[str]) -> AppTest:
    return open_page("" if page == PAGES[0].name else page, **({"lang": "en"} | query))


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_pages_and_no_other(open_page: OpenPage, sign_in_as: AccountOf, role: str) -> None:
    account = sign_in_as(role, *([OWN] if role == "store_manager" else []))
    for page in PAGES:
        app = open_as(open_page, page.name)
        assert not app.exception
        assert not app.error
        title = words("en")[f"{page.name}.title"]
        assert (app.title[0].value == title) == (role in page.roles), (page.name, account)


def test_without_a_session_a_page_shows_no_figure(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNILAKE_SIGN_IN", "accounts")
    monkeypatch.setattr("dashboards.visitor.account_of_session", lambda *_: None)
    for page in PAGES:
        app = open_as(open_page, page.name)
        assert app.title[0].value == words("en")["sign_in.title"]
        assert not app.metric
        assert not app.dataframe
        assert not app.multiselect


def mark_foreign_rows(home: Path) -> int:
    """Publish a copy in which every row of another store, or of a customer at home there, bears a mark; the rows."""
    run_sql(home)  # another file, for the first one is cached
    marked = 0
    path = (home / "lake" / "snapshots" / "current").resolve()
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"CREATE TEMP TABLE kept AS SELECT customer_id FROM marts.customers WHERE home_store_id = '{OWN}'"
        )
        columns = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts' AND "
            "(column_name LIKE '%store_id' OR column_name = 'customer_id') AND data_type = 'VARCHAR' "
            # Where stock for one's own store may come from: part of one's own row, and of use only with its name.
            "AND column_name <> 'transfer_from_store_id'"
        ).fetchall()
        for table, column in columns:
            own = f"{column} = '{OWN}'" if column != "customer_id" else "customer_id IN (SELECT customer_id FROM kept)"
            done = connection.execute(
                f"UPDATE marts.{table} SET {column} = 'ZZFOREIGN' || {column} WHERE NOT ({own})"
            ).fetchone()
            marked += done[0] if done else 0
    return marked


@pytest.mark.slow
def test_a_store_manager_finds_no_foreign_row_on_any_page(
    open_page: OpenPage, sign_in_as: AccountOf, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mark_foreign_rows(home) > 1000
    taken_home: list[bytes] = []
    make = components.to_csv
    monkeypatch.setattr(components, "to_csv", lambda found: taken_home.append(make(found)) or taken_home[-1])
    sign_in_as("admin")
    for page in PAGES:  # what the cache holds afterwards is everybody's
        open_as(open_page, page.name)
    assert b"ZZFOREIGN" in b"".join(taken_home)
    taken_home.clear()
    sign_in_as("store_manager", OWN)
    seen = 0
    for page in PAGES:
        for query in ({}, {"store": [f"ZZFOREIGN{FOREIGN}", OWN], "period": "365"}):
            app = open_as(open_page, page.name, **query)
            assert not app.exception
            assert b"ZZFOREIGN" not in shown(app), page.name
            assert FOREIGN not in str(app.query_params), page.name
            seen += len(app.dataframe)
    assert b"ZZFOREIGN" not in b"".join(taken_home)
    assert taken_home
    assert seen >= 10


def test_a_foreign_customer_is_not_found_by_id(open_page: OpenPage, sign_in_as: AccountOf, home: Path) -> None:
    mark_foreign_rows(home)
    with duckdb.connect(str((home / "lake" / "snapshots" / "current").resolve()), read_only=True) as connection:
        found = connection.execute("SELECT min(customer_id) FROM marts.recommendations WHERE customer_id LIKE 'ZZ%'")
        foreign = str(found.fetchall()[0][0])
    sign_in_as("store_manager", OWN)
    app = open_as(open_page, "customers")
    app.text_input(key="customer_id").set_value(foreign).run()
    assert not app.exception
    assert [badge for badge in app.markdown if "badge" in badge.value] == []


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_every_export_of_every_role(open_page: OpenPage, sign_in_as: AccountOf, home: Path, role: str) -> None:
    mark_foreign_rows(home)
    account = sign_in_as(role, *([OWN] if role == "store_manager" else []))
    settings = load_settings()
    app = open_as(open_page, "exports")
    buttons = [button.key for button in app.button]
    assert ("export_write" in buttons) == (role != "auditor")
    if role == "auditor":
        return
    personal = {"name", "phone", "email"} & set(app.multiselect(key="export_fields").options)
    assert bool(personal) == (role == "marketer")
    for segment in app.selectbox(key="export_segment").options[:2]:
        app.selectbox(key="export_segment").select(segment).run()
        app.button(key="export_write").click().run()
        assert not app.exception
        assert not app.error
    for row in list_exports(state_of(settings)):
        written = Path(row["file"]).read_bytes()
        assert (b"ZZFOREIGN" in written) == (role != "store_manager")
        assert row["actor"] == account.name
        assert may_fetch(account, row)
        assert not may_fetch(Account("somebody-else", "admin"), row)
    assert {entry["actor"] for entry in entries(state_of(settings), action="export")} == {account.name}


def test_the_page_writes_the_bytes_that_the_command_line_writes(
    open_page: OpenPage, sign_in_as: AccountOf, tmp_path: Path
) -> None:
    sign_in_as("analyst")
    app = open_as(open_page, "exports")
    for form in ("csv", "xlsx", "parquet"):
        app.selectbox(key="export_format").select(form).run()
        app.button(key="export_write").click().run()
    settings = load_settings()
    engine = state_of(settings)
    by_page = list_exports(engine)
    assert [row["format"] for row in by_page] == ["parquet", "xlsx", "csv"]
    for row in by_page:
        fields = tuple(row["fields"].split(","))
        again = export_segment(settings, engine, row["segment"], row["format"], tmp_path / "again", fields)
        assert again.sha256 == row["sha256"]
        assert again.rows > 0


def test_personal_data_is_written_for_a_marketer_with_a_purpose_alone(
    open_page: OpenPage, sign_in_as: AccountOf
) -> None:
    sign_in_as("marketer")
    app = open_as(open_page, "exports")
    app.multiselect(key="export_fields").set_value(["customer_id", "phone"]).run()
    assert app.button(key="export_write").disabled
    app.text_input(key="export_purpose").set_value("spring recall").run()
    app.button(key="export_write").click().run()
    assert not app.exception
    (row,) = list_exports(state_of(load_settings()))
    assert (row["purpose"], row["fields"]) == ("spring recall", "customer_id,phone")
    assert not may_fetch(Account("a-marketer", "analyst"), row)
    assert not may_fetch(Account("a-marketer", "store_manager", (OWN,)), row)


def test_a_segment_is_built_saved_opened_again_and_exported(
    open_page: OpenPage, sign_in_as: AccountOf, reader: Reader, tmp_path: Path
) -> None:
    sign_in_as("marketer")
    app = open_as(open_page, "segments")
    assert words("en")["segments.empty"] in [info.value for info in app.info]
    next(button for button in app.button if button.key and button.key.endswith("add-column")).click().run()
    column = next(box for box in app.selectbox if box.key and box.key.endswith("-column"))
    column.select("lifecycle").run()
    value = next(box for box in app.multiselect if box.key and "-value-" in box.key)
    value.set_value(["active", "new"]).run()
    expected = reader.rows(
        "SELECT count(*) AS n FROM customer_rfm WHERE lifecycle IN ('active', 'new') AND snapshot_date = "
        "(SELECT max(snapshot_date) FROM customer_rfm)"
    )[0]["n"]
    assert expected > 0
    assert app.metric[0].value == f"{expected:,}"
    app.text_input(key="segment_name").set_value("lively").run()
    app.button(key="segment_save").click().run()
    assert not app.error
    saved = find(state_of(load_settings()), "lively")
    assert saved is not None
    assert saved.tree == {"all": [{"column": "lifecycle", "op": "in", "value": ["active", "new"]}]}
    assert saved.saved_by == "a-marketer"
    turn_to(app, "exports")
    app.run()
    app.selectbox(key="export_segment").select("lively").run()
    app.button(key="export_write").click().run()
    (row,) = list_exports(state_of(load_settings()))
    assert (row["rows_written"], row["definition_version"]) == (expected, "v1")


def test_a_saved_segment_opens_with_all_its_conditions(open_page: OpenPage, sign_in_as: AccountOf) -> None:
    tree = {"any": [
        {"not": {"column": "consent_marketing", "op": "is", "value": True}},
        {"all": [{"events": "orders", "op": ">=", "value": 2, "within_days": 90, "where": {"channel": ["pos"]}},
                 {"column": "first_order_at", "op": "between", "value": ["2026-01-01", "2026-03-31"]},
                 {"column": "monetary", "op": ">", "value": "10.5"}, {"tag": "lifecycle"}]},
    ]}  # fmt: skip
    settings = load_settings()
    save(settings, state_of(settings), "nested", tree, "ana")
    sign_in_as("analyst")
    app = open_as(open_page, "segments")
    app.selectbox(key="segment_open").select("nested").run()
    app.button(key="segment_open_button").click().run()
    assert not app.exception
    drawn = json.loads(app.code[0].value)
    again = from_tree(drawn)
    assert canonical(to_tree(again)) == canonical(drawn)
    assert [box.value for box in app.selectbox if box.key and box.key.endswith("-column")] == [
        "consent_marketing", "first_order_at", "monetary",
    ]  # fmt: skip
    assert app.metric[0].value != "0"


def test_the_audit_page_finds_a_changed_entry(open_page: OpenPage, sign_in_as: AccountOf) -> None:
    settings = load_settings()
    save(settings, state_of(settings), "one", {"tag": "x"}, "ana")
    sign_in_as("auditor")
    app = open_as(open_page, "audit")
    app.button(key="audit_verify").click().run()
    assert [note.value for note in app.success] == [words("en")["audit.whole"].format(entries=1)]
    with state_of(settings).begin() as transaction:
        transaction.exec_driver_sql("DROP TRIGGER audit_log_no_update")
        transaction.exec_driver_sql("UPDATE audit_log SET actor = 'bob'")
    app.button(key="audit_verify").click().run()
    assert "Entry 1" in app.error[0].value


@given(_trees)
def test_a_definition_survives_the_builders_working_copy(tree: object) -> None:
    tree = parse(json.dumps(tree))
    draft = from_tree(tree)
    once = to_tree(draft)
    assert to_tree(from_tree(once)) == once


def test_what_is_not_complete_is_not_part_of_the_definition() -> None:
    group = new_group("any")
    assert to_tree(group) is None
    part = new_condition("column") | {"column": "level", "op": "contains", "value": ""}
    inner = new_group() | {"parts": [part], "negated": True}
    group["parts"].append(inner)
    assert to_tree(group) is None
    part["value"] = "gold"
    condition = {"column": "level", "op": "contains", "value": "gold"}
    assert to_tree(group) == {"any": [{"not": {"all": [condition]}}]}
    remove(group, part["id"])
    assert to_tree(group) is None
