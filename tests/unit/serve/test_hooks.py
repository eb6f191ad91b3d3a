"""Posted rows: a line each, kept before the answer, a landing file in the end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.feeds import hooks
from pipelines.settings import Settings

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
OBJECTS = st.dictionaries(st.text(max_size=4), SCALARS | st.lists(SCALARS, max_size=2), min_size=1, max_size=3)


@given(st.lists(OBJECTS, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_every_object_of_an_array_becomes_a_line_with_its_meaning(
    rows: list[dict[str, object]], indent: int | None, escaped: bool
) -> None:
    body = json.dumps(rows, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    try:
        lines = hooks.rows_of(body)
    except UnicodeDecodeError:
        assert not escaped
        return
    assert [json.loads(line) for line in lines] == rows
    assert all(line.isascii() and b"\n" not in line and b"\r" not in line for line in lines)


@given(OBJECTS, st.sampled_from([None, 2]))
def test_one_object_is_one_line(row: dict[str, object], indent: int | None) -> None:
    (line,) = hooks.rows_of(json.dumps(row, indent=indent).encode())
    assert json.loads(line) == row


@given(st.text())
def test_any_text_becomes_lines_without_a_fault(text: str) -> None:
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    assert all(line.strip() and b"\n" not in line for line in hooks.rows_of(body))


def test_json_lines_stay_lines_the_broken_one_too() -> None:
    body = '{"a": 1}\r\n\n{"b": \n{"c": "中\u2028文"}\n'.encode()
    assert hooks.rows_of(body) == [b'{"a": 1}\r', b'{"b": ', b'{"c": "\\u4e2d\\u2028\\u6587"}']


def test_numbers_keep_their_text() -> None:
    body = b'[{"amount": 89.10, "big": 12345678901234567890.123456789}]'
    assert hooks.rows_of(body) == [b'{"amount": 89.10, "big": 12345678901234567890.123456789}']


@pytest.mark.parametrize("body", [b"", b" \n ", b"[]", b"[ ]\n"])
def test_nothing_posted_is_no_row(body: bytes) -> None:
    assert hooks.rows_of(body) == []


@pytest.mark.parametrize("body", [b"[{},", b'[{"a": 1}{"b": 2}]', b'[{"a": 1}] x', b'{"a": 1} {"b": 2}', b"[" * 50_000])
def test_a_broken_body_is_kept_as_the_line_it_is(body: bytes) -> None:
    assert hooks.rows_of(body) == [body]


def test_a_body_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        hooks.rows_of('{"name": "麦芽"}'.encode("gbk"))


def test_rows_gather_in_one_file_that_appears_when_it_is_sealed(settings: Settings) -> None:
    hooks.keep(settings, "mall", "orders", [b'{"order_id": "1"}'])
    hooks.keep(settings, "mall", "orders", [b'{"order_id": "2"}', b'{"order_id": "3"}'])
    folder = settings.landing / "mall" / "orders"
    assert list(folder.glob("*.jsonl")) == []
    assert hooks.seal_hooks(settings) == 1
    (landed,) = folder.glob("hook-*.jsonl")
    assert landed.read_bytes() == b'{"order_id": "1"}\n{"order_id": "2"}\n{"order_id": "3"}\n'
    assert hooks.seal_hooks(settings) == 0


def test_a_file_is_bounded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "SEAL_BYTES", 30)
    for number in range(6):
        hooks.keep(settings, "mall", "orders", [b'{"order_id": "%d"}' % number])
    landed = sorted((settings.landing / "mall" / "orders").glob("hook-*.jsonl"))
    assert len(landed) == 3
    assert b"".join(path.read_bytes() for path in landed).count(b"\n") == 6


def test_what_a_killed_process_left_unfinished_is_no_row(settings: Settings) -> None:
    hooks.keep(settings, "mall", "orders", [b'{"order_id": "1"}'])
    with (settings.landing / "mall" / "orders" / "hook-growing.jsonl.part").open("ab") as file:
        file.write(b'{"order_id": "TORN')
    hooks.seal_hooks(settings)
    (landed,) = (settings.landing / "mall" / "orders").glob("hook-*.jsonl")
    assert landed.read_bytes() == b'{"order_id": "1"}\n'


def test_sealing_a_home_without_a_landing_folder_is_nothing(settings: Settings) -> None:
    assert hooks.seal_hooks(settings) == 0
