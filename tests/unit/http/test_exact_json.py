"""JSON keeps every digit."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.http.exact_json import dumps, encode, loads

finite = st.decimals(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text() | finite,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_json_and_reads_back_equal(value):
    text = dumps(value)
    json.loads(text)

    assert loads(text) == value


@given(st.binary(max_size=60))
def test_nonsense_is_a_value_error_and_nothing_else(body):
    try:
        loads(body)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[NaN, -Infinity, 1]", ["NaN", "-Infinity", 1]),
        (b'{"name": "\xc4\xe3", "n": 1}', {"name": "\ufffd\ufffd", "n": 1}),
        ('{"note": "two\nlines"}', {"note": "two\nlines"}),
        ("9" * 5000, Decimal("9" * 5000)),
        (b'\xef\xbb\xbf{"n": 1}', {"n": 1}),
        ('{"n": 1}'.encode("utf-16"), {"n": 1}),
    ],
)
def test_one_sloppy_value_does_not_stop_its_page(text, value):
    assert loads(text) == value
    assert loads(encode(value)) == value


@pytest.mark.parametrize("text", ["[1", "[" * 100_000, "", "{'n': 1}", b"\xc4"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        loads(text)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), float("nan")])
def test_a_number_that_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError):
        dumps([value])


def test_a_huge_exponent_is_not_written_out():
    assert len(dumps(Decimal("1e999999"))) < 20


def test_half_a_surrogate_pair_can_still_be_sent():
    assert loads(encode({"name": "\ud83d", "price": Decimal("1.50")})) == {"name": "\ud83d", "price": Decimal("1.50")}
    assert encode("中") == '"中"'.encode()
