"""The fast lane: it takes nothing that the ladder would not take alike, and misses no field that nobody knows."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from feeds_lake import CHANNELS, ORDER, Lake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.feeds import plain
from pipelines.feeds.intake import Intake
from pipelines.feeds.outline import UNTOLD, filled_fields
from pipelines.feeds.text import TextBlock
from pipelines.settings import Settings
from pipelines.state import open_state
from pipelines.vault import Vault

LINE = ORDER["lines"][0]
ORDERS: list[dict[str, Any]] = [
    ORDER,
    ORDER | {"member_id": "m1", "guest_phone": "13912345678", "coupon_codes": ["a", "b"], "is_test": True},
    ORDER | {"placed_at": "2024-05-01T10:00:00Z", "paid_at": "2024-05-01 10:00", "tenders": []},
    ORDER | {"tenders": [{"type": "cash", "amount": 5}, {"type": "card", "amount": "5.50"}], "guest_email": ""},
    ORDER | {"lines": [LINE | {"tax_rate": 0.13, "is_gift": False}, LINE | {"line_id": 2, "quantity": 0.25}]},
]
PIECES = (
    "null", '""', '" "', "0", "-1", "1.23456", "1e2", "12345678.9", "NaN", "true", "[]", "{}", '["x"]', '{"x":null}',
    '":"', '"a\\"b"', '"2024-02-30T10:00:00Z"', '"2024-05-01T1:00:000Z"', '"2024-5-01T10:00:00 Z"',
    '"2024-05-01T24:00:00Z"', '"  24-05-01T10:00:00Z"', '"CNY"', '"paid"', ' 1', '  1', '[[1]]', "12345678901234567890",
)  # fmt: skip
FIELDS = (*ORDER, "guest_phone", "coupon_codes", "is_test", "nobody_knows", "tenders", "items_amount", "exchange_of")


def _strange_line(chance: random.Random) -> str:
    """An order in which one thing is unusual, mostly still JSON."""
    text = json.dumps(chance.choice(ORDERS), separators=chance.choice([(",", ":"), (", ", ": ")]))
    match chance.randrange(6):
        case 0:
            return text
        case 1:
            return f'{text[:-1]},"{chance.choice(FIELDS)}":{chance.choice(PIECES)}}}'
        case 2:
            field, value = chance.choice(FIELDS), chance.choice(PIECES)
            return text.replace(f'"{field}"', f'"{field}":{value},"was_{field}"', 1)
        case 3:
            child = chance.choice((*LINE, "colour", "tax_rate"))
            return text.replace('{"line_id"', f'{{"{child}":{chance.choice(PIECES)},"line_id"', 1)
        case 4:
            place = chance.randrange(len(text))
            return text[:place] + chance.choice(['"', ",", ":", "}", "]", " ", "9", "\\", "x"]) + text[place + 1 :]
        case _:
            return chance.choice(["", " ", "[1]", "{", text[:-1], text[:-1] + ",}", text + " ", " " + text])


def _taken(lines: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "reference").mkdir()
        (home / "reference" / "channels.yml").write_text(CHANNELS, encoding="utf-8")
        (home / "landing").mkdir()
        chosen = Settings(home=home, memory_limit="1GB", threads=1)
        lake = Lake(chosen, open_state(chosen))
        lake.write("pos/orders/a.jsonl", "\n".join(lines))
        report = lake.load()
        lake.assert_reconciled()
        # Tokens differ from home to home, as their keys do.
        found = {
            "rows": [{name: row[name] for name in row if "_token" not in name} for row in lake.raw("orders")],
            "tokens": [[row[name] is None for name in row if "_token" in name] for row in lake.raw("orders")],
            "rejected": sorted(lake.reasons(), key=str),
            "drift": [(entry.column_name, entry.rows) for entry in report.drift],
            "dropped": report.identifiers_dropped,
        }
        lake.engine.dispose()
        return found


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_both_lanes_take_any_line_alike(chance: random.Random) -> None:
    lines = [json.dumps(order) for order in ORDERS] + [_strange_line(chance) for _ in range(250)]
    with patch.object(plain, "layout_of", lambda *_: None):
        expected = _taken(lines)
    with patch.object(Intake, "_is_mostly_plain", True):
        found = _taken(lines)
    for name, value in expected.items():
        assert found[name] == value, name


def test_usual_orders_take_the_fast_lane(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.write_rows("pos/orders/a.jsonl", [ORDER | {"order_id": f"o{number}"} for number in range(50)])
    monkeypatch.setattr(Intake, "_climb", lambda *_: pytest.fail("a plain order climbed the ladder"))
    assert lake.load().rows_accepted == 50


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ('{"a":1,"b":"x","c":null,"d":""}', 3),
        ('{"a": 1, "b": [1], "c": {"d": 2}}', 6),
        ('{"a":[{"b":1},{"b":null}]}', 3),
        ('{"a":"x: y","b":"10:00:00"}', 2),
        ('{"a" : 1}', UNTOLD),
        ('{"a":  1}', UNTOLD),
        ('{"a":" x"}', UNTOLD),
        ('{"a":"\\u0041"}', UNTOLD),
        ('{"a":"', UNTOLD),
        ('{"a":', UNTOLD),
        ("", 0),
    ],
)
def test_filled_fields_are_counted_or_left_open(line: str, count: int) -> None:
    block = TextBlock(f'{{"z":0}}\n{line}\n'.encode(), 1)
    assert filled_fields(block.data, block.line_starts).tolist() == [1, count]


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(alphabet="a:,é", max_size=3),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("kq", max_size=2), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=6,
    ),
    st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_the_count_is_never_below_the_fields_that_are_filled(values: list[Any], separators: tuple[str, str]) -> None:
    lines = [json.dumps({"v": value}, separators=separators, ensure_ascii=False) for value in values]
    block = TextBlock("".join(f"{line}\n" for line in lines).encode(), 1)
    starts = block.line_starts if lines else np.zeros(1, np.int64)
    for value, count in zip(values, filled_fields(block.data, starts).tolist(), strict=True):
        assert count == UNTOLD or count >= _filled({"v": value})


def _filled(value: Any) -> int:
    if isinstance(value, list):
        return sum(_filled(element) for element in value)
    if not isinstance(value, dict):
        return 0
    own = sum(2 if isinstance(item, list | dict) else item is not None for item in value.values())
    return own + sum(_filled(item) for item in value.values())


def test_unknown_fields_of_nested_lines_are_kept_sealed_and_reported(lake: Lake) -> None:
    odd = ORDER | {"lines": [LINE, LINE | {"colour": "ultramarine", "13812345678": 1}], "member_id": "m1"}
    empty = ORDER | {"order_id": "2", "lines": [LINE | {"size": None}]}
    lake.write_rows("pos/orders/a.jsonl", [odd, empty, ORDER | {"order_id": "3"}])
    columns = [name for name in ORDER if name != "lines"]
    header, row = ",".join([*columns, "lines"]), ",".join(str(ORDER[name]) for name in columns)
    cell = json.dumps([LINE | {"fabric": "linen"}]).replace('"', '""')
    lake.write("pos/orders/b.csv", f'{header}\n{row},"{cell}"\n')
    tenders = [{"type": "cash", "amount": "10.50", "till": "north"}]
    lake.write_parquet("pos/orders/c.parquet", pa.Table.from_pylist([ORDER | {"tenders": tenders}]))
    report = lake.load()
    assert lake.reasons() == []
    assert [(entry.column_name, entry.rows) for entry in report.drift] == [
        ("(others)", 1), ("lines[].colour", 1), ("lines[].fabric", 1), ("tenders[].till", 1),
    ]  # fmt: skip
    with Vault.open(lake.settings) as vault:
        sealed = json.dumps(vault.reveal_documents(["member:pos:m1", *(f"batch:{b.batch_id}" for b in report.batches)]))
    assert all(value in sealed for value in ("ultramarine", "linen", "north"))
    assert "size" not in sealed
