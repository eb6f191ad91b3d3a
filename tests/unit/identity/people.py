"""A lake whose members have a profile in the vault, as ingest would leave it, for tests of nightly linkage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np

from pipelines.identity import IdentityReport, find_customers
from pipelines.identity.linkage.step import LinkageReport
from pipelines.settings import Settings
from pipelines.vault import PROFILE_FIELDS, Vault
from tests.unit.identity.conftest import Lake, day

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高"
GIVEN = "雨欣子涵梓晨思佳悦宁安然嘉怡浩宇轩博文诗琪若曦可心语彤俊杰明哲静雅慧敏晓芸云帆"
CITIES = ("上海", "北京", "广州", "深圳", "杭州", "成都")


class PeopleLake(Lake):
    """A Lake that seals profiles too: name, birthday, address, phone and email are said to both."""

    def __init__(self, home: Path, database: Path | str = ":memory:") -> None:
        super().__init__(home, database)
        home.mkdir(parents=True, exist_ok=True)
        self.profiles: list[tuple[str, str, int, int, str]] = []

    @classmethod
    def reopen(cls, home: Path, database: Path) -> Self:
        """A lake whose home and warehouse are there already."""
        lake = cls.__new__(cls)
        lake.settings = Settings(home=home)
        lake.connection = duckdb.connect(str(database), config={"threads": 1})
        lake.profiles = []
        (lake.arrival,) = lake.rows("select max(_arrival) from raw.members")[0]
        return lake

    def person(self, member_id: str, at: float = 0, channel: str = "app", **said: Any) -> None:
        """A member version. A masked phone is in the vault alone, as it makes no token."""
        known = {
            name: value for name, value in said.items() if name != "address" and not ("phone" in name and "*" in value)
        }
        self.member(member_id, at, channel, **known)
        document = {name: said.get(name) for name in PROFILE_FIELDS}
        version = int(day(at).timestamp() * 1_000_000)
        self.profiles.append((channel, member_id, version, self.arrival, json.dumps(document, ensure_ascii=False)))

    def find(self, *, full: bool = False) -> tuple[IdentityReport, LinkageReport]:
        """Seal what was said and find the customers."""
        with Vault.open(self.settings) as vault, vault.transaction():
            vault.seal_profiles(self.profiles)
        self.profiles.clear()
        return find_customers(self.connection, self.settings, full_refresh=full)

    def partition(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "select channel, identity, customer_id from identity.identities where kind = 'member' order by 1, 2"
        )

    def reviews(self, state: str = "open") -> list[dict[str, Any]]:
        cursor = self.connection.execute(
            "select * from identity.reviews where state = ? order by score desc, review_id", [state]
        )
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def somebody(number: int) -> dict[str, Any]:
    """The fields of a person, others for every number."""
    drawn = np.random.default_rng(number)
    city = str(drawn.choice(CITIES))
    return {
        "name": str(drawn.choice([*SURNAMES])) + "".join(drawn.choice([*GIVEN], 2)),
        "birthday": f"{drawn.integers(1960, 2005)}-{drawn.integers(1, 13):02}-{drawn.integers(1, 29):02}",
        "gender": "FM"[drawn.integers(2)],
        "city": city,
        "address": f"{city}市虚构路{drawn.integers(1, 2000)}号",
    }


def fill(lake: PeopleLake, count: int, twice: int = 0) -> None:
    """`count` persons at the door `app`; the first `twice` of them are at `shop` too and share no identifier."""
    for number in range(count):
        lake.person(f"a{number}", number / 100, **somebody(number), phone=f"1990{number:07}")
    for number in range(twice):
        lake.person(f"s{number}", 30 + number / 100, "shop", **somebody(number), email=f"{number}@example.com")
