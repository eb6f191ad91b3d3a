"""A server that speaks like Youzan 有赞 where omnilake calls it: everything HTTP 200, pages by number, caps on both."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from pipelines.connectors import youzan
from pipelines.connectors.protocol import Connector, Options
from tests.support.platform_server import Answer, Call, PlatformServer, SignedWebhook, json_text
from tests.support.shapes import shape

CLIENT_ID, CLIENT_SECRET, KDT_ID = "client-1", "youzan-client-secret-5b", "42"
CHINA = timezone(timedelta(hours=8))
NINETY_TWO_DAYS = 92 * 86_400


class YouzanServer(PlatformServer):
    secrets = (CLIENT_SECRET, "yz-token-1-9c3")

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, list[str]] = {}
        self.vouchers: dict[str, list[dict[str, Any]]] = {}
        self.listed_orders = 10_000
        """How many orders paging can reach."""
        self.listed_vouchers = True
        self.logins = 0
        self.token = ""

    def connect(self, options: Options) -> Connector:
        return youzan.connect(options)

    def options(self) -> Options:
        settings = {"url": self.url, "client_id": CLIENT_ID, "grant_id": KDT_ID}
        return Options("mall", settings, {"client_secret": CLIENT_SECRET})

    def seed(self, count: int, at: datetime) -> list[str]:
        first = 1 + len(self.orders)
        numbers = [f"E2026{number:019d}" for number in range(first, first + count)]
        for age, tid in zip(range(count - 1, -1, -1), numbers, strict=True):
            order = shape("youzan", "order")
            order["full_order_info"]["order_info"] |= {"tid": tid, "update_time": _china(at - timedelta(seconds=age))}
            self.orders[tid] = order
        return numbers

    def move(self, source_id: str, at: datetime) -> None:
        info = self.orders[source_id]["full_order_info"]["order_info"]
        info |= {"update_time": _china(at), "status": "WAIT_BUYER_CONFIRM_GOODS"}

    def add_customer(self, open_id: str) -> None:
        self.tags[open_id] = ["高价值"]
        self.vouchers[open_id] = []

    def refused(self) -> Answer:
        data = {"full_order_info_list": []}
        return Answer({"code": 106000001 + 3, "success": False, "message": "13912345678", "data": data})

    def expired(self) -> Answer:
        return _gateway(4202, "请求凭证过期")

    def webhook(self, source_id: str) -> SignedWebhook:
        message = quote(f'{{"tid": "{source_id}", "update_time": "2026-03-01 10:05:00", "mobile": "13912345678"}}')
        notice = {
            "client_id": CLIENT_ID, "kdt_id": int(KDT_ID), "id": source_id, "type": "trade_TradeSellerShip",
            "status": "WAIT_BUYER_CONFIRM_GOODS", "msg": message, "msg_id": "6dc15f0b-8682", "version": 1621946649,
            "test": False,
        }  # fmt: skip
        body = json_text(notice)
        sign = hashlib.md5(CLIENT_ID.encode() + body + CLIENT_SECRET.encode(), usedforsecurity=False).hexdigest()
        return SignedWebhook({"event-sign": sign, "event-type": notice["type"], "client-id": CLIENT_ID}, body)

    def answer(self, call: Call) -> Answer:
        if call.path == "/auth/token":
            return self._login(call.json())
        if call.query.get("access_token") != self.token:
            return _gateway(4203, "Token 不存在")
        if not call.path.startswith("/api/") or len(call.path.split("/")) != 4:
            return _gateway(4001, "非法请求地址")
        name, body = call.path.split("/")[2], call.json()
        answers = {
            "youzan.trades.sold.get": self._sold,
            "youzan.trade.get": self._trade,
            "youzan.trade.refund.search": lambda _: _data({"refunds": [shape("youzan", "refund")], "total": 1}),
            "youzan.trade.refund.get": lambda _: _data(shape("youzan", "refund_detail")),
            "youzan.scrm.customer.list": lambda _: _data({"record_list": [shape("youzan", "customer")], "total": 1}),
            "youzan.scrm.customer.detail.get": lambda _: _data(shape("youzan", "customer_detail")),
            "youzan.item.base.search": lambda _: _data(
                {"items": [shape("youzan", "item")], "paginator": {"total_count": 1}}
            ),
            "youzan.item.itemdetail.get": lambda _: _data(shape("youzan", "item_detail")),
            "youzan.scrm.tag.relation.add": self._tag,
            "youzan.scrm.tag.relation.delete": self._untag,
            "youzan.scrm.tag.relation.get": lambda body: _data(
                [{"tag_name": name} for name in self.tags.get(body["account_id"], [])]
            ),
            "youzan.ump.voucheractivity.send": self._send,
            "youzan.ump.voucher.query": self._vouchers,
        }
        return answers[name](body) if name in answers else _gateway(4005, "非法的API")

    def _login(self, body: dict[str, Any]) -> Answer:
        if body["client_secret"] != CLIENT_SECRET or body["authorize_type"] != "silent" or body["grant_id"] != KDT_ID:
            return Answer({"success": False, "code": 1103, "data": None, "message": "授权关系不存在"})
        if body["refresh"] or not self.token:
            self.logins += 1
            self.token = f"yz-token-{self.logins}-9c3"
        expires = int((time.time() + 7 * 86_400) * 1000)
        return Answer({"success": True, "code": 200, "message": None,
                       "data": {"access_token": self.token, "expires": expires, "authority_id": KDT_ID}})  # fmt: skip

    def _sold(self, body: dict[str, Any]) -> Answer:
        first, last = (_instant(body[name]) for name in ("start_update", "end_update"))
        empty = {"full_order_info_list": []}
        if (last - first).total_seconds() > NINETY_TWO_DAYS:
            return Answer({"code": 106000001 + 1, "success": False, "message": "三个月", "data": empty})
        if body["page_size"] > 100 or body["page_no"] > 100:
            return Answer({"code": 5000, "success": False, "message": "每页最多显示100条数据", "data": empty})
        found = [
            order for order in self.orders.values()
            if first <= _instant(order["full_order_info"]["order_info"]["update_time"]) <= last
        ]  # fmt: skip
        # Newest first.
        found.sort(key=lambda order: order["full_order_info"]["order_info"]["update_time"], reverse=True)
        start = (body["page_no"] - 1) * body["page_size"]
        end = min(start + body["page_size"], self.listed_orders)
        return _data({"total_results": len(found), "full_order_info_list": found[start:end]})

    def _trade(self, body: dict[str, Any]) -> Answer:
        if body["tid"] not in self.orders:
            return Answer({"code": 5000, "success": False, "message": "trade not found", "data": {}})
        return _data(self.orders[body["tid"]])

    def _tag(self, body: dict[str, Any]) -> Answer:
        names = [tag["tag_name"] for tag in body["tags"]]
        if body["account_id"] not in self.tags:
            return Answer({"code": 142400105, "success": False, "message": "客户不存在", "data": None})
        assert body["account_type"] == "YzOpenId"
        assert len(names) <= 20
        assert all(len(name) <= 32 for name in names)
        held = self.tags[body["account_id"]]
        held += [name for name in names if name not in held]
        return _data(True)

    def _untag(self, body: dict[str, Any]) -> Answer:
        names = {tag["tag_name"] for tag in body["tags"]}
        self.tags[body["account_id"]] = [name for name in self.tags.get(body["account_id"], []) if name not in names]
        return _data(True)

    def _send(self, body: dict[str, Any]) -> Answer:
        if body["yz_open_id"] not in self.vouchers:
            return _gateway(4009, "openid 不存在")
        voucher = shape("youzan", "voucher") | {"activity_id": body["activity_id"]}
        self.vouchers[body["yz_open_id"]].append(voucher)
        return _data({"voucher_identity": {"coupon_id": 1, "coupon_type": 0}})

    def _vouchers(self, body: dict[str, Any]) -> Answer:
        held = self.vouchers.get(body["yz_open_id"], []) if self.listed_vouchers else []
        start = (body["page_num"] - 1) * body["page_size"]
        page = held[start : start + body["page_size"]]
        return Answer({"success": True, "code": 200, "message": "successful", "total": len(held), "data": page})


def _data(data: Any) -> Answer:
    return Answer({"trace_id": "yz7-1", "code": 200, "data": data, "success": True, "message": "successful"})


def _gateway(code: int, words: str) -> Answer:
    return Answer({"gw_err_resp": {"trace_id": "yz7-1", "err_msg": words, "err_code": code}})


def _china(moment: datetime) -> str:
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
