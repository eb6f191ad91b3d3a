"""What a look-up asks for in Python is what SQL has stored."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.feeds.identifiers import install, stored_member_id
from pipelines.keys import Keys
from pipelines.lookup_tables import lookup_key

KEYS = Keys(b"k" * 32, b"v" * 32, "id", {})

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)

MEMBER_IDS = st.one_of(
    TEXT,
    st.text(alphabet="0123456789+-() .@axX*＠１９é_", max_size=20),
    st.builds("{}1{:010}".format, st.sampled_from(["", "+86", "86", "0086", "+"]), st.integers(0, 10**10 - 1)),
    st.builds("{}@{}.cn".format, st.text("abcXYZ.-_", max_size=6), st.text("abc-", max_size=4)),
    st.sampled_from(["+44 20 7946 0958", "+4420794609", "0755-26001234", "138****1234", "１３９１２３４５６７８"]),
)


@pytest.fixture(scope="module")
def ingest() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    install(connection, KEYS)
    return connection


@given(channel=TEXT, member=TEXT)
def test_a_key_of_python_is_the_key_of_sql(ingest: duckdb.DuckDBPyConnection, channel: str, member: str) -> None:
    row = ingest.execute("SELECT md5_number_lower(? || chr(31) || ?)", [channel, member]).fetchone()
    assert row == (lookup_key(channel, member),)


@settings(max_examples=200, deadline=None)
@given(member=MEMBER_IDS)
def test_a_member_id_is_looked_for_as_ingest_stores_it(ingest: duckdb.DuckDBPyConnection, member: str) -> None:
    row = ingest.execute(
        "SELECT CASE WHEN member_id_normal($1) IS NULL THEN $1 "
        "ELSE token(member_id_kind($1), member_id_normal($1)) END",
        [member],
    ).fetchone()
    assert row == (stored_member_id(KEYS, member),)
