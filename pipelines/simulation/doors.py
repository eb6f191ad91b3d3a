"""The doors of the simulated retailer: its channels, what each asks of a shopper, and how each delivers files.

Belongs here: one `Door` a channel and the channels.yml that declares them. Does not belong here: rendering rows.
"""

from __future__ import annotations

from dataclasses import dataclass

REPORTING_CURRENCY = "CNY"
TIMEZONE = "Asia/Shanghai"
MAIYA, HEMU = 0, 1
BRANDS = ("maiya", "hemu")
"""The two brands: maiya sells for mothers and babies, hemu apparel and home."""


@dataclass(frozen=True)
class Door:
    """One channel.

    format: jsonl | jsonl.gz | csv | csv.gz | parquet of its files; `bom` puts a byte order mark before CSV.
    times: offset | utc | naive, how its instants are written; naive is the local time of the row's store or channel.
    money_as_text: amounts in JSON are strings instead of numbers.
    split_lines: orders and order_lines come as two feeds.
    asks: probability that a member of this door has left each identifier there.
    member_share: probability that an order of a registered shopper carries the member id (else a guest's order).
    walk_in_share: share of the door's orders that nobody can be found for.
    """

    id: str
    name: str
    kind: str
    brand: int
    online: bool
    format: str
    times: str
    asks: dict[str, float]
    member_share: float
    walk_in_share: float = 0.0
    timezone: str = TIMEZONE
    cutoff: str = "00:00"
    currency: str = REPORTING_CURRENCY
    encoding: str = "utf-8"
    bom: bool = False
    money_as_text: bool = False
    split_lines: bool = False


_PC = {"phone": 0.7, "email": 0.6, "qq_openid": 0.2, "name": 0.5, "address": 0.8}
_H5 = {"phone": 0.8, "wechat_unionid": 0.4, "name": 0.3, "address": 0.6}
_MINI = {"phone": 0.62, "wechat_unionid": 0.94, "wechat_openid": 1.0, "name": 0.25, "birthday": 0.2, "address": 0.5}
_APP = {
    "phone": 0.95, "wechat_unionid": 0.3, "alipay_uid": 0.15, "card_no": 0.3, "device_ids": 0.9, "name": 0.6,
    "birthday": 0.5, "address": 0.8,
}  # fmt: skip
_POS = {"phone": 0.88, "card_no": 0.6, "name": 0.9, "birthday": 0.6}
_SYDNEY = {"phone": 0.6, "email": 0.7, "card_no": 0.3, "name": 0.9}
_MARKET = {"phone": 0.7, "alipay_uid": 0.35, "name": 0.8, "address": 1.0}
_LIVE = {"phone": 0.5, "wechat_unionid": 0.35, "name": 0.3}
_SOCIAL = {"wechat_unionid": 0.9, "wechat_openid": 0.9, "phone": 0.3, "name": 0.2}

DOORS: tuple[Door, ...] = (
    Door("pc_mall", "麦芽屋官方商城", "pc_web", MAIYA, True, "jsonl", "offset", _PC, 0.82, 0.02),
    Door("h5_mall", "麦芽屋手机商城", "h5", MAIYA, True, "jsonl.gz", "utc", _H5, 0.8, 0.02),
    Door("mini_maiya", "麦芽屋小程序", "mini_program", MAIYA, True, "jsonl.gz", "offset", _MINI, 0.96),
    Door("mini_hemu", "禾木小程序", "mini_program", HEMU, True, "jsonl", "offset", _MINI, 0.96),
    Door("app", "麦芽屋 App", "app", MAIYA, True, "parquet", "utc", _APP, 0.98),
    Door(
        "pos_cn", "门店收银", "pos", MAIYA, False, "csv", "naive", _POS, 0.85, 0.24,
        cutoff="04:00", encoding="gbk", split_lines=True,
    ),
    Door(
        "pos_sydney", "Sydney counter", "pos", MAIYA, False, "csv", "naive", _SYDNEY, 0.7, 0.3,
        timezone="Australia/Sydney", currency="AUD", bom=True,
    ),
    Door("market", "云集市旗舰店", "marketplace", HEMU, True, "parquet", "naive", _MARKET, 0.55, 0.1),
    Door("live", "直播间", "live", MAIYA, True, "jsonl", "naive", _LIVE, 0.75, 0.05, money_as_text=True),
    Door("social", "企微社群", "social", HEMU, True, "csv.gz", "offset", _SOCIAL, 0.92),
)  # fmt: skip

DOOR_INDEX = {door.id: position for position, door in enumerate(DOORS)}


def channels_yml() -> str:
    """The text of channels.yml that declares every door."""
    lines = [
        "# The doors of the retailer. One entry a channel; see FEEDS in the documentation for every setting.",
        f"reporting_currency: {REPORTING_CURRENCY}",
        f"timezone: {TIMEZONE}",
        "promote_attributes: [child_birth_month, entry]",
        "channels:",
    ]
    for door in DOORS:
        lines += [
            f"  - id: {door.id}",
            f"    name: {door.name}",
            f"    kind: {door.kind}",
            f"    brand: {BRANDS[door.brand]}",
            f"    online: {'true' if door.online else 'false'}",
            f"    timezone: {door.timezone}",
            f'    business_day_cutoff: "{door.cutoff}"',
            f"    currency: {door.currency}",
        ]
        if door.encoding != "utf-8":
            lines.append(f"    encoding: {door.encoding}")
    return "\n".join(lines) + "\n"
