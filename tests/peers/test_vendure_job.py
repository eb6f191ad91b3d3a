"""The whole job against a real Vendure: what was sold comes in, what was decided goes out once, what was redeemed comes
back, and a run with nothing to do changes nothing."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.peers.home import OMNILAKE, Home
from tests.peers.vendure_server import ADMIN, PASSWORD, WEBHOOK_SECRET, Vendure

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1800), pytest.mark.xdist_group("vendure")]

CHANNEL = (
    '{{id: mall, name: 商城, kind: pc_web, currency: CNY, connector: vendure, url: "{url}", username: {admin}, '
    "password_env: MALL_PASSWORD, webhook_secret_env: MALL_WEBHOOK_SECRET, consent_field: marketingConsent}}"
)
SECRETS = {"MALL_PASSWORD": PASSWORD, "MALL_WEBHOOK_SECRET": WEBHOOK_SECRET}
WATCHED = ("customer", "customer_group", "customer_groups_customer_group", "promotion", '"order"', "order_line",
           "payment", "refund", "stock_level", "product_variant", "history_entry")  # fmt: skip
"""Tables of the server that a run with nothing to do must leave as they are."""


@contextmanager
def serving(home: Home, port: int) -> Iterator[None]:
    command = [str(OMNILAKE), "--home", str(home.path), "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | SECRETS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}/v1/health"))
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.HTTPError:
        return False


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def books(mall: Vendure) -> dict[str, list[list[str]]]:
    return {
        table: mall.sql(
            f"select count(*), md5(string_agg(entry::text, '|' order by entry::text)) from {table} as entry"
        )
        for table in WATCHED
    }


def test_the_loop_closes_on_a_real_mall(mall: Vendure, tmp_path: Path) -> None:
    channel = CHANNEL.format(url=mall.url, admin=ADMIN)
    home = Home.make(tmp_path / "home", [channel], {"mall": "vendure"}, SECRETS)
    willing, shop = mall.member("loop1@example.com", "13912340101")
    unwilling, other = mall.member("loop2@example.com", "13912340102")
    mall.consent(willing)
    mall.buy(shop, {"MP1-800": 1, "WIP-80": 3})
    repaid = mall.buy(shop, {"NAP-M": 3})["id"]
    mall.refund(repaid, 1)
    cancelled = mall.buy(other, {"BOT-240": 2})["id"]
    mall.cancel(cancelled)
    mall.buy(other, {"NAP-S": 1})
    guest = {"emailAddress": "loop3@example.com", "firstName": "客", "lastName": "李", "phoneNumber": "13712340103"}
    mall.buy(mall.shop(), {"MP1-400": 2}, guest=guest)
    mall.fill(mall.shop(), {"MP1-400": 9})

    home.run()

    # In: orders, money and stock are the server's own.
    (sold,) = home.query("""
        select count(*) as orders, count(*) filter (where is_cancelled) as cancelled,
               sum(net_amount_local + tax_amount_local + shipping_amount_local) as charged
        from marts.orders
    """)
    own = (
        'select count(*), count(*) filter (where state = \'Cancelled\') from "order" where "orderPlacedAt" is not null'
    )
    assert [sold["orders"], sold["cancelled"]] == mall.sql(own)[0] == ["5", "1"]
    paid = Decimal(mall.sql("select sum(amount) from payment where state = 'Settled'")[0][0]) / 100
    assert Decimal(sold["charged"]) == paid
    repaid_whole = Decimal(mall.sql("select sum(total) from refund where state = 'Settled'")[0][0]) / 100
    assert (
        sum(Decimal(str(row["amount"])) for row in home.landed("mall", "refunds")) == repaid_whole == Decimal("99.90")
    )
    (back,) = home.query("select sum(refunded_amount_local) as without_tax from marts.orders where not is_cancelled")
    assert Decimal(back["without_tax"]) == (repaid_whole / Decimal("1.13")).quantize(Decimal("0.01"))
    stock = {row["sku"]: (row["on_hand"], row["reserved"]) for row in home.query("from marts.stock")}
    shelves = mall.sql(
        'select sku, "stockOnHand", "stockAllocated" from stock_level '
        'join product_variant on product_variant.id = stock_level."productVariantId"'
    )
    assert {sku: tuple(map(int, map(float, counts))) for sku, counts in stock.items()} == {
        sku: (int(on_hand), int(allocated)) for sku, on_hand, allocated in shelves
    }
    (known,) = home.query("select count(distinct customer_id) as customers from marts.orders")
    assert known["customers"] == "3"

    # Out: a tag for every member, one coupon for the one who agreed.
    for member in (willing, unwilling):
        assert any(tag.startswith("omnilake:segment=") for tag in mall.customer(member)["omnilakeTags"])
    ((code,),) = mall.sql('select "couponCode" from promotion')
    home.omnilake("reconcile")

    # Again: nothing to do.
    before = books(mall)
    home.run()
    assert books(mall) == before

    # The owner alone redeems it; a webhook says so, and the next night knows.
    with serving(home, mall.webhook_port):
        assert mall.buy(other, {"MP1-800": 1}, code)["totalWithTax"] == 30900
        redeemed = mall.buy(shop, {"MP1-800": 1}, code)
        assert redeemed["totalWithTax"] == 27900
        inbox = home.path / "inbox" / "mall"
        wait_for(lambda: any(f'"{redeemed["id"]}"' in file.read_text() for file in inbox.glob("*.jsonl")))
    assert mall.fill(shop, {"MP1-800": 1}, code)["__typename"] == "CouponCodeLimitError"
    home.run()
    carriers = {row["order_id"]: row["coupon_codes"] for row in home.landed("mall", "orders") if row["coupon_codes"]}
    assert carriers == {redeemed["id"]: [code]}
    assert not [line for file in inbox.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert mall.sql("select count(*) from promotion") == [["1"]]
    home.omnilake("reconcile")
