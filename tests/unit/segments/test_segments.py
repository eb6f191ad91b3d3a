"""Definitions: what compiles finds exactly the customers the definition describes, and nothing else gets into SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audit import verify
from pipelines.errors import ConfigurationError
from pipelines.segments import published, saved
from pipelines.segments.catalogue import Column, columns_of
from pipelines.segments.compiler import compile_segment
from pipelines.segments.definition import OPERATORS, canonical, check, parse
from pipelines.settings import Settings
from pipelines.state import open_state

AS_OF = date(2026, 6, 30)
LEVELS = (None, "gold", "", "gold member", "'; DROP TABLE customers; --", "银", "%")
CUSTOMERS = [
    {
        "customer_id": f"c{number}",
        "level": LEVELS[number % len(LEVELS)],
        "n_members": number % 5 if number % 11 else None,
        "consent_marketing": (None, True, False)[number % 3],
        "first_order_at": datetime(2026, 6, 30, 12) - timedelta(days=number * 3) if number % 4 else None,
    }
    for number in range(60)
]
RFM = [
    {"customer_id": f"c{number}", "snapshot_date": day, "monetary": Decimal(number * 10 + late) / 4, "lifecycle": "new"}
    for number in range(0, 60, 2)
    for late, day in ((0, AS_OF - timedelta(days=1)), (1, AS_OF))
]
EVENTS = [
    {
        "customer_id": f"c{number % 20}" if number % 13 else None,
        "channel": ("pos", "app")[number % 2],
        "order_id": f"o{number // 2}",
        "business_date": AS_OF - timedelta(days=number - 3),
        "kind": ("sale", "sale", "return")[number % 3],
        "store_id": "S1",
        "sku": "k1",
        "category": "dairy",
        "quantity": number % 4,
        "net_amount": Decimal(number),
    }
    for number in range(120)
]
TAGS = [{"customer_id": f"c{number}", "tag": "note", "value": str(number % 3)} for number in range(0, 60, 5)]
COLUMNS = {
    "customer_id": Column("customers", "text"),
    "level": Column("customers", "text"),
    "n_members": Column("customers", "number"),
    "consent_marketing": Column("customers", "boolean"),
    "first_order_at": Column("customers", "instant"),
    "snapshot_date": Column("customer_rfm", "date"),
    "monetary": Column("customer_rfm", "number"),
    "lifecycle": Column("customer_rfm", "text"),
}


@pytest.fixture(scope="module")
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        """
        CREATE SCHEMA marts;
        CREATE TABLE marts.customers (customer_id VARCHAR, level VARCHAR, n_members INTEGER,
            consent_marketing BOOLEAN, first_order_at TIMESTAMP);
        CREATE TABLE marts.customer_rfm (customer_id VARCHAR, snapshot_date DATE, monetary DECIMAL(18, 2),
            lifecycle VARCHAR);
        CREATE TABLE marts.order_events (customer_id VARCHAR, channel VARCHAR, order_id VARCHAR, business_date DATE,
            kind VARCHAR, store_id VARCHAR, sku VARCHAR, category VARCHAR, quantity INTEGER, net_amount DECIMAL(18, 2));
        CREATE TABLE marts.customer_tags (customer_id VARCHAR, tag VARCHAR, value VARCHAR);
        """
    )
    rows = {"customers": CUSTOMERS, "customer_rfm": RFM, "order_events": EVENTS, "customer_tags": TAGS}
    for table, listed in rows.items():
        marks = ", ".join("?" for _ in listed[0])
        connection.executemany(f"INSERT INTO marts.{table} VALUES ({marks})", [list(row.values()) for row in listed])
    yield connection
    connection.close()


def found(connection: duckdb.DuckDBPyConnection, tree: Any) -> list[str]:
    compiled = compile_segment(check(tree, COLUMNS), COLUMNS, AS_OF, "marts")
    return sorted(row[0] for row in connection.execute(compiled.sql, compiled.parameters).fetchall())


def holds(tree: dict[str, Any], customer: dict[str, Any]) -> bool:
    """The definition's meaning, said again in Python."""
    if "all" in tree:
        return all(holds(part, customer) for part in tree["all"])
    if "any" in tree:
        return any(holds(part, customer) for part in tree["any"])
    if "not" in tree:
        return not holds(tree["not"], customer)
    if "tag" in tree:
        values = [row["value"] for row in TAGS if row["customer_id"] == customer["customer_id"]]
        return tree["tag"] == "note" and (bool(values) if "value" not in tree else tree["value"] in values)
    if "events" in tree:
        return _compare(tree["op"], _measure(tree, customer["customer_id"]), Decimal(str(tree["value"])))
    rfm = [row for row in RFM if row["customer_id"] == customer["customer_id"] and row["snapshot_date"] == AS_OF]
    actual = (customer | (rfm[0] if rfm else {})).get(tree["column"])
    actual = actual.date() if isinstance(actual, datetime) else actual
    op, value = tree["op"], tree.get("value")
    if op in ("is_null", "is_not_null"):
        return (actual is None) == (op == "is_null")
    if actual is None:
        return False
    if op in ("in", "not_in"):
        return (actual in value) == (op == "in")
    if op in ("within_days", "not_within_days"):
        return (AS_OF - timedelta(days=value) < actual <= AS_OF) == (op == "within_days")
    if op in ("contains", "starts_with"):
        return value in actual if op == "contains" else str(actual).startswith(value)
    if op == "is":
        return bool(actual == value)
    read = date.fromisoformat if isinstance(actual, date) else lambda given: Decimal(str(given))
    if op == "between":
        return bool(read(value[0]) <= actual <= read(value[1]))
    return _compare(op, actual, read(value))


def _measure(tree: dict[str, Any], customer_id: str) -> Any:
    rows = [
        row
        for row in EVENTS
        if row["customer_id"] == customer_id
        and all(row[name] in values for name, values in tree.get("where", {}).items())
        and ("within_days" not in tree or AS_OF - timedelta(days=tree["within_days"]) < row["business_date"] <= AS_OF)
    ]
    match tree["events"]:
        case "orders":
            return len({(row["channel"], row["order_id"]) for row in rows})
        case "days":
            return len({row["business_date"] for row in rows})
        case measure:
            return sum(row[measure] for row in rows)


def _compare(op: str, left: Any, right: Any) -> bool:
    return bool(
        {"=": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right,
         ">=": left >= right}[op]
    )  # fmt: skip


_numbers = st.one_of(st.integers(-5, 200), st.decimals(-5, 200, places=2).map(str))
_dates = st.dates(date(2026, 1, 1), date(2026, 7, 10)).map(date.isoformat)
_texts = st.one_of(
    st.sampled_from([level for level in LEVELS if level] + ["gold", "c1", "new"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
)
_days = st.integers(1, 400)
_comparisons = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])


def _value(kind: str, op: str) -> st.SearchStrategy[Any]:
    if op in ("is_null", "is_not_null"):
        return st.none()
    if op in ("within_days", "not_within_days"):
        return _days
    if op == "is":
        return st.booleans()
    if op in ("in", "not_in"):
        return st.lists(_texts, min_size=1, max_size=4)
    plain = {"text": _texts, "number": _numbers}.get(kind, _dates)
    return st.lists(plain, min_size=2, max_size=2) if op == "between" else plain


@st.composite
def _columns(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(COLUMNS)))
    op = draw(st.sampled_from(OPERATORS[COLUMNS[name].kind]))
    value = draw(_value(COLUMNS[name].kind, op))
    return {"column": name, "op": op} | ({} if value is None else {"value": value})


_where = st.fixed_dictionaries(
    {}, optional={"kind": st.just(["sale"]), "channel": st.lists(st.sampled_from(["pos", "app"]), min_size=1)}
)
_events = st.fixed_dictionaries(
    {
        "events": st.sampled_from(["orders", "days", "quantity", "net_amount"]),
        "op": _comparisons,
        "value": st.integers(0, 9),
    },
    optional={"within_days": _days, "where": _where},
)
_tags = st.fixed_dictionaries({"tag": st.sampled_from(["note", "x"])}, optional={"value": st.sampled_from(["1", "9"])})
_trees = st.recursive(
    st.one_of(_columns(), _events, _tags),
    lambda parts: st.one_of(
        st.fixed_dictionaries({"all": st.lists(parts, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(parts, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": parts}),
    ),
    max_leaves=6,
)


@given(_trees)
def test_what_is_found_is_what_the_definition_says(marts: duckdb.DuckDBPyConnection, tree: dict[str, Any]) -> None:
    tree = parse(json.dumps(tree))
    expected = sorted(customer["customer_id"] for customer in CUSTOMERS if holds(tree, customer))
    assert found(marts, tree) == expected
    assert len(found(marts, {"not": tree})) == len(CUSTOMERS) - len(expected)
    assert canonical(parse(canonical(tree))) == canonical(tree)


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10), st.sampled_from(sorted(COLUMNS))),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.dictionaries(
            st.sampled_from(["all", "any", "not", "column", "op", "value", "tag", "events", "where", "x"]), parts
        ),
    ),
    max_leaves=8,
)


@given(_json)
def test_whatever_is_no_definition_is_refused_in_words(tree: Any) -> None:
    words = "definition"
    try:
        check(tree, COLUMNS)
    except ConfigurationError as error:
        words = str(error)
    assert "definition" in words or "segment" in words


@given(_texts)
def test_no_value_becomes_part_of_the_sql(text: str) -> None:
    tree = {"all": [{"column": "level", "op": "contains", "value": text}, {"tag": text, "value": text},
                    {"events": "days", "op": ">", "value": 1, "where": {"sku": [text]}}]}  # fmt: skip
    plain = json.loads(json.dumps(tree).replace(json.dumps(text), '"x"'))
    sql = [compile_segment(check(one, COLUMNS), COLUMNS, AS_OF).sql for one in (tree, plain)]
    assert sql[0] == sql[1]


@pytest.mark.parametrize(
    ("tree", "named"),
    [
        ([], "object"),
        ({"all": []}, "at least one"),
        ({"all": [{"tag": "x"}], "any": []}, "exactly one"),
        ({"not": {"tag": "x"}, "op": "="}, "known there"),
        ({"column": "nope", "op": "="}, "customer_id"),
        ({"column": ["level"], "op": "in"}, "level"),
        ({"column": "level", "op": "; DROP", "value": "x"}, "contains"),
        ({"column": "level", "op": "contains", "value": 3}, "text"),
        ({"column": "level", "op": "in", "value": []}, "list"),
        ({"column": "level", "op": "contains", "value": "a\0b"}, "text"),
        ({"column": "n_members", "op": "=", "value": True}, "number"),
        ({"column": "n_members", "op": "=", "value": "NaN"}, "number"),
        ({"column": "n_members", "op": "=", "value": "1e99"}, "number"),
        ({"column": "n_members", "op": "between", "value": [1]}, "two"),
        ({"column": "consent_marketing", "op": "is", "value": 1}, "true or false"),
        ({"column": "first_order_at", "op": "within_days", "value": -1}, "days"),
        ({"column": "first_order_at", "op": ">", "value": "yesterday"}, "date"),
        ({"column": "level", "op": "is_null", "value": 1}, "no value"),
        ({"events": "orders; --", "op": ">", "value": 1}, "net_amount"),
        ({"events": "orders", "op": ">", "value": 1, "where": {"1=1) OR (1": ["x"]}}, "channel"),
        ({"events": "orders", "op": "in", "value": 1}, ">="),
    ],
)
def test_a_fault_is_named_with_what_would_be_right(tree: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        check(tree, COLUMNS)


def test_a_definition_has_bounds() -> None:
    deep: dict[str, Any] = {"tag": "x"}
    for _ in range(10):
        deep = {"not": deep}
    with pytest.raises(ConfigurationError, match="deep"):
        check(deep, COLUMNS)
    with pytest.raises(ConfigurationError, match="at most"):
        check({"any": [{"tag": "x"}] * 100}, COLUMNS)
    for text in ("[" * 100_000, "{", ""):
        with pytest.raises(ConfigurationError, match="JSON"):
            parse(text)


def test_the_columns_are_those_of_the_marts(marts: duckdb.DuckDBPyConnection) -> None:
    assert published.columns_in(marts) == COLUMNS
    assert columns_of({}) == {}


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    opened = open_state(settings)
    yield opened
    opened.dispose()


TREE = {"column": "level", "op": "in", "value": ["gold"]}
OTHER = {"tag": "note"}


def test_saving_makes_versions_and_the_same_definition_none(settings: Settings, engine: sa.Engine) -> None:
    first = saved.save(settings, engine, "gold", TREE, "ana")
    assert saved.save(settings, engine, " gold ", dict(reversed(TREE.items())), "bob") == first
    second = saved.save(settings, engine, "gold", OTHER, "bob")
    assert (first.version, second.version) == (1, 2)
    assert saved.find(engine, "gold") == second
    assert saved.find(engine, "gold", 1) == first
    assert [row["saved_by"] for row in saved.versions(engine, "gold")] == ["bob", "ana"]
    assert verify(settings).entries == 2


def test_a_retired_segment_is_in_no_list_and_can_come_back(settings: Settings, engine: sa.Engine) -> None:
    saved.save(settings, engine, "gold", TREE, "ana")
    saved.retire(settings, engine, "gold", "ana")
    assert saved.list_saved(engine) == []
    assert saved.find(engine, "gold") is None
    with pytest.raises(ConfigurationError, match="gold"):
        saved.retire(settings, engine, "gold", "ana")
    assert saved.save(settings, engine, "gold", TREE, "ana").version == 3
    assert [segment.name for segment in saved.list_saved(engine)] == ["gold"]


@pytest.mark.parametrize("name", ["", " ", "a b", "a'b", "../a", "-a", "x" * 65, "loyal"])
def test_a_name_that_cannot_be_one_is_refused(settings: Settings, engine: sa.Engine, name: str) -> None:
    with pytest.raises(ConfigurationError):
        saved.save(settings, engine, name, TREE, "ana", taken=("loyal",))
    assert saved.save(settings, engine, "春季-2026", TREE, "ana").version == 1


def test_a_publish_brings_members_and_definitions_and_leaves_out_what_no_longer_fits(
    settings: Settings, engine: sa.Engine, marts: duckdb.DuckDBPyConnection
) -> None:
    cursor = marts.cursor()
    cursor.execute("BEGIN")
    cursor.execute(
        """
        CREATE TABLE marts.run_settings AS SELECT DATE '2026-06-30' AS as_of;
        CREATE TABLE marts.segment_members AS SELECT 'loyal' AS segment, 'c1' AS customer_id, current_date AS since;
        CREATE TABLE marts.segments AS SELECT 'loyal' AS segment, 'rfm' AS kind, 1::BIGINT AS position, 'l' AS name_zh,
            'l' AS name_en, 'l' AS definition_zh, 'l' AS definition_en;
        """
    )
    for name, tree in (("noted", OTHER), ("loyal", TREE), ("gone", {"column": "gone", "op": "is_null"})):
        saved.save(settings, engine, name, tree, "ana")
    said: list[str] = []
    for table, content in published.with_saved(saved.list_saved(engine), said.append).items():
        content(cursor, f"marts.{table}")
    counted = cursor.execute("SELECT segment, count(*) FROM marts.segment_members GROUP BY ALL ORDER BY ALL").fetchall()
    assert counted == [("loyal", 1), ("noted", len(TAGS))]
    assert cursor.execute("SELECT segment, kind, position FROM marts.segments ORDER BY position").fetchall() == [
        ("loyal", "rfm", 1), ("noted", "saved", 2),
    ]  # fmt: skip
    assert sorted(line.split(":")[0] for line in said) == ["segment gone", "segment loyal"]
    cursor.execute("ROLLBACK")
    assert published.with_saved([], said.append) == {}
