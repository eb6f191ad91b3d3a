from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from dashboards.access import Scope
from dashboards.data import (
    MissingDataError,
    NoSnapshotError,
    Reader,
    SnapshotGoneError,
    SnapshotUnreadableError,
    find_snapshot,
)
from pipelines.settings import Settings, load_settings
from tests.dashboards.snapshots import publish


def snapshot_of(home: Path, snapshot_id: str, value: int) -> Path:
    source = home / "made.duckdb"
    connection = duckdb.connect(str(source))
    connection.execute(f"CREATE SCHEMA marts; CREATE TABLE marts.figures AS SELECT {value}::DECIMAL(18, 2) AS figure")
    connection.close()
    return publish(home, source, snapshot_id)


def reader_of(settings: Settings) -> Reader:
    return Reader(settings, find_snapshot(settings), Scope())


FIGURE = "SELECT figure FROM figures"


def test_before_the_first_publish_there_is_no_snapshot(empty_home: Path) -> None:
    with pytest.raises(NoSnapshotError):
        find_snapshot(load_settings(empty_home))


def test_looking_for_a_snapshot_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NoSnapshotError):
        find_snapshot(load_settings(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_the_resolved_path_is_opened_and_not_the_link(home_settings: Settings) -> None:
    found = find_snapshot(home_settings)
    assert found.path.name == "marts-1.duckdb"
    assert found.id == "1"
    assert not found.is_fallback


def test_decimals_stay_decimals(empty_home: Path) -> None:
    snapshot_of(empty_home, "1", 7)
    assert reader_of(load_settings(empty_home)).rows(FIGURE) == [{"figure": Decimal("7.00")}]


def test_a_publish_shows_to_the_next_page_and_not_to_the_one_being_drawn(empty_home: Path) -> None:
    settings = load_settings(empty_home)
    snapshot_of(empty_home, "1", 1)
    drawn = reader_of(settings)
    assert drawn.rows(FIGURE)[0]["figure"] == 1
    snapshot_of(empty_home, "2", 2)
    assert drawn.rows(FIGURE)[0]["figure"] == 1
    assert reader_of(settings).rows(FIGURE)[0]["figure"] == 2


def test_results_that_were_read_outlive_the_removal_of_their_file(empty_home: Path) -> None:
    settings = load_settings(empty_home)
    old = snapshot_of(empty_home, "1", 1)
    drawn = reader_of(settings)
    drawn.rows(FIGURE)
    snapshot_of(empty_home, "2", 2)
    old.unlink()
    assert drawn.rows(FIGURE)[0]["figure"] == 1
    with pytest.raises(SnapshotGoneError):
        drawn.rows(FIGURE + " WHERE figure > 0")


def test_the_same_path_with_other_content_is_another_result(empty_home: Path) -> None:
    settings = load_settings(empty_home)
    snapshot_of(empty_home, "1", 1)
    assert reader_of(settings).rows(FIGURE)[0]["figure"] == 1
    snapshot_of(empty_home, "1", 2)
    assert reader_of(settings).rows(FIGURE)[0]["figure"] == 2


def test_where_the_link_dangles_the_newest_file_that_is_left_is_read(empty_home: Path) -> None:
    settings = load_settings(empty_home)
    snapshot_of(empty_home, "1", 1)
    snapshot_of(empty_home, "2", 2).unlink()
    found = find_snapshot(settings)
    assert found.is_fallback
    assert Reader(settings, found, Scope()).rows(FIGURE)[0]["figure"] == 1


def test_a_file_that_is_no_database_is_said_to_be_unreadable(empty_home: Path) -> None:
    junk = empty_home / "junk"
    junk.write_bytes(b"not a database" * 1000)
    publish(empty_home, junk, "1")
    with pytest.raises(SnapshotUnreadableError, match="marts-1"):
        reader_of(load_settings(empty_home)).rows("SELECT 1")


def test_a_missing_table_and_a_missing_column_are_named(reader: Reader) -> None:
    with pytest.raises(MissingDataError, match="no_such_mart"):
        reader.rows("SELECT * FROM no_such_mart")
    with pytest.raises(MissingDataError, match="no_such_column"):
        reader.rows("SELECT no_such_column FROM sales_daily")


@pytest.mark.parametrize("name", ["stores", "path", "connection", "bound", "own"])
def test_a_missing_table_is_not_sought_among_python_variables(empty_home: Path, name: str) -> None:
    snapshot_of(empty_home, "1", 1)
    with pytest.raises(MissingDataError, match=name):
        reader_of(load_settings(empty_home)).rows(f"SELECT * FROM {name}")


def test_parameters_a_query_does_not_name_are_left_out(reader: Reader) -> None:
    assert reader.rows("SELECT $a AS a", {"a": 1, "b": 2}) == [{"a": 1}]


def test_a_value_is_bound_and_never_becomes_sql(reader: Reader) -> None:
    sly = "x'; DROP TABLE orders; --"
    assert reader.rows("SELECT count(*) AS n FROM orders WHERE channel = $channel", {"channel": sly}) == [{"n": 0}]


def test_a_snapshot_is_opened_for_reading_alone(home: Path, reader: Reader) -> None:
    before = reader.snapshot.path.stat().st_mtime_ns
    reader.rows("SELECT count(*) FROM orders")
    assert reader.snapshot.path.stat().st_mtime_ns == before
    assert sorted(path.name for path in reader.snapshot.path.parent.iterdir()) == ["current", "marts-1.duckdb"]
    shutil.rmtree(home)
