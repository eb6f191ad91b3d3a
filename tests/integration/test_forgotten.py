"""One person planted in every feed and format, through whole jobs: run, exported, sent, erased, searched for."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.integration.conftest import Home
from tests.support import planted_person as planted
from tests.support.searching import found_in
from tests.unit.feeds.feeds_lake import CHANNELS

pytestmark = pytest.mark.slow

AS_OF = "2024-05-31"


def _left(home: Home, values: tuple[str, ...] = planted.VALUES) -> list[tuple[str, str]]:
    return found_in(home.path, values)


def _rows(home: Home, query: str) -> list[dict[str, object]]:
    done = home.omnilake("query", query, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def planted_home(make_home: Callable[[str], Home]) -> Home:
    """The planted person, published, exported in three formats and sent."""
    home = make_home("planted")
    planted.plant(home.landing)
    (home.landing / "channels.yml").write_text(CHANNELS, encoding="utf-8")
    done = home.omnilake("run", "--landing", home.landing, "--as-of", AS_OF)
    assert done.returncode == 0, done.stderr
    segments = [row["segment"] for row in _rows(home, "select distinct segment from marts.segment_members")]
    assert segments
    (home.path / "exports").mkdir(exist_ok=True)
    for segment in segments:
        for form in ("csv", "parquet", "xlsx"):
            out = home.path / "exports" / f"{segment}.{form}"
            fields = ("--fields", "customer_id,name,phone,email", "--purpose", "a test")
            done = home.omnilake("segments", "export", segment, "--format", form, "--out", out, *fields)
            assert done.returncode == 0, done.stderr
    return home


def test_a_person_in_every_feed_and_format_is_known_then_erased_and_stays_erased(planted_home: Home) -> None:
    home = planted_home
    known = {value for _, value in _left(home)}
    assert {f"+86{planted.PHONE}", planted.NAME, planted.MINI_ID, planted.POS_ID} <= known
    money = "select channel, sum(net_amount) as net, sum(orders) as orders from marts.sales_daily group by 1 order by 1"
    before = _rows(home, money)

    answer = home.path.parent / "answer.json"
    done = home.omnilake("access", "phone", planted.PHONE, "--out", answer, "--json")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(answer.stat().st_mode) == 0o600
    told = answer.read_text(encoding="utf-8")
    for value in (planted.NAME, planted.EMAIL, planted.OPENID, planted.CARD, planted.WORDS, "O-member", "O-guest"):
        assert value in told
    assert planted.OTHER_PHONE not in told

    done = home.omnilake("forget", "phone", f"+86 {planted.PHONE}")
    assert done.returncode == 0, done.stderr
    assert planted.PHONE not in done.stdout + done.stderr
    assert _left(home) == []
    assert _rows(home, money) == before

    done = home.omnilake("forget", "phone", planted.PHONE)
    assert done.returncode == 0, done.stderr
    assert "was erased" in done.stdout
    _redeliver(home.landing)
    done = home.omnilake("run", "--landing", home.landing, "--as-of", AS_OF, "--full-refresh")
    assert done.returncode == 0, done.stderr
    assert _left(home) == []
    assert _rows(home, money) == before
    done = home.omnilake("quarantine", "replay", "--landing", home.landing)
    assert done.returncode == 0, done.stderr
    done = home.omnilake("push")
    assert done.returncode == 0, done.stderr
    assert _left(home) == []
    done = home.omnilake("reconcile")
    assert done.returncode == 0, done.stdout
    assert {row["customer_id"] for row in _rows(home, "select customer_id from marts.orders")} != {None}
    done = home.omnilake("audit", "list", "--action", "person", "--json")
    assert [entry["action"] for entry in json.loads(done.stdout)] == ["person.forget", "person.access"]


def _redeliver(landing: Path) -> None:
    """The same person once more: newer, and once unreadable."""
    row = {**planted.MEMBER, "updated_at": "2024-05-02T00:00:00Z"}
    rows = json.dumps(row) + "\n" + json.dumps({**row, "updated_at": "never"}) + "\n"
    (landing / "mini" / "members" / "again.jsonl").write_text(rows, encoding="utf-8")


def test_the_search_finds_a_value_in_every_kind_of_file(tmp_path: Path) -> None:
    """A search that finds nothing proves nothing unless it can find."""
    (tmp_path / "plain.txt").write_text("a needle-in-a-haystack b", encoding="utf-8")
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"needle-in-a-haystack"))
    (tmp_path / "escaped.json").write_text(json.dumps({"name": "针在草堆里"}), encoding="utf-8")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 'needle-in-a-haystack' AS v")
        connection.execute(f"COPY (SELECT ['needle-in-a-haystack'] AS v) TO '{tmp_path / 'a.parquet'}'")
    found = {file for file, _ in found_in(tmp_path, ("needle-in-a-haystack", "针在草堆里"))}
    assert found == {"plain.txt", "packed.gz", "escaped.json", "a.duckdb", "a.parquet"}
