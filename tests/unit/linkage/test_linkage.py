"""Who is whom in small sets of persons, found without labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from models.evaluate.clusters import ClusterQuality, cluster_quality
from models.linkage import link
from models.linkage.comparisons import comparisons
from models.linkage.estimation import Patterns, fit
from models.linkage.fields import FIELDS
from tests.support import linkage_sets


def quality_of(table: pa.Table) -> ClusterQuality:
    truth = np.unique(table["truth"].to_pylist(), return_inverse=True)[1]
    return cluster_quality(link(table.drop(["truth"])).clusters, np.asarray(truth, dtype=np.int64))


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [
        ("families", 0.93, 0.93),
        ("crowded", 0.99, 0.98),
        ("chinese", 0.95, 0.93),
        ("spanish_pair", 0.95, 0.95),
        ("sparse", 0.95, 0.83),
        ("chinese_families", 0.95, 0.85),
        ("placeholders", 0.93, 0.65),
        ("one_column", 0.98, 0.5),
    ],
)
def test_one_policy_holds_for_sets_of_other_shapes(name: str, precision: float, recall: float) -> None:
    quality = quality_of(linkage_sets.SETS[name](400))
    assert quality.precision >= precision
    assert quality.recall >= recall


def test_where_nobody_stands_twice_hardly_anybody_is_joined() -> None:
    quality = quality_of(linkage_sets.strangers(800))
    assert quality.pairs_true == 0
    assert quality.pairs_found <= 2


def test_a_household_is_told_from_one_person_who_errs() -> None:
    columns = ("given_name", "surname", "birthday", "address", "phone", "phone_fragment")
    items = comparisons((*columns, "given_sound", "surname_sound", "address_number", "address_street"))
    strangers = Patterns(np.zeros((1, len(items)), dtype=np.int64), np.array([100_000.0]))
    top = np.array([item.n_levels - 1 for item in items])
    own = np.array([item.field in ("given_name", "birthday") for item in items])
    same, relatives = top.copy(), np.where(own, 0, top)
    typo = np.where(own & (np.arange(len(items)) == 0), top - 2, top)
    many = Patterns(np.stack([same, typo, relatives]), np.array([400.0, 100.0, 900.0]))
    weights = fit(items, many, strangers, 5e6)
    assert weights.relative * 5e6 == pytest.approx(900, rel=0.05)
    few = Patterns(np.stack([same, typo, relatives]), np.array([400.0, 100.0, 2.0]))
    assert fit(items, few, strangers, 5e6).relative == 0


def test_records_of_one_source_are_never_joined() -> None:
    table = linkage_sets.spanish_pair(400)
    sources = ["a" if "," in (name or "") else "b" for name in table["name"].to_pylist()]
    table = table.append_column("source", pa.array(sources))
    linkage = link(table.drop(["truth"]))
    rows = list(zip(linkage.links["left"].to_pylist(), linkage.links["right"].to_pylist(), strict=True))
    assert len(rows) > 80
    assert all(sources[left] != sources[right] for left, right in rows)


def test_only_fields_are_read_and_the_same_table_gives_the_same_answer() -> None:
    table = linkage_sets.families(300)
    bare = link(table.select([name for name in table.column_names if name in FIELDS]), explained=True)
    told = link(table.append_column("cluster", table["truth"]), explained=True)
    assert bare.clusters.tolist() == told.clusters.tolist()
    assert bare.links.equals(told.links)
    texts = bare.links["evidence"].to_pylist()
    assert any("surname same" in text for text in texts)
    assert bare.links["score"].to_numpy().mean() > 5


def test_evidence_names_fields_and_never_a_value() -> None:
    plain = linkage_sets.families(300)
    table = pa.table({
        name: [value and f"zq{value}" if name.endswith("name") else value for value in plain[name].to_pylist()]
        for name in plain.column_names
    })  # fmt: skip
    texts = " ".join(link(table.drop(["truth"]), explained=True).links["evidence"].to_pylist())
    assert "given name" in texts
    assert "zq" not in texts
    assert not any(character.isdigit() for character in texts)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"name": pa.array([], pa.string())}),
        pa.table({"name": ["Ann Lee"]}),
        pa.table({"name": pa.array([None, None, None], pa.string())}),
        pa.table({"name": ["", " ", "null"], "email": ["", "", ""]}),
        pa.table({"gender": ["f"] * 50 + ["m"] * 50}),
        pa.table({"other": ["a", "a"]}),
        pa.table({"phone": ["****", "+", "1"], "birthday": ["soon", "99999999", "0000-00-00"]}),
    ],
)  # fmt: skip
def test_data_that_tells_nothing_joins_nobody(table: pa.Table) -> None:
    assert link(table).clusters.tolist() == list(range(table.num_rows))


def test_a_placeholder_joins_nobody() -> None:
    table = linkage_sets.strangers(800)
    shared = table.append_column("email", pa.array(["none@none.com"] * 700 + [None] * 100))
    assert quality_of(shared).pairs_found <= 2


def test_values_of_any_type_are_read_as_text() -> None:
    table = linkage_sets.families(200)
    postcodes = pa.array([int(code) if code and code.isdigit() else None for code in table["postcode"].to_pylist()])
    assert link(table.set_column(table.column_names.index("postcode"), "postcode", postcodes)).n_pairs > 0
