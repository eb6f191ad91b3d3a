"""A lake in a temporary home: write landing files, load them, look at what became of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from pipelines.channels import Channels, load_channels
from pipelines.feeds.load import LoadReport, load_landing
from pipelines.feeds.quarantine import list_quarantine
from pipelines.feeds.reconcile import reconcile_batches
from pipelines.feeds.replay import replay_quarantine
from pipelines.feeds.views import create_raw_views
from pipelines.settings import Settings
from pipelines.state import open_state
from pipelines.warehouse import open_warehouse

CHANNELS = """
timezone: Asia/Shanghai
promote_attributes: [child_birthday]
channels:
  - {id: pos, kind: pos, timezone: Asia/Shanghai}
  - {id: mini, kind: mini_program}
  - {id: paris, kind: pos, timezone: Europe/Paris, currency: EUR, encoding: gbk, promote_attributes: [shoe size]}
"""

ORDER: dict[str, Any] = {
    "order_id": "0007",
    "updated_at": "2024-05-01T10:00:00+08:00",
    "placed_at": "2024-05-01T10:00:00Z",
    "status": "paid",
    "currency": "CNY",
    "paid_amount": "10.50",
    "lines": [{"line_id": "1", "sku": "S1", "quantity": "1", "unit_price": "10.50"}],
}
MEMBER: dict[str, Any] = {"member_id": "M1", "updated_at": "2024-05-01T10:00:00Z"}


@dataclass
class Lake:
    settings: Settings
    engine: sa.Engine

    @property
    def channels(self) -> Channels:
        return load_channels(self.settings)

    def write(self, file: str, content: bytes | str) -> Path:
        path = self.settings.landing / file
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if file.endswith(".gz") and content[:2] != b"\x1f\x8b" else data)
        return path

    def write_rows(self, file: str, rows: list[dict[str, Any]]) -> Path:
        return self.write(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def write_parquet(self, file: str, table: pa.Table) -> Path:
        path = self.settings.landing / file
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, path)
        return path

    def load(self, feeds: list[str] | None = None) -> LoadReport:
        return load_landing(self.settings, self.channels, self.engine, "run", feeds)

    def replay(self) -> LoadReport:
        return replay_quarantine(self.settings, self.channels, self.engine, "replay")

    def raw(self, feed: str) -> list[dict[str, Any]]:
        with open_warehouse(self.settings) as connection:
            create_raw_views(connection, self.settings, self.channels)
            query = f"SELECT * FROM raw.{feed} ORDER BY _arrival"
            return connection.execute(query).to_arrow_table().to_pylist()

    def quarantine(self) -> list[dict[str, Any]]:
        return list_quarantine(self.settings, self.engine).to_pylist()

    def reasons(self) -> list[tuple[int | None, str | None, str]]:
        return [(row["line"], row["column_name"], row["reason"]) for row in self.quarantine()]

    def assert_reconciled(self) -> None:
        checks = reconcile_batches(self.settings, self.engine)
        assert [check for check in checks if not check.ok] == []


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    settings = Settings(home=tmp_path, memory_limit="1GB", threads=1)
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "channels.yml").write_text(CHANNELS, encoding="utf-8")
    settings.landing.mkdir()
    engine = open_state(settings)
    yield Lake(settings, engine)
    engine.dispose()
