"""`omnilake evaluate identity`: figures out, wrong usage in words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from models.linkage import FIELDS, Linkage
from pipelines.cli import cli
from pipelines.errors import ConfigurationError
from pipelines.evaluation import identity
from pipelines.evaluation.identity import evaluate_identity
from pipelines.evaluation.tables import read_table
from tests.support.linkage_sets import families

DATASETS = Path(os.environ.get("OMNILAKE_DATASETS") or Path(__file__).parents[4] / "shared" / "datasets")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = families(200).rename_columns({"truth": "who", "birthday": "born"})
    path = tmp_path_factory.mktemp("evaluation") / "families.csv"
    csv.write_csv(table, path)
    parquet.write_table(table, path.with_suffix(".parquet"))
    return path


def test_csv_and_parquet_give_the_same_figures_as_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for path in (data, data.with_suffix(".parquet")):
        cli.main(
            ["evaluate", "identity", "--data", str(path), "--map", "truth=who,birthday=born", "--json"],
            standalone_mode=False,
        )
        (row,) = json.loads(capsys.readouterr().out)
        rows.append({name: value for name, value in row.items() if name != "seconds"})
    assert rows[0] == rows[1]
    assert rows[0]["records"] == parquet.read_table(data.with_suffix(".parquet")).num_rows
    assert 0.9 < rows[0]["f1"] <= 1
    assert 0.9 < rows[0]["bcubed_f1"] <= 1
    assert rows[0]["threshold"] == 0


def test_the_truth_never_reaches_the_linker(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[pa.Table] = []
    linked = identity.link

    def spy(table: pa.Table) -> Linkage:
        seen.append(table)
        return linked(table)

    monkeypatch.setattr(identity, "link", spy)
    told = evaluate_identity(data, "truth=who,birthday=born")
    table = csv.read_csv(data)
    shuffled = np.random.default_rng(1).permutation(table.num_rows)
    moved = data.with_name("moved.parquet")
    parquet.write_table(table.set_column(table.column_names.index("who"), "who", table["who"].take(shuffled)), moved)
    lied_to = evaluate_identity(moved, "truth=who,birthday=born")
    assert all(set(given.column_names) <= set(FIELDS) for given in seen)
    assert lied_to.clusters == told.clusters
    assert lied_to.quality.pairs_found == told.quality.pairs_found
    assert lied_to.quality.f1 < 0.1 < told.quality.f1


def test_rows_without_truth_are_linked_and_not_measured(data: Path) -> None:
    table = csv.read_csv(data)
    who = [None if row % 10 == 0 else value for row, value in enumerate(table["who"].to_pylist())]
    path = data.with_name("gaps.parquet")
    parquet.write_table(table.set_column(table.column_names.index("who"), "who", pa.array(who)), path)
    measured = evaluate_identity(path, "truth=who,birthday=born")
    assert measured.without_truth == sum(value is None for value in who)
    assert measured.records == table.num_rows
    assert measured.quality.f1 > 0.9


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("truth=who,birth=born", "no field 'birth'"),
        ("truth=who,birthday", "not of the form field=column"),
        ("truth=who,birthday=birth_date", "no column 'birth_date'"),
        ("truth=who,truth=who", "twice"),
        ("truth=who,name=who", "cannot be name too"),
        (None, "truth=COLUMN"),
    ],
)
def test_a_wrong_map_is_told_in_words(data: Path, mapping: str | None, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        evaluate_identity(data, mapping)


def test_a_file_that_is_no_table_is_told_in_words(tmp_path: Path) -> None:
    for name, content in (("a.parquet", b"no parquet"), ("a.xlsx", b""), ("a.csv", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=name):
            evaluate_identity(path, "truth=who")


def test_a_file_without_any_truth_is_told_in_words(data: Path) -> None:
    path = data.with_name("none.parquet")
    with duckdb.connect() as connection:
        connection.execute(f"copy (select * replace (null::varchar as who) from '{data}') to '{path}'")
    with pytest.raises(ConfigurationError, match="nothing to measure"):
        evaluate_identity(path, "truth=who,birthday=born")


def test_several_columns_make_one_field(data: Path) -> None:
    measured = evaluate_identity(data, "truth=who,birthday=born,name=given_name+surname")
    assert measured.quality.f1 > 0.9


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_a_csv_of_another_encoding_reads_the_same(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text("truth,name,city\n1,王雨欣,上海\n1,王雨欣,上海\n2,欧阳涵,昆明\n", encoding=encoding)
    read = read_table(path, {}, ("truth", *FIELDS))
    assert read.to_pydict() == {
        "truth": ["1", "1", "2"], "name": ["王雨欣", "王雨欣", "欧阳涵"], "city": ["上海", "上海", "昆明"]
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sql", "mapping", "f1"),
    [
        (
            "febrl4",
            "select split_part(rec_id, '-', 2) as truth, * from read_parquet('{0}/dataset4*.parquet')",
            "given_name=given_name,surname=surname,birthday=date_of_birth,city=suburb,postcode=postcode,address=address_1",
            0.999,
        ),
        (
            "fake_1000",
            "select cluster as truth, * from read_parquet('{0}/fake_1000.parquet')",
            "given_name=first_name,surname=surname,birthday=dob,city=city,email=email",
            0.94,
        ),
    ],
)  # fmt: skip
def test_public_sets_are_linked_as_well_as_promised(
    tmp_path: Path, name: str, sql: str, mapping: str, f1: float
) -> None:
    if not (DATASETS / name).is_dir():
        pytest.skip(f"the data set {name} is not at {DATASETS}; set OMNILAKE_DATASETS to the folder that holds it")
    path = tmp_path / "records.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy ({sql.format(DATASETS / name)}) to '{path}'")
    assert evaluate_identity(path, mapping).quality.f1 >= f1
