"""`omnilake evaluate recommend`: what it measures, and what it says to wrong input."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError
from pipelines.evaluation.recommend import evaluate_recommend


def written(folder: Path, *lines: str) -> Path:
    file = folder / "baskets.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_last_basket_by_number_is_held_out_and_nine_comes_before_ten(tmp_path: Path) -> None:
    data = written(
        tmp_path, "customer_id,basket_no,sku", "a,8,tea", "a,9,tea", "a,10,tea", "b,1,jam", "b,2,jam", "c,1,ham"
    )
    measured = evaluate_recommend(data, 1, None)
    assert (measured.customers, measured.single_basket, measured.lines) == (2, 1, 6)
    assert measured.personal_top.recall == 1.0
    assert measured.popularity.recall == 0.5
    assert measured.ours.recall == 1.0


def test_returns_and_lines_without_a_customer_are_no_purchases(tmp_path: Path) -> None:
    data = written(
        tmp_path, "customer_id,ordered_at,sku,quantity", "a,2026-01-01,tea,1", "a,2026-01-05T10:00:00,tea,1",
        "a,2026-01-09,jam,-1", ",2026-01-09,jam,1",
    )  # fmt: skip
    assert evaluate_recommend(data, 5, None).lines == 2


@pytest.mark.parametrize(
    ("lines", "mapping", "words"),
    [
        (["customer_id,sku", "a,tea"], None, "basket_no=COLUMN or ordered_at=COLUMN"),
        (["who,basket_no,sku", "a,1,tea"], None, "customer_id=COLUMN"),
        (["customer_id,basket_no,sku", "a,1,tea", "b,1,tea"], None, "no customer .* has two baskets"),
        (["customer_id,basket_no,sku", "a,first,tea"], None, "basket_no as a number"),
        (["customer_id,ordered_at,sku", "a,someday,tea"], None, "ordered_at as a date"),
        (["customer_id,basket_no,sku"], "k=v", "no field 'k'"),
    ],
)
def test_wrong_input_is_told_in_words(tmp_path: Path, lines: list[str], mapping: str | None, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        evaluate_recommend(written(tmp_path, *lines), 10, mapping)


@pytest.mark.parametrize("k", [0, -1, 100_000])
def test_a_senseless_length_is_refused(tmp_path: Path, k: int) -> None:
    with pytest.raises(ConfigurationError, match="-k is"):
        evaluate_recommend(written(tmp_path, "customer_id,basket_no,sku", "a,1,tea"), k, None)
