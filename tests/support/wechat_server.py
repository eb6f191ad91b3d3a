"""A server that speaks like WeChat 微信 where omnilake calls it: a shop's lists of ids, tags of an official account."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from pipelines.connectors import wechat
from pipelines.connectors.protocol import Connector, Options
from tests.support.platform_server import Answer, Call, PlatformServer, SignedWebhook, json_text
from tests.support.shapes import shape

APP_ID, APP_SECRET = "wx0000000000000001", "wechat-app-secret-6d"
MESSAGE_TOKEN, AES_KEY = "wechat-message-token-2", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
SEVEN_DAYS, ONE_DAY = 7 * 86_400, 86_400


class WeChatServer(PlatformServer):
    secrets = (APP_SECRET, MESSAGE_TOKEN, AES_KEY, "wx-token-1-4e8")

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, int] = {"星标组": 2}
        self.followers: dict[str, set[int]] = {}
        self.logins = 0
        self.token = ""

    def connect(self, options: Options) -> Connector:
        return wechat.connect(options)

    def options(self) -> Options:
        secrets = {"app_secret": APP_SECRET, "message_token": MESSAGE_TOKEN, "encoding_aes_key": AES_KEY}
        return Options("mall", {"url": self.url, "app_id": APP_ID}, secrets)

    def seed(self, count: int, at: datetime) -> list[str]:
        first = 3_700_000_000_000_000_001 + len(self.orders)
        for age, number in zip(range(count - 1, -1, -1), range(first, first + count), strict=True):
            changed = int((at - timedelta(seconds=age)).timestamp())
            self.orders[str(number)] = shape("wechat", "order") | {"order_id": str(number), "update_time": changed}
        return [str(number) for number in range(first, first + count)]

    def move(self, source_id: str, at: datetime) -> None:
        self.orders[source_id] |= {"update_time": int(at.timestamp()), "status": 30}

    def add_follower(self, openid: str) -> None:
        self.followers[openid] = {2}

    def refused(self) -> Answer:
        return Answer({"errcode": 48001, "errmsg": "api unauthorized 13912345678"})

    def expired(self) -> Answer:
        return Answer({"errcode": 42001, "errmsg": "access_token expired"})

    def webhook(self, source_id: str) -> SignedWebhook:
        message = {
            "ToUserName": "gh_1", "FromUserName": "OPENID", "CreateTime": 1662480000, "MsgType": "event",
            "Event": "channels_ec_order_pay", "order_info": {"order_id": source_id, "pay_time": 1658509200},
        }  # fmt: skip
        sealed = seal(json_text(message))
        query = {"timestamp": "1662480000", "nonce": "n1", "encrypt_type": "aes"}
        parts = sorted([MESSAGE_TOKEN, query["timestamp"], query["nonce"], sealed])
        query["msg_signature"] = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
        return SignedWebhook({}, json_text({"ToUserName": "gh_1", "Encrypt": sealed}), query)

    def answer(self, call: Call) -> Answer:
        if call.path == "/cgi-bin/stable_token":
            return self._login(call.json())
        if call.query.get("access_token") != self.token:
            return Answer({"errcode": 40001, "errmsg": "invalid credential"})
        match call.path:
            case "/channels/ec/order/list/get":
                return self._listed(call.json())
            case "/channels/ec/order/get":
                order = self.orders.get(call.json()["order_id"])
                return _ok(order=order) if order else Answer({"errcode": 10020002, "errmsg": "订单不存在"})
            case "/channels/ec/aftersale/getaftersalelist":
                return self._after_sales(call.json())
            case "/channels/ec/aftersale/getaftersaleorder":
                name = "after_sale" if call.json()["after_sale_order_id"].endswith("1") else "after_sale_open"
                return _ok(after_sale_order=shape("wechat", name))
            case "/channels/ec/vip/user/list/get":
                assert call.json()["page_size"] <= 200
                return _ok(list=[shape("wechat", "member")], total_num=1)
            case "/channels/ec/product/list/get":
                assert call.json()["page_size"] <= 30
                return _ok(product_ids=["234245"], next_key="", total_num=1)
            case "/channels/ec/product/get":
                return _ok(product=shape("wechat", "product"))
            case "/cgi-bin/tags/get":
                return Answer({"tags": [{"id": tag, "name": name, "count": 0} for name, tag in self.tags.items()]})
            case "/cgi-bin/tags/create":
                return self._create(call.json()["tag"]["name"])
            case "/cgi-bin/tags/members/batchtagging" | "/cgi-bin/tags/members/batchuntagging":
                return self._tag(call.json(), on=call.path.endswith("batchtagging"))
            case "/cgi-bin/tags/getidlist":
                held = self.followers.get(call.json()["openid"])
                if held is None:
                    return Answer({"errcode": 40003, "errmsg": "invalid openid"})
                return _ok(tagid_list=sorted(held))
        return Answer({"errcode": 40066, "errmsg": "invalid url"}, 404)

    def _login(self, body: dict[str, Any]) -> Answer:
        if body["appid"] != APP_ID or body["secret"] != APP_SECRET:
            return Answer({"errcode": 40125, "errmsg": "invalid appsecret"})
        if body["force_refresh"] or not self.token:
            self.logins += 1
            self.token = f"wx-token-{self.logins}-4e8"
        return Answer({"access_token": self.token, "expires_in": 7200})

    def _listed(self, body: dict[str, Any]) -> Answer:
        first, last = body["update_time_range"]["start_time"], body["update_time_range"]["end_time"]
        if last - first > SEVEN_DAYS or body["page_size"] > 100:
            return Answer({"errcode": 10020003, "errmsg": "invalid range"})
        found = sorted(
            (order["update_time"], number)
            for number, order in self.orders.items()
            if first <= order["update_time"] <= last
        )
        behind = tuple(body["next_key"].split("|")) if body["next_key"] else ("0", "")
        rest = [one for one in found if one > (int(behind[0]), behind[1])]
        page = rest[: body["page_size"]]
        more = len(rest) > len(page)
        key = f"{page[-1][0]}|{page[-1][1]}" if more else ""
        return _ok(order_id_list=[number for _, number in page], next_key=key, has_more=more)

    def _after_sales(self, body: dict[str, Any]) -> Answer:
        if body["end_update_time"] - body["begin_update_time"] > ONE_DAY:
            return Answer({"errcode": 10020003, "errmsg": "invalid range"})
        ids = ["6000000000000000001", "6000000000000000002"]
        return _ok(after_sale_order_id_list=ids, next_key="", has_more=False)

    def _create(self, name: str) -> Answer:
        if name in self.tags:
            return Answer({"errcode": 45157, "errmsg": "invalid tag name"})
        if len(name.encode()) > 30:
            return Answer({"errcode": 45158, "errmsg": "tag name too long"})
        if len(self.tags) >= 100:
            return Answer({"errcode": 45056, "errmsg": "too many tags"})
        self.tags[name] = 100 + len(self.tags)
        return Answer({"tag": {"id": self.tags[name], "name": name}})

    def _tag(self, body: dict[str, Any], on: bool) -> Answer:
        openids, tag = body["openid_list"], body["tagid"]
        if len(openids) > 50:
            return Answer({"errcode": 40032, "errmsg": "too many openids"})
        if tag not in self.tags.values():
            return Answer({"errcode": 45159, "errmsg": "invalid tag"})
        if any(openid not in self.followers for openid in openids):
            return Answer({"errcode": 40003, "errmsg": "invalid openid"})
        if on and any(len(self.followers[openid] | {tag}) > 20 for openid in openids):
            return Answer({"errcode": 45059, "errmsg": "too many tags of a follower"})
        for openid in openids:
            self.followers[openid] = self.followers[openid] | {tag} if on else self.followers[openid] - {tag}
        return Answer({"errcode": 0, "errmsg": "ok"})


def seal(message: bytes, app_id: str = APP_ID) -> str:
    """As WeChat seals a message."""
    key = base64.b64decode(AES_KEY + "=")
    content = os.urandom(16) + len(message).to_bytes(4, "big") + message + app_id.encode()
    padding = 32 - len(content) % 32
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(cipher.update(content + bytes([padding]) * padding) + cipher.finalize()).decode()


def _ok(**content: Any) -> Answer:
    return Answer({"errcode": 0, "errmsg": "ok", **content})
