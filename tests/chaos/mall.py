"""Nights on a real mall through a proxy that does what networks do, killed again and again, against quiet nights.

`python -m tests.chaos.mall [--faults 200] [--kills 10] [--seed 1]` prints its figures and exits 1 if the mall ends up
with anything else than after quiet nights, or if the home does not reconcile.

The story is the same twice: shoppers buy, a night, a coupon is redeemed, more is bought and refunded, a night, and one
more. The second time every night goes through the proxy, is killed at chosen requests, and is run again until nothing
waits any more.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from tests.chaos.proxy import Fault, FaultProxy
from tests.peers.errors import CannotBeHadError
from tests.peers.postgres import Postgres
from tests.peers.vendure_server import ADMIN, PASSWORD, Vendure

CHANNELS = """\
reporting_currency: CNY
timezone: Asia/Shanghai
channels:
  - {{id: mall, name: 商城, kind: pc_web, currency: CNY, connector: vendure, url: "{url}", username: {admin},
     password_env: MALL_PASSWORD, consent_field: marketingConsent, timeout: 2,
     page_size: 5}}
"""
"""Small pages and short waits: many requests a night for faults to strike."""
DESTINATIONS = "destinations: {mall: {kind: vendure, channel: mall}}\n"
CAMPAIGNS = """\
campaigns:
  welcome:
    name: {zh: 新客礼, en: Welcome}
    kind: welcome
    audience: {lifecycle: [new, active]}
    offer: {kind: amount_off, value: "20.00", threshold: "30.00", currency: CNY, valid_days: 30}
    holdout: {share: "0.20"}
    budget: {coupons: 20}
    priority: monetary
    destinations: [mall]
    wave: "1"
"""
ERRORS = b'{"errors":[{"message":"INTERNAL_SERVER_ERROR","extensions":{"code":"INTERNAL_SERVER_ERROR"}}],"data":null}'
EXPIRED = b'{"errors":[{"message":"not authorized","extensions":{"code":"FORBIDDEN"}}],"data":null}'
SKUS = ("MP1-400", "WIP-80", "NAP-M", "BOT-240")
ZONE = ZoneInfo("Asia/Shanghai")
OMNILAKE = Path(sys.executable).parent / "omnilake"
RUN_SECONDS = 600
MOST_RUNS = 200


@dataclass
class Home:
    """One home folder whose mall is at `url`."""

    path: Path
    environment: dict[str, str]
    runs: int = 0

    def at(self, url: str) -> Home:
        """Point the home to the mall at that address."""
        reference = self.path / "reference"
        reference.mkdir(parents=True, exist_ok=True)
        (self.path / "landing").mkdir(exist_ok=True)
        (reference / "channels.yml").write_text(CHANNELS.format(url=url, admin=ADMIN), encoding="utf-8")
        (reference / "destinations.yml").write_text(DESTINATIONS, encoding="utf-8")
        (reference / "campaigns.yml").write_text(CAMPAIGNS, encoding="utf-8")
        return self

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(OMNILAKE), "--home", str(self.path), *arguments]
        with Path(f"{self.path}.log").open("wb") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def finish(self, *arguments: str) -> int:
        self.runs += 1
        return self.start(*arguments).wait(RUN_SECONDS)

    def words(self) -> str:
        return Path(f"{self.path}.log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def waiting(self) -> int:
        """Deliveries that have not come to their end."""
        return int(self._state("SELECT count(*) FROM deliveries WHERE state IN ('planned', 'sent', 'unknown')")[0][0])

    def states(self) -> dict[str, int]:
        query = "SELECT operation || ' ' || state, count(*) FROM deliveries GROUP BY 1 ORDER BY 1"
        return dict(self._state(query))

    def let_time_pass(self) -> None:
        """Make every attempt that waits for its time due now."""
        self._state(
            "UPDATE deliveries SET next_attempt_at = '2000-01-01 00:00:00.000000' WHERE next_attempt_at NOT NULL"
        )

    def _state(self, statement: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(self.path / "state.db", timeout=30)
        try:
            with database:
                return database.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # killed before the state was made
                return [(0,)]
            raise
        finally:
            database.close()


@dataclass
class Story:
    """The mall with what happens in it, the same each time it is told."""

    mall: Vendure
    postgres: Postgres
    shoppers: int
    carts: list[Any] = field(default_factory=list)

    def begin(self) -> None:
        """Shoppers who buy, one who cancels, one who brings back a part; kept, so that it can be begun again."""
        for number in range(self.shoppers):
            customer, shop = self.mall.member(f"shopper{number}@example.com", f"1391234{number:04d}")
            if number % 5:
                self.mall.consent(customer)
            for turn in range(1 + number % 3):
                placed = self.mall.buy(shop, {SKUS[(number + turn) % 4]: 1 + number % 2})
                if (number, turn) == (2, 0):
                    self.mall.cancel(placed["id"])
                if (number, turn) == (4, 0):
                    self.mall.refund(placed["id"], 1)
        guest = {"emailAddress": "guest@example.com", "firstName": "客", "lastName": "李", "phoneNumber": "13712340001"}
        self.mall.buy(self.mall.shop(), {SKUS[0]: 1}, guest=guest)
        self.mall.stop()
        self.postgres.create("mall_begun", "mall")
        self.mall.start()

    def begin_again(self) -> None:
        self.mall.stop()
        self.postgres.create("mall", "mall_begun")
        self.mall.start()

    def go_on(self) -> None:
        """The owner of the first coupon redeems it, somebody buys again, somebody brings back."""
        codes = {promotion["owner"]: promotion["code"] for promotion in self.promotions() if promotion["owner"]}
        owner = min(codes)
        shop = self.log_in(owner)
        self.mall.buy(shop, {SKUS[2]: 1}, code=codes[owner])
        other = self.log_in("shopper3@example.com")
        placed = self.mall.buy(other, {SKUS[3]: 2})
        self.mall.refund(placed["id"], 1)

    def log_in(self, email: str) -> Any:
        shop = self.mall.shop()
        login = "mutation ($u: String!, $p: String!) { login(username: $u, password: $p) { __typename } }"
        assert shop(login, u=email, p="password-of-a-shopper")["login"]["__typename"] == "CurrentUser"
        return shop

    def promotions(self) -> list[dict[str, Any]]:
        """Promotions with a code: code, owner's address (None if not one person's), and what they give and ask."""
        customers = dict(self.mall.sql('SELECT id::text, "emailAddress" FROM customer WHERE "deletedAt" IS NULL'))
        groups: dict[str, list[str]] = {}
        for group, customer in self.mall.sql(
            'SELECT "customerGroupId"::text, "customerId"::text FROM customer_groups_customer_group'
        ):
            groups.setdefault(group, []).append(customers[customer])
        found = []
        for code, actions, conditions, limit, per_customer, starts, ends, enabled in self.mall.sql(
            'SELECT "couponCode", actions, conditions, "usageLimit"::text, "perCustomerUsageLimit"::text, '
            '"startsAt"::date::text, "endsAt"::text, enabled::text FROM promotion '
            'WHERE "deletedAt" IS NULL AND "couponCode" IS NOT NULL'
        ):
            owners, asked = [], []
            for condition in json.loads(conditions):
                arguments = {argument["name"]: argument["value"] for argument in condition["args"]}
                if condition["code"] == "customer_group":
                    owners += groups.get(str(arguments["customerGroupId"]), [])
                    continue
                asked.append((condition["code"], sorted(arguments.items())))
            owner = owners[0] if len(owners) == 1 else None
            found.append(
                {"code": code, "owner": owner, "owners": sorted(owners), "asked": sorted(asked), "gives": actions,
                 "limits": (limit, per_customer), "valid": (starts, ends), "enabled": enabled}
            )  # fmt: skip
        return sorted(found, key=lambda promotion: json.dumps(promotion, default=str))

    def end(self) -> dict[str, Any]:
        """What the mall holds of ours and of its own, without the ids and instants that no two tellings share."""
        fields: dict[str, Any] = {}
        for email, tags, recommended in self.mall.sql(
            'SELECT "emailAddress", "customFieldsOmnilaketags", "customFieldsOmnilakerecommendations" FROM customer '
            'WHERE "deletedAt" IS NULL'
        ):
            fields[email] = (
                sorted(tag for tag in tags.replace("\n", ",").strip('{}"').split(",") if tag),
                [(item["sku"], item["reason"]) for item in json.loads(recommended)["items"]] if recommended else [],
            )
        groups = self.mall.sql("SELECT count(*)::text, count(DISTINCT name)::text FROM customer_group")
        orders = self.mall.sql('SELECT state, count(*)::text FROM "order" GROUP BY state ORDER BY state')
        return {"customers": fields, "promotions": self.promotions(), "groups": groups, "orders": orders}


def quiet_nights(story: Story, home: Home) -> dict[str, Any]:
    """The story without a fault."""
    for night in range(3):
        if home.at(story.mall.url).finish(*_night()) != 0:
            raise RuntimeError(f"a quiet night failed: {home.words()}")
        print(f"quiet, night {night + 1}: {home.states()}", flush=True)
        if night == 0:
            story.go_on()
    return story.end()


def troubled_nights(
    story: Story, home: Home, faults: int, kills: int, seed: int, share: float
) -> tuple[dict[str, Any], FaultProxy, int]:
    """The story through the proxy; what the mall ends with, the proxy, and the kills that struck."""
    chance, struck = random.Random(seed), 0
    address = urlsplit(story.mall.url)
    upstream = (str(address.hostname), int(address.port or 0))
    with FaultProxy(upstream, seed, share, errors=ERRORS, expired=EXPIRED, hang=2.5) as proxy:
        home.at(proxy.url)
        for night in range(3):
            wanted_kills, wanted_faults = kills * (night + 1) // 3, faults * (night + 1) // 3
            while struck < wanted_kills:
                struck += kill(home, proxy, chance.randint(1, 40))
            done = 1
            while done != 0 or home.waiting() or sum(proxy.counts.values()) < wanted_faults:
                if home.runs > MOST_RUNS:
                    raise RuntimeError(f"not done after {home.runs} runs: {home.states()} {home.words()}")
                home.let_time_pass()
                done = home.finish(*_night())
                print(
                    f"troubled, night {night + 1}: run {home.runs} ended with {done}, {proxy.requests} requests, "
                    f"{sum(proxy.counts.values())} faults, {struck} kills, {home.waiting()} deliveries wait",
                    flush=True,
                )
            if night == 0:
                story.go_on()
        proxy.share = 0.0
        if home.finish(*_night()) != 0:
            raise RuntimeError(f"the last, quiet night failed: {home.words()}")
        return story.end(), proxy, struck


def kill(home: Home, proxy: FaultProxy, after: int) -> int:
    """Start a night and SIGKILL it at its `after`-th request; 0 if it ended before."""
    process, begun = home.start(*_night()), proxy.requests
    while process.poll() is None and proxy.requests < begun + after:
        time.sleep(0.002)
    if process.poll() is not None:
        return 0
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return 1


def different(quiet: dict[str, Any], troubled: dict[str, Any]) -> list[str]:
    """Where the two ends differ, a line each, without addresses of persons."""
    found = []
    for part in quiet:
        if quiet[part] == troubled[part]:
            continue
        one, other = quiet[part], troubled[part]
        if isinstance(one, dict):
            keys = [key for key in {*one, *other} if one.get(key) != other.get(key)]
            found.append(f"{part}: {len(keys)} differ, such as {one.get(keys[0])} against {other.get(keys[0])}")
        else:
            gone = [entry for entry in one if entry not in other]
            new = [entry for entry in other if entry not in one]
            found.append(f"{part}: {len(one)} against {len(other)}; missing {gone[:2]}; too many {new[:2]}")
    return found


def _night() -> Sequence[str]:
    return "run", "--as-of", f"{datetime.now(ZONE).date()}"


def main() -> None:
    """The command of `make chaos`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--shoppers", type=int, default=24)
    arguments = parser.parse_args()
    keys = {name: base64.b64encode(os.urandom(32)).decode() for name in ("OMNILAKE_TOKEN_KEY", "OMNILAKE_VAULT_KEY")}
    environment = os.environ | keys | {"MALL_PASSWORD": PASSWORD}
    try:
        postgres = Postgres()
    except CannotBeHadError as error:
        sys.exit(f"Skipped: {error}")
    with postgres, tempfile.TemporaryDirectory() as folder:
        try:
            mall = Vendure(postgres)
        except CannotBeHadError as error:
            sys.exit(f"Skipped: {error}")
        with mall:
            story = Story(mall, postgres, arguments.shoppers)
            story.begin()
            quiet = quiet_nights(story, Home(Path(folder) / "quiet", environment))
            story.begin_again()
            home = Home(Path(folder) / "troubled", environment)
            troubled, proxy, struck = troubled_nights(
                story, home, arguments.faults, arguments.kills, arguments.seed, arguments.share
            )
            found = different(quiet, troubled)
            if home.finish("reconcile") != 0:
                found.append(f"reconcile: {home.words()}")
            states = home.states()
    for fault in Fault:
        print(f"{proxy.counts[fault]:5d}  {fault}")
    print(f"{len(quiet['promotions'])} coupons, {states}")
    print(
        f"{sum(proxy.counts.values())} faults in {proxy.requests} requests, {struck} kills, {home.runs} runs, "
        f"{len(found)} differences"
    )
    for difference in found:
        print(f"  {difference}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
