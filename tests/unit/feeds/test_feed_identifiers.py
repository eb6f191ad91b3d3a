"""Normal forms of identifiers: SQL and Python agree, and every writing of a number is one number."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import phonenumbers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.feeds import identifiers
from pipelines.keys import Keys

KEYS = Keys(b"k" * 32, b"v" * 32, "id", {})

PHONES = {
    "13812345678": ("+8613812345678", None),
    "+86 138-1234-5678": ("+8613812345678", None),
    "0086 (138) 1234.5678": ("+8613812345678", None),
    "８６１３８１２３４５６７８": ("+8613812345678", None),
    "13812345678.0": ("+8613812345678", None),
    "021-5888 8888": ("+862158888888", None),
    "+33 6 12 34 56 78": ("+33612345678", None),
    "001 212 555 2368": ("+12125552368", None),
    "138****5678": (None, "masked"),
    "138xxxx5678": (None, "masked"),
    "12345": (None, "invalid"),
    "call me": (None, "invalid"),
    "13800000000": ("+8613800000000", "placeholder"),
    "00000000000": ("00000000000", "placeholder"),
    "12345678901": ("12345678901", "placeholder"),
    "13800138000": ("+8613800138000", "placeholder"),
    "15900159000": ("+8615900159000", "placeholder"),
    "13888888888": ("+8613888888888", "placeholder"),
    "13888888889": ("+8613888888889", None),
    "13900138000": ("+8613900138000", None),
}
EMAILS = {
    " Ann@Example.CN ": ("ann@example.cn", None),
    "ａｎｎ＠example.cn": ("ann@example.cn", None),
    "a***@b.cn": (None, "masked"),
    "none@x.cn": ("none@x.cn", "placeholder"),
    "NoReply@shop.com": ("noreply@shop.com", "placeholder"),
    "a@b": (None, "invalid"),
    "a b@c.cn": (None, "invalid"),
    "a@@c.cn": (None, "invalid"),
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        identifiers.install(opened, KEYS)
        yield opened


@pytest.mark.parametrize(("kind", "cases"), [("phone", PHONES), ("email", EMAILS)])
def test_normal_form_and_issue(
    connection: duckdb.DuckDBPyConnection, kind: str, cases: dict[str, tuple[str, str]]
) -> None:
    for text, (normal, issue) in cases.items():
        query = f"SELECT {kind}_normal(v), {kind}_issue(v, {kind}_normal(v)) FROM (SELECT ? AS v)"
        assert connection.execute(query, [text]).fetchone() == (normal, issue), text
        assert (identifiers.normalise(kind, text), identifiers.issue_of(kind, text)) == (normal, issue), text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=14) | st.from_regex(r"[+0-9 ()\-]{5,16}", fullmatch=True), min_size=1, max_size=20))
def test_sql_and_python_agree_on_any_text(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> None:
    texts = [text for text in texts if text.isprintable()]
    for kind in ("phone", "email", "name"):
        query = f"SELECT {kind}_normal(v) FROM (SELECT unnest(?) AS v)"
        found = [row[0] for row in connection.execute(query, [texts]).fetchall()]
        assert found == [identifiers.normalise(kind, text) for text in texts]


@given(st.from_regex(identifiers.CN_MOBILE_PATTERN, fullmatch=True).filter(str.isascii))
def test_every_number_of_the_fast_path_is_valid_to_the_library(text: str) -> None:
    number = phonenumbers.parse(text[-11:], "CN")
    assert phonenumbers.is_valid_number(number)
    assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == identifiers.normalise(
        "phone", text
    )


@given(st.text(min_size=1, max_size=80).filter(lambda text: "\0" not in text))
def test_tokens_of_sql_are_those_of_hmac(text: str) -> None:
    with duckdb.connect() as opened:
        identifiers.install(opened, KEYS)
        assert opened.execute("SELECT token('phone', ?)", [text]).fetchone() == (KEYS.token("phone", text),)


def test_kinds_keep_equal_values_apart() -> None:
    assert KEYS.token("phone", "1") != KEYS.token("email", "1")


def test_names_ignore_case_width_and_spacing(connection: duckdb.DuckDBPyConnection) -> None:
    for writings in (["Ann  Lee", "ＡＮＮ lee ", "ann\u3000LEE"], ["王 小明", " 王  小明"]):
        found = connection.execute("SELECT DISTINCT name_normal(v) FROM (SELECT unnest(?) AS v)", [writings]).fetchall()
        assert len(found) == 1


@pytest.mark.parametrize(
    "plain", ["10000001", "20240101000001", "12345678901234", "M1", "138****5678", "wx@", "20000000001"]
)
def test_plain_member_ids_are_left_alone(connection: duckdb.DuckDBPyConnection, plain: str) -> None:
    assert connection.execute("SELECT member_id_kind(?)", [plain]).fetchone() == (None,)
