"""Values of persons in one spelling, whatever the keyboard, country or form."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.linkage import names, values
from models.linkage.normalise import prepare


@pytest.mark.parametrize(
    ("said", "folded"),
    [
        ("  José  Ángel ", "jose angel"),
        ("Ｓｍｉｔｈ", "smith"),
        ("O'Hara-Núñez", "ohara nunez"),
        ("STRAẞE", "strasse"),
        ("王 小明", "王 小明"),
        ("", ""),
    ],
)
def test_text_is_folded_to_one_width_and_case_without_accents(said: str, folded: str) -> None:
    assert names.fold(said) == folded


@pytest.mark.parametrize(
    ("whole", "given_name", "surname"),
    [
        ("王小明", "小明", "王"),
        ("欧阳娜娜", "娜娜", "欧阳"),
        ("欧阳", "阳", "欧"),
        ("李雷先生", "雷", "李"),
        ("Mary Ann Smith", "maryann", "smith"),
        ("Smith, Mary", "mary", "smith"),
        ("Dr. Mary Smith", "mary", "smith"),
        ("Cher", "cher", ""),
        ("!!!", "", ""),
    ],
)
def test_a_whole_name_is_split_by_the_custom_of_its_script(whole: str, given_name: str, surname: str) -> None:
    assert names.split_name(whole) == (given_name, surname)


def test_chinese_characters_sound_like_their_pinyin() -> None:
    assert names.pinyin("王小明") == "wangxiaoming"
    assert names.pinyin("smith") == "smith"


@pytest.mark.parametrize(
    "said",
    [
        "1990-04-03", "1990/4/3", "19900403", "1990年4月3日", "１９９０－０４－０３", "03/04/1990", "3.4.1990",
        "3 April 1990", "Apr 3, 1990", "1990-04-03 00:00:00", "03041990", "3 Apr 90",
    ],
)  # fmt: skip
def test_a_birthday_reads_the_same_in_every_spelling(said: str) -> None:
    assert values.birthday(said, is_day_first=True) == "19900403"


def test_the_order_of_day_and_month_is_learned_from_dates_that_leave_no_choice() -> None:
    assert values.is_day_first(["03/04/1990", "25/04/1990"])
    assert not values.is_day_first(["03/04/1990", "04/25/1990"])
    assert values.birthday("03/04/1990", is_day_first=False) == "19900304"
    assert values.birthday("25/04/1990", is_day_first=False) == "19900425"


@pytest.mark.parametrize("said", ["April 1990", "1990", "soon", "", "3 April"])
def test_a_date_that_is_not_whole_is_no_birthday(said: str) -> None:
    assert values.birthday(said, is_day_first=True) is None


@pytest.mark.parametrize(
    "said",
    [
        "13800138000",
        "+86 138-0013-8000",
        "0086 138 0013 8000",
        "１３８００１３８０００",
        "8613800138000",
        "(86)13800138000",
    ],
)
def test_a_phone_number_reads_the_same_in_every_format(said: str) -> None:
    assert values.phone(said) == "13800138000"


def test_a_masked_phone_keeps_its_stars_and_a_stub_is_none() -> None:
    assert values.phone("138****8000") == "138****8000"
    assert values.phone("138xxxx8000") == "138****8000"
    assert values.phone("110") is None


def test_an_email_has_one_case_and_no_tag() -> None:
    assert values.email(" Ann.Lee+Shop@Mail.COM ") == "ann.lee@mail.com"
    assert values.email("Ann") == "ann"
    assert values.email("  ") is None


def test_a_gender_reads_the_same_in_every_language_and_unknown_says_nothing() -> None:
    assert {values.gender(said) for said in ("F", "female", "女", "Frau")} == {"f"}
    assert values.gender("未知") is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_no_text_breaks_a_reader(said: str) -> None:
    given_name, surname = names.split_name(said)
    assert names.fold(given_name).replace(" ", "") == given_name
    assert names.fold(names.fold(said)) == names.fold(said)
    assert names.pinyin(surname) is not None
    born = values.birthday(said, is_day_first=True)
    assert born is None or (len(born) == 8 and born.isdigit())
    number = values.phone(said)
    assert number is None or (number and set(number) <= set("0123456789*"))
    address = values.email(said)
    assert address is None or not any(character.isspace() for character in address)


def columns_of(**said: list[str | None]) -> dict[str, list[object]]:
    with duckdb.connect() as connection:
        prepare(connection, pa.table(said))
        return connection.execute("select * exclude (id) from records order by id").to_arrow_table().to_pydict()


def test_the_fast_way_and_the_slow_way_agree() -> None:
    columns = columns_of(
        name=["Ann Lee", "Ａnn Lee", "Lee, Ann", "Dr Ann Lee"],
        birthday=["1990-04-03", "1990年4月3日", "19900403", "3/4/1990"],
        phone=["13800138000", "+8613800138000", "１３８00138000", "8613800138000"],
        email=["Ann@Mail.com", "ann+x@mail.com", "ＡNN@mail.com", "ann@mail.com"],
        city=["St. John's", "St. John’s", "st johns", "ST JOHNS"],
        address=["12 High St.", "12  high st", "１２ High St", "12, High St"],
    )
    assert {name: len(set(found)) for name, found in columns.items()} == dict.fromkeys(columns, 1)
    assert columns["given_name"][0] == "ann"
    assert columns["birthday"][0] == "19900403"


def test_words_for_nothing_say_nothing_and_empty_columns_are_left_out() -> None:
    columns = columns_of(surname=["null", "N/A", " ", "Lee"], city=["unknown", "", None, "未知"])
    assert columns["surname"] == [None, None, None, "lee"]
    assert "city" not in columns


def test_a_masked_phone_meets_the_whole_one_in_its_fragment() -> None:
    columns = columns_of(phone=["13800138000", "138****8000"])
    assert columns["phone"] == ["13800138000", None]
    assert columns["phone_fragment"] == ["1388000", "1388000"]


def test_parts_of_a_name_go_before_the_whole_name() -> None:
    columns = columns_of(name=["Ann Lee", "Bob Ray"], given_name=["Anna", None], surname=[None, None])
    assert columns["given_name"] == ["anna", "bob"]
    assert columns["surname"] == ["lee", "ray"]
