"""The landing contract as data: every feed, its columns, and what of it may reach the raw lake.

Belongs here: names, types, keys, required columns, closed vocabularies, and the PII treatment of each column.
Does not belong here: reading files, SQL, or the vault; they are driven by these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARED = "_shared"
"""Landing folder, and `channel` value, of feeds that no single channel owns."""

MAX_MONEY_DECIMALS = 4


@dataclass(frozen=True)
class Column:
    """One column of a feed.

    kind: id | text | timestamp | date | amount | decimal | quantity | fx_rate | tax_rate | coordinate | rating |
      boolean | currency | timezone | choice | id_list | struct_list | json. `amount` is money: at most four decimals.
    pii: None (kept as it is), phone | email (token and issue), token (opaque identifier), token_list, name,
      birthday (token and birth month), member_id (tokenised when it parses as a phone or e-mail),
      sealed (vault only), attributes (only promoted names stay).
    choices: the closed vocabulary of a `choice`.
    children: the fields of a `struct_list`.
    """

    name: str
    kind: str
    required: bool = False
    pii: str | None = None
    choices: tuple[str, ...] = ()
    children: tuple[Column, ...] = ()

    def raw_columns(self) -> dict[str, str]:
        """Raw-lake columns this one becomes: name to DuckDB type."""
        match self.pii:
            case None | "member_id":
                return {self.name: self.sql_type()}
            case "phone" | "email":
                return {f"{self.name}_token": "VARCHAR", f"{self.name}_issue": "VARCHAR"}
            case "token":
                return {f"{_identifier_stem(self.name)}_token": "VARCHAR"}
            case "token_list":
                return {f"{_identifier_stem(self.name)}_tokens": "VARCHAR[]"}
            case "name":
                return {f"{self.name}_token": "VARCHAR"}
            case "birthday":
                return {f"{self.name}_token": "VARCHAR", "birth_month": "VARCHAR"}
            case "attributes":
                return {self.name: "VARCHAR"}
            case "sealed":
                return {}
            case other:
                raise ValueError(f"unknown PII treatment {other!r} of column {self.name!r}")

    def sql_type(self) -> str:
        """DuckDB type of the validated value."""
        if self.kind == "struct_list":
            fields = ", ".join(f"{child.name} {child.sql_type()}" for child in self.children)
            return f"STRUCT({fields})[]"
        return SQL_TYPES[self.kind]


SQL_TYPES = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "amount": "DECIMAL(18,4)",
    "decimal": "DECIMAL(18,4)",
    "quantity": "DECIMAL(18,4)",
    "fx_rate": "DECIMAL(24,10)",
    "tax_rate": "DECIMAL(9,6)",
    "coordinate": "DOUBLE",
    "rating": "DECIMAL(3,2)",
    "boolean": "BOOLEAN",
    "currency": "VARCHAR",
    "timezone": "VARCHAR",
    "choice": "VARCHAR",
    "id_list": "VARCHAR[]",
    "json": "VARCHAR",
}


def _identifier_stem(name: str) -> str:
    """`device_id` and `device_ids` become `device`, `wechat_unionid` stays."""
    return name.removesuffix("s").removesuffix("_id") if name.startswith(("device", "anonymous")) else name


@dataclass(frozen=True)
class Feed:
    """One feed: its key is (channel, *key); the newest `version` wins, without one the later arrival does."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    version: str | None = "updated_at"

    def column(self, name: str) -> Column:
        """The declared column of that name; KeyError if the contract has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"feed {self.name} has no column {name!r}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)

    @property
    def timestamps(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.kind == "timestamp")

    def raw_columns(self) -> dict[str, str]:
        """Columns of `lake/raw/<feed>` and of the warehouse's `raw.<feed>`: name to DuckDB type, in order."""
        columns = {"channel": "VARCHAR"}
        for column in self.columns:
            columns |= column.raw_columns()
        return columns | META_COLUMNS


META_COLUMNS = {
    "_batch_id": "VARCHAR",
    "_arrival": "BIGINT",
    "_file": "VARCHAR",
    "_line": "BIGINT",
    "_local_times": "VARCHAR[]",
}
"""Beside every raw row. `_arrival` orders rows as they arrived (batch sequence, then line), over all feeds.
`_local_times` names the timestamp columns that came without an offset: in the lake they hold wall-clock time;
the warehouse's `raw.<feed>` views have resolved them to UTC."""


def _required(name: str, kind: str, **more: object) -> Column:
    return Column(name, kind, required=True, **more)  # type: ignore[arg-type]


_UPDATED = _required("updated_at", "timestamp")
_MEMBER = Column("member_id", "id", pii="member_id")

ORDER_STATUSES = ("pending", "paid", "shipped", "completed", "cancelled", "refunded", "partially_refunded")
FULFILMENTS = ("delivery", "pickup", "ship_from_store", "same_city", "in_store")
EVENT_TYPES = (
    "page_view", "product_view", "store_view", "search", "favourite", "add_to_cart", "remove_from_cart", "checkout",
    "purchase", "login", "scan_qr", "store_visit", "coupon_view", "share", "message_open", "message_click",
)  # fmt: skip

_ORDER_LINE = (
    _required("line_id", "id"),
    _required("sku", "id"),
    _required("quantity", "quantity"),
    Column("unit_list_price", "amount"),
    _required("unit_price", "amount"),
    Column("discount_amount", "amount"),
    Column("tax_rate", "tax_rate"),
    Column("is_gift", "boolean"),
)

FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Feed(
            "members",
            ("member_id",),
            (
                _required("member_id", "id", pii="member_id"),
                _UPDATED,
                Column("registered_at", "timestamp"),
                Column("phone", "text", pii="phone"),
                Column("email", "text", pii="email"),
                Column("wechat_unionid", "id", pii="token"),
                Column("wechat_openid", "id", pii="token"),
                Column("alipay_uid", "id", pii="token"),
                Column("qq_openid", "id", pii="token"),
                Column("card_no", "id", pii="token"),
                Column("device_ids", "id_list", pii="token_list"),
                Column("name", "text", pii="name"),
                Column("gender", "text"),
                Column("birthday", "date", pii="birthday"),
                Column("province", "text"),
                Column("city", "text"),
                Column("address", "text", pii="sealed"),
                Column("home_store_id", "id"),
                Column("referrer_staff_id", "id"),
                Column("level", "text"),
                Column("points_balance", "decimal"),
                Column("consent_marketing", "boolean"),
                Column("consent_updated_at", "timestamp"),
                Column("attributes", "json", pii="attributes"),
                Column("deleted", "boolean"),
            ),
        ),
        Feed(
            "orders",
            ("order_id",),
            (
                _required("order_id", "id"),
                _UPDATED,
                _required("placed_at", "timestamp"),
                _required("status", "choice", choices=ORDER_STATUSES),
                Column("paid_at", "timestamp"),
                Column("completed_at", "timestamp"),
                Column("cancelled_at", "timestamp"),
                _MEMBER,
                Column("guest_phone", "text", pii="phone"),
                Column("guest_email", "text", pii="email"),
                Column("guest_openid", "id", pii="token"),
                Column("device_id", "id", pii="token"),
                Column("store_id", "id"),
                Column("fulfilment", "choice", choices=FULFILMENTS),
                Column("fulfil_store_id", "id"),
                Column("pickup_ready_at", "timestamp"),
                Column("picked_up_at", "timestamp"),
                Column("staff_id", "id"),
                Column("campaign_id", "id"),
                Column("coupon_codes", "id_list"),
                _required("currency", "currency"),
                Column("items_amount", "amount"),
                Column("discount_amount", "amount"),
                Column("shipping_amount", "amount"),
                Column("tax_amount", "amount"),
                _required("paid_amount", "amount"),
                Column("tenders", "struct_list", children=(_required("type", "text"), _required("amount", "amount"))),
                Column("points_used", "decimal"),
                Column("exchange_of", "id"),
                Column("is_test", "boolean"),
                Column("is_staff", "boolean"),
                _required("lines", "struct_list", children=_ORDER_LINE),
            ),
        ),
        Feed(
            "order_lines",
            ("order_id", "line_id"),
            (_required("order_id", "id"), Column("updated_at", "timestamp"), *_ORDER_LINE),
            version="updated_at",
        ),
        Feed(
            "refunds",
            ("refund_id",),
            (
                _required("refund_id", "id"),
                _required("order_id", "id"),
                _UPDATED,
                _required("refunded_at", "timestamp"),
                _required("amount", "amount"),
                _required("currency", "currency"),
                Column("reason", "text"),
                Column("return_store_id", "id"),
                Column(
                    "lines",
                    "struct_list",
                    children=(
                        _required("line_id", "id"),
                        Column("quantity", "quantity"),
                        _required("amount", "amount"),
                    ),
                ),
            ),
        ),
        Feed(
            "events",
            ("event_id",),
            (
                _required("event_id", "id"),
                _required("occurred_at", "timestamp"),
                _required("type", "choice", choices=EVENT_TYPES),
                Column("anonymous_id", "id", pii="token"),
                Column("device_id", "id", pii="token"),
                _MEMBER,
                Column("session_id", "id"),
                Column("sku", "id"),
                Column("store_id", "id"),
                Column("query", "text", pii="sealed"),
                Column("page", "text"),
                Column("utm_source", "text"),
                Column("utm_medium", "text"),
                Column("utm_campaign", "text"),
                Column("campaign_id", "id"),
                Column("properties", "json", pii="attributes"),
            ),
            version=None,
        ),
        Feed(
            "products",
            ("sku",),
            (
                _required("sku", "id"),
                _UPDATED,
                Column("spu", "id"),
                _required("name", "text"),
                Column("category_path", "text"),
                Column("brand", "text"),
                Column("list_price", "amount"),
                Column("cost", "amount"),
                Column("currency", "currency"),
                Column("tax_rate", "tax_rate"),
                Column("stage", "text"),
                Column("status", "text"),
                Column("attributes", "json", pii="attributes"),
            ),
        ),
        Feed(
            "stores",
            ("store_id",),
            (
                _required("store_id", "id"),
                _UPDATED,
                _required("name", "text"),
                Column("kind", "choice", choices=("store", "warehouse")),
                Column("brand", "text"),
                Column("province", "text"),
                Column("city", "text"),
                Column("latitude", "coordinate"),
                Column("longitude", "coordinate"),
                Column("selling_area_m2", "decimal"),
                Column("opened_on", "date"),
                Column("closed_on", "date"),
                Column("timezone", "timezone"),
            ),
        ),
        Feed(
            "staff",
            ("staff_id",),
            (
                _required("staff_id", "id"),
                _UPDATED,
                Column("store_id", "id"),
                Column("name", "text", pii="name"),
                Column("phone", "text", pii="phone"),
            ),
        ),
        Feed(
            "inventory",
            ("store_id", "sku", "counted_at"),
            (
                _required("store_id", "id"),
                _required("sku", "id"),
                _required("counted_at", "timestamp"),
                _required("on_hand", "decimal"),
                Column("reserved", "decimal"),
            ),
            version=None,
        ),
        Feed(
            "prices",
            ("store_id", "sku", "valid_from"),
            (
                _required("sku", "id"),
                Column("store_id", "id"),
                _required("price", "amount"),
                _required("currency", "currency"),
                _required("valid_from", "timestamp"),
                Column("valid_to", "timestamp"),
            ),
            version=None,
        ),
        Feed(
            "coupons",
            ("coupon_code",),
            (
                _required("coupon_code", "id"),
                _UPDATED,
                Column("campaign_id", "id"),
                Column("pool_id", "id"),
                _MEMBER,
                Column("store_ids", "id_list"),
                Column("kind", "choice", choices=("amount_off", "percent_off", "gift")),
                Column("value", "amount"),
                Column("threshold", "amount"),
                Column("currency", "currency"),
                Column("issued_at", "timestamp"),
                Column("claimed_at", "timestamp"),
                Column("redeemed_at", "timestamp"),
                Column("redeemed_order_id", "id"),
                Column("expires_at", "timestamp"),
            ),
        ),
        Feed(
            "points",
            ("entry_id",),
            (
                _required("entry_id", "id"),
                _required("member_id", "id", pii="member_id"),
                _required("occurred_at", "timestamp"),
                _required("delta", "decimal"),
                Column("reason", "choice", choices=("earn", "redeem", "expire", "adjust", "green_bonus")),
                Column("order_id", "id"),
            ),
            version=None,
        ),
        Feed(
            "campaigns",
            ("campaign_id",),
            (
                _required("campaign_id", "id"),
                _UPDATED,
                _required("name", "text"),
                Column("kind", "text"),
                Column("starts_at", "timestamp"),
                Column("ends_at", "timestamp"),
                Column("cost", "amount"),
                Column("currency", "currency"),
                Column("channels", "id_list"),
            ),
        ),
        Feed(
            "reviews",
            ("review_id",),
            (
                _required("review_id", "id"),
                _required("created_at", "timestamp"),
                Column("order_id", "id"),
                Column("sku", "id"),
                Column("store_id", "id"),
                _MEMBER,
                _required("rating", "rating"),
                Column("text", "text", pii="sealed"),
            ),
            version=None,
        ),
        Feed(
            "fx_rates",
            ("date", "currency"),
            (_required("date", "date"), _required("currency", "currency"), _required("rate", "fx_rate")),
            version=None,
        ),
    )
}
