"""A small raw lake in memory, filled row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.feeds.contract import FEEDS
from pipelines.identity import IdentityReport, resolve
from pipelines.identity.config import KIND
from pipelines.settings import Settings

START = datetime(2024, 1, 1)


def token(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()[:32]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


class Lake:
    """Raw tables with the contract's columns; every `add` is the next arrival."""

    def __init__(self, home: Path, database: Path | str = ":memory:") -> None:
        self.settings = Settings(home=home)
        self.connection = duckdb.connect(str(database), config={"threads": 1})
        self.arrival = 0
        self.connection.execute("create schema raw")
        for feed, declaration in FEEDS.items():
            columns = ", ".join(f'"{name}" {sql_type}' for name, sql_type in declaration.raw_columns().items())
            self.connection.execute(f"create table raw.{feed} ({columns})")

    def add(self, feed: str, **columns: Any) -> None:
        self.arrival += 1
        row = {"channel": "app", "_arrival": self.arrival} | columns
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        self.connection.execute(f"insert into raw.{feed} ({names}) values ({marks})", list(row.values()))

    def member(self, member_id: str, at: float = 0, channel: str = "app", **more: Any) -> None:
        columns: dict[str, Any] = {}
        for name, value in more.items():
            if name in KIND or name in ("name", "birthday"):
                columns[f"{name}_token"] = value and token(name, value)
            elif name == "devices":
                columns["device_tokens"] = [token("device", device) for device in value]
            else:
                columns[name] = value
        self.add("members", channel=channel, member_id=member_id, updated_at=day(at), **columns)

    def order(
        self, order_id: str, at: float = 0, channel: str = "app", version: float | None = None, **more: Any
    ) -> None:
        columns: dict[str, Any] = {}
        for name, value in more.items():
            kind = {"guest_phone": "phone", "guest_email": "email", "guest_openid": "wechat_openid"}.get(name)
            if kind:
                columns[f"{name}_token"] = value and token(kind, value)
            else:
                columns[name] = value
        updated_at = day(at if version is None else version)
        self.add("orders", channel=channel, order_id=order_id, placed_at=day(at), updated_at=updated_at, **columns)

    def staff(self, staff_id: str, phone: str, at: float = 0) -> None:
        self.add("staff", channel="_shared", staff_id=staff_id, phone_token=token("phone", phone), updated_at=day(at))

    def resolve(self, *, full: bool = False) -> IdentityReport:
        return resolve(self.connection, self.settings, full_refresh=full)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, list(values)).fetchall()

    def customer(self, member_id: str, channel: str = "app") -> str:
        ((customer_id,),) = self.rows(
            "select customer_id from identity.identities where kind = 'member' and channel = ? and identity = ?",
            channel,
            member_id,
        )
        assert customer_id is not None
        return str(customer_id)

    def order_customer(self, order_id: str, channel: str = "app") -> tuple[str, str] | None:
        found = self.rows(
            "select customer_id, matched_by from identity.order_customers where channel = ? and order_id = ?",
            channel,
            order_id,
        )
        assert len(found) <= 1
        return found[0] if found else None

    def identity(self, kind: str, value: str, channel: str | None = None) -> dict[str, Any]:
        cursor = self.connection.execute(
            "select * from identity.identities where kind = ? and identity = ? and channel is not distinct from ?",
            [kind, value if kind == "member" else token(kind, value), channel],
        )
        names = [column[0] for column in cursor.description or []]
        (row,) = cursor.fetchall()
        return dict(zip(names, row, strict=True))

    def merges(self) -> list[dict[str, Any]]:
        cursor = self.connection.execute("select * from identity.merges")
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def rules(self, text: str) -> None:
        folder = self.settings.home / "reference"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "identity.yml").write_text(text, encoding="utf-8")

    def same(self, *members: str) -> bool:
        """Whether the members, each "id" or "channel/id", are one customer."""
        pairs = [member.split("/") if "/" in member else ["app", member] for member in members]
        return len({self.customer(member_id, channel) for channel, member_id in pairs}) == 1


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture(scope="session")
def new_lake() -> Callable[..., Lake]:
    return Lake
