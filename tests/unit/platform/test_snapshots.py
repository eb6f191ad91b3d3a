from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from pipelines.errors import PermanentError
from pipelines.query import stream_query
from pipelines.settings import Settings
from pipelines.snapshots import KEPT_SNAPSHOTS, new_snapshot_id, publish, refresh
from pipelines.warehouse import current_snapshot, open_snapshot, open_warehouse


def put(settings: Settings, value: int) -> None:
    with open_warehouse(settings) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        connection.execute(f"CREATE OR REPLACE TABLE marts.figures AS SELECT {value} AS figure")


def figure(settings: Settings) -> int:
    with open_snapshot(settings) as connection:
        return connection.execute("SELECT figure FROM marts.figures").fetchall()[0][0]


def test_before_the_first_publish_the_error_names_the_command(settings: Settings) -> None:
    with pytest.raises(PermanentError, match="omnilake run"):
        current_snapshot(settings)


def test_a_publish_makes_marts_and_extra_tables_current(settings: Settings) -> None:
    put(settings, 1)
    publish(settings, new_snapshot_id(), {"activation_log": pa.table({"delivery_id": ["d1"]})})
    assert figure(settings) == 1
    with open_snapshot(settings) as connection:
        assert connection.execute("SELECT * FROM marts.activation_log").fetchall() == [("d1",)]
    parquet = settings.marts / "figures" / "figures.parquet"
    assert duckdb.sql(f"SELECT * FROM '{parquet}'").fetchall() == [(1,)]


def test_a_reader_keeps_its_snapshot_while_another_is_published(settings: Settings) -> None:
    put(settings, 1)
    publish(settings, new_snapshot_id(), {})
    with open_snapshot(settings) as reader:
        put(settings, 2)
        publish(settings, new_snapshot_id(), {})
        assert reader.execute("SELECT figure FROM marts.figures").fetchall() == [(1,)]
    assert figure(settings) == 2


def test_a_refresh_replaces_only_the_tables_given(settings: Settings) -> None:
    put(settings, 1)
    publish(settings, new_snapshot_id(), {"runs": pa.table({"run_id": ["a"]})})
    put(settings, 2)
    refresh(settings, new_snapshot_id(), {"runs": pa.table({"run_id": ["a", "b"]})})
    assert figure(settings) == 1
    with open_snapshot(settings) as connection:
        assert connection.execute("SELECT count(*) FROM marts.runs").fetchall() == [(2,)]


def test_leftovers_of_a_killed_publish_are_removed_and_old_snapshots_are_few(settings: Settings) -> None:
    put(settings, 1)
    settings.snapshots.mkdir(parents=True)
    (settings.snapshots / "marts-x.duckdb.part").write_text("half")
    for _ in range(KEPT_SNAPSHOTS + 2):
        publish(settings, new_snapshot_id(), {})
    assert not list(settings.snapshots.glob("*.part*"))
    assert len(list(settings.snapshots.glob("marts-*.duckdb"))) == KEPT_SNAPSHOTS
    assert figure(settings) == 1


def test_a_failed_publish_leaves_the_current_snapshot(settings: Settings) -> None:
    put(settings, 1)
    publish(settings, new_snapshot_id(), {})
    before = current_snapshot(settings)
    settings.warehouse.unlink()
    with pytest.raises(duckdb.Error):
        publish(settings, new_snapshot_id(), {})
    assert current_snapshot(settings) == before


@pytest.mark.parametrize(
    "sql",
    [
        "create table marts.mine as select 1",
        "drop table marts.figures",
        "copy marts.figures to 'figures.csv'",
        "select * from read_text('/etc/hostname')",
        "attach 'other.duckdb'",
        "set enable_external_access = true",
        "selekt",
    ],
)
def test_a_query_can_only_read_the_snapshot(settings: Settings, sql: str) -> None:
    put(settings, 1)
    publish(settings, new_snapshot_id(), {})
    with pytest.raises(PermanentError), stream_query(settings, sql) as (_, rows):
        list(rows)
    assert figure(settings) == 1


def test_a_query_finds_marts_with_and_without_their_schema(settings: Settings) -> None:
    put(settings, 7)
    publish(settings, new_snapshot_id(), {})
    for sql in ("select figure from figures", "from marts.figures"):
        with stream_query(settings, sql) as (columns, rows):
            assert (columns, list(rows)) == (["figure"], [(7,)])
