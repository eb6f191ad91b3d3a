"""One person planted in every feed and format, among others who must not be touched.

Belongs here: the rows, and the values that belong to the person alone. Does not belong here: running anything.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

PHONE = "13912345678"
NAME = "欧阳被忘者"
EMAIL = "ouyang.beiwang@example.org"
ADDRESS = "上海市浦东新区被忘路 88 号"
UNIONID, OPENID, ALIPAY, QQ = "oUnionForgotten77", "oOpenForgotten77", "2088777766665555", "qqForgotten777"
CARD, DEVICE, MINI_ID, POS_ID = "CARD-770077", "device-forgotten-77", "MINI-FORGOTTEN-77", "POS-FORGOTTEN-77"
WORDS, SEARCHED, NICKNAME = "送到被忘者家门口", "被忘者的生日蛋糕", "小被忘"

VALUES = (
    PHONE, f"+86{PHONE}", NAME, EMAIL, EMAIL.upper(), ADDRESS, UNIONID, OPENID, ALIPAY, QQ, CARD, DEVICE, MINI_ID,
    POS_ID, WORDS, SEARCHED, NICKNAME,
)  # fmt: skip
"""Everything that is theirs alone, source ids too."""

OTHER_PHONE = "13700137009"
OTHER_VALUES = (OTHER_PHONE, "MINI-OTHER-1")

_AT = "2024-05-01T10:00:00Z"
_FULL_WIDTH = "１３９１２３４５６７８"

MEMBER: dict[str, Any] = {
    "member_id": MINI_ID,
    "updated_at": _AT,
    "registered_at": "2024-01-01T00:00:00Z",
    "phone": f"+86 {PHONE[:3]}-{PHONE[3:7]} {PHONE[7:]}",
    "email": EMAIL.upper(),
    "wechat_unionid": UNIONID,
    "wechat_openid": OPENID,
    "alipay_uid": ALIPAY,
    "name": NAME,
    "gender": "女",
    "birthday": "1990-03-04",
    "address": ADDRESS,
    "city": "上海",
    "level": "gold",
    "device_ids": [DEVICE],
    "consent_marketing": True,
    "attributes": {"child_birthday": "2020-02-02"},
    "nickname": NICKNAME,
}
OTHER: dict[str, Any] = {
    "member_id": "MINI-OTHER-1", "updated_at": _AT, "phone": OTHER_PHONE, "name": "别人", "level": "silver",
}  # fmt: skip


def order(order_id: str, **more: Any) -> dict[str, Any]:
    """A paid order of 100.00."""
    line = {"line_id": "1", "sku": "S1", "quantity": "1", "unit_price": "100.00"}
    return {
        "order_id": order_id, "updated_at": _AT, "placed_at": _AT, "paid_at": _AT, "status": "paid", "currency": "CNY",
        "paid_amount": "100.00", "lines": [line], **more,
    }  # fmt: skip


def plant(landing: Path) -> None:
    """Write the person, and others, into every feed and format beneath `landing` (channels pos, mini, paris)."""
    _jsonl(landing / "mini/members/a.jsonl", [MEMBER, OTHER])
    pos = (
        "member_id,updated_at,phone,name,card_no,qq_openid,wechat_unionid\n"
        f"{POS_ID},{_AT},{_FULL_WIDTH},{NAME},{CARD},{QQ},{UNIONID}\n"
    )
    _bytes(landing / "paris/members/a.csv", pos.encode("gbk"))
    _jsonl_gz(
        landing / "mini/orders/a.jsonl.gz",
        [
            order("O-member", member_id=MINI_ID, guest_phone=OTHER_PHONE, device_id=DEVICE),
            order("O-other", member_id="MINI-OTHER-1"),
            order("O-gift", member_id="MINI-OTHER-1", guest_phone=PHONE),
        ],
    )
    guest = order("O-guest", guest_phone=f"0086{PHONE}", guest_email=f" {EMAIL} ")
    nested = [{"line_id": "1", "sku": "S1", "quantity": "1", "unit_price": "100.00"}]
    _parquet(landing / "pos/orders/a.parquet", [{**guest, "lines": nested}])
    _jsonl(
        landing / "mini/events/a.jsonl",
        [
            {"event_id": "e1", "occurred_at": _AT, "type": "search", "member_id": MINI_ID, "query": SEARCHED,
             "device_id": DEVICE, "session_id": "s-of-the-forgotten", "page": f"/u/{MINI_ID}"},
            {"event_id": "e2", "occurred_at": _AT, "type": "page_view", "device_id": DEVICE},
            {"event_id": "e3", "occurred_at": _AT, "type": "page_view", "member_id": "MINI-OTHER-1"},
        ],
    )  # fmt: skip
    _jsonl(
        landing / "mini/coupons/a.jsonl",
        [{"coupon_code": "C1", "updated_at": _AT, "member_id": MINI_ID, "kind": "amount_off", "value": "5"}],
    )
    _bytes(
        landing / "mini/points/a.csv",
        f"entry_id,member_id,occurred_at,delta,reason\np1,{MINI_ID},{_AT},10,earn\n".encode(),
    )
    _jsonl(
        landing / "mini/reviews/a.jsonl",
        [{"review_id": "r1", "created_at": _AT, "member_id": MINI_ID, "rating": 5, "text": WORDS}],
    )
    _jsonl(
        landing / "_shared/staff/a.jsonl",
        [{"staff_id": "st1", "updated_at": _AT, "name": NAME, "phone": PHONE, "store_id": "s1"}],
    )
    _jsonl(
        landing / "mini/members/b-rejected.jsonl",
        [
            {**MEMBER, "updated_at": "no time"},
            {"member_id": MINI_ID, "phone": PHONE, "updated_at": None},
            {"member_id": "MINI-OTHER-1", "updated_at": "no time", "phone": OTHER_PHONE},
        ],
    )
    _bytes(
        landing / "pos/members/broken.csv",
        f"member_id,updated_at,phone,name\nX1,never,+86 {PHONE},{NAME}\nX2,never,{OTHER_PHONE},别人\n".encode(),
    )
    _bytes(landing / "mini/orders/torn.jsonl", json.dumps(order("O-torn", guest_phone=PHONE)).encode()[:-1] + b"\n")


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    _bytes(path, _lines(rows))


def _jsonl_gz(path: Path, rows: list[dict[str, Any]]) -> None:
    _bytes(path, gzip.compress(_lines(rows)))


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)


def _bytes(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
