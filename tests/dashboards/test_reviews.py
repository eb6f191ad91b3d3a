"""The review list: what agrees, in the reader's language, and how a pair is decided."""

from __future__ import annotations

import pytest

from dashboards.language import LANGUAGES, Language, words
from dashboards.views.reviews import FIELDS, agreements, slug
from models.linkage.comparisons import comparisons
from models.linkage.fields import LABELS
from tests.dashboards.conftest import OpenPage, words_of

COLUMNS = (
    "given_name", "surname", "birthday", "email", "phone", "phone_fragment", "postcode", "address", "city", "gender",
    "occupation",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_evidence_has_one_in_the_locales(language: str) -> None:
    known = words(language)  # type: ignore[arg-type]
    levels = {level.words for item in comparisons(COLUMNS) for level in item.levels} | {"differs"}
    assert {f"agreements.{slug(level)}" for level in levels} <= known.keys()
    assert {f"review_fields.{slug(label)}" for label in LABELS.values()} <= known.keys()
    assert set(FIELDS) == set(LABELS.values())


def test_evidence_reads_field_by_field() -> None:
    evidence = "given name same; birthday one digit apart, or day and month swapped; e-mail differs"
    assert agreements(Language("en"), evidence) == [
        ("Given name", "the same"),
        ("Birthday", "one digit apart, or day and month swapped"),
        ("E-mail", "differs"),
    ]
    assert agreements(Language("zh"), evidence)[1] == ("生日", "差一位数字，或日月对调")
    assert agreements(Language("en"), "") == []


def test_the_likeliest_pair_stands_first_with_the_commands_that_decide_it(home: object, open_page: OpenPage) -> None:
    app = open_page("reviews", lang="en")
    assert not app.exception
    chosen = app.selectbox(key="review")
    assert chosen.options[0].startswith("6.9 bits")
    assert [code.value for code in app.code] == [
        f"omnilake identity accept {chosen.value}\nomnilake identity reject {chosen.value}"
    ]
    assert "Waiting for review" in words_of(app)
