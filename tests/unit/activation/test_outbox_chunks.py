"""State tables are read in chunks to their end, whatever columns are asked for."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from pipelines.activation import exchange
from pipelines.activation.differences import _HELD
from pipelines.activation.tables import destination_state
from pipelines.state import metadata


def test_more_records_than_a_chunk_are_read_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "CHUNK", 2)
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    row = {"destination": "files", "operation": "tags", "customer_id": "c", "version": 1, "fingerprint": "f"}
    with engine.begin() as transaction:
        transaction.execute(
            destination_state.insert(), [{**row, "address": f"a{n}", "content": "[]"} for n in range(5)]
        )
    chunks = exchange.read_chunks(engine, _HELD, destination_state)
    read = [address for chunk, _ in zip(chunks, range(9), strict=False) for address, *_ in chunk]
    assert read == ["a0", "a1", "a2", "a3", "a4"]
