"""Connector `odoo`: contacts, tickets, goods, stock and coupons of an Odoo 19 point of sale.

Belongs here: which records are which feed, and their translation where it is a line or two. Does not belong here:
tickets (odoo_tickets), goods, stock and stores (odoo_goods), and how Odoo is spoken to (odoo_api).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from pipelines.connectors import odoo_goods
from pipelines.connectors.amounts import money_or_zero, plain
from pipelines.connectors.odoo_api import (
    Domain,
    OdooApi,
    Record,
    grouped,
    id_of,
    ids_of,
    moment,
    open_api,
    record_id,
    text_id,
    text_of,
    walk,
)
from pipelines.connectors.odoo_tickets import CODE_PROGRAMS, Card, Names, Ticket, translate
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import (
    BadSignatureError,
    Capabilities,
    Check,
    FeedCapability,
    Options,
    Page,
    WebhookEvent,
)
from pipelines.connectors.rows import Rows, gather, said, translated

_PAGE = 200
_OVERLAP = timedelta(minutes=15)
"""write_date is the beginning of a transaction: closing a long day commits minutes after its own stamp."""

_CAPABILITIES = Capabilities(
    feeds={
        "members": FeedCapability(page_size=_PAGE, overlap=_OVERLAP),
        "orders": FeedCapability(
            page_size=_PAGE, overlap=_OVERLAP, sweep_every=timedelta(days=1), sweep_span=timedelta(days=3)
        ),
        "products": FeedCapability(
            page_size=_PAGE, overlap=_OVERLAP, sweep_every=timedelta(days=7), sweep_span=timedelta(days=3650)
        ),
        "inventory": FeedCapability(
            page_size=_PAGE, overlap=_OVERLAP, sweep_every=timedelta(days=7), sweep_span=timedelta(days=3650)
        ),
        "coupons": FeedCapability(page_size=_PAGE, overlap=_OVERLAP),
        "stores": FeedCapability(is_incremental=False, page_size=_PAGE),
        "staff": FeedCapability(is_incremental=False, page_size=_PAGE),
    },
    fetches=frozenset({"members", "orders", "products", "coupons"}),
)

_PARTNER = [
    "name", "phone", "email", "barcode", "street", "street2", "city", "state_id", "active", "category_id",
    "create_date", "write_date",
]  # fmt: skip
_ORDER = [
    "state", "date_order", "write_date", "partner_id", "user_id", "config_id", "currency_id", "shipping_date", "email",
    "mobile",
]  # fmt: skip
_LINE = [
    "order_id", "product_id", "qty", "price_unit", "discount", "price_subtotal", "price_subtotal_incl",
    "tax_ids_after_fiscal_position", "refunded_orderline_id", "combo_line_ids", "write_date",
]  # fmt: skip
_LOYALTY_LINE = ["coupon_id", "points_cost"]
_PAYMENT = ["pos_order_id", "amount", "payment_method_id"]
_CARD = ["code", "partner_id", "program_id", "points", "expiration_date", "create_date", "write_date"]
_REWARD = ["program_id", "reward_type", "discount", "discount_mode"]
_RULE = ["program_id", "minimum_amount"]
_WALLETS = {"wechat_pay": ("微信", "wechat", "weixin"), "alipay": ("支付宝", "alipay")}
_SHOPPERS: Domain = [
    ["partner_share", "=", True],
    ["ref_company_ids", "=", False],
    "!",
    ["user_ids.login", "in", ["public", "portaltemplate"]],
]
"""Contacts that are no user of Odoo, no company that runs it, and none of the two that it brings along."""
_NOT_DRAFT: Domain = ["state", "!=", "draft"]
_READ = {
    "pos.order": "tickets of the point of sale", "res.partner": "contacts", "product.product": "goods",
    "stock.quant": "stock",
}  # fmt: skip


def connect(options: Options) -> OdooConnector:
    """The connector of a channel. Raises ConfigurationError naming the channel, the setting and the remedy.

    Settings beside those of `open_api`: tenders (tender type by name of the payment method), consent_tag.
    """
    read = SettingsReader(options)
    api = open_api(read, options.channel)
    tenders = {str(name): str(kind) for name, kind in read.mapping("tenders").items()}
    consent_tag = read.text("consent_tag", None)
    read.end()
    return OdooConnector(options.channel, api, tenders, consent_tag)


class OdooConnector:
    """The pull side of one Odoo database.

    tenders: tender types by name of payment method, before our own guess. consent_tag: name of the contact tag that
    means consent to marketing; None: Odoo says nothing of consent.
    """

    def __init__(self, channel: str, api: OdooApi, tenders: Mapping[str, str], consent_tag: str | None) -> None:
        self.channel = channel
        self._api = api
        self._tenders = tenders
        self._consent_tag = consent_tag

    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        match feed:
            case "members":
                return self._walked("res.partner", [*_SHOPPERS], _PARTNER, self._members, since, until, state)
            case "orders":
                return self._walked("pos.order", [_NOT_DRAFT], _ORDER, self._orders, since, until, state)
            case "coupons":
                return self._pull_coupons(since, until, state)
            case "products":
                return odoo_goods.pull_products(self._api, since, until, state, _PAGE)
            case "inventory":
                return odoo_goods.pull_inventory(self._api, since, until, state, _PAGE)
            case "stores":
                return iter([Page({"stores": odoo_goods.stores(self._api)})])
            case "staff":
                return iter([Page({"staff": self._staff()})])
        raise ValueError(f"the connector odoo has no feed {feed!r}")

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        ids = [number for number in map(record_id, source_ids) if number is not None]
        domain: Domain = [["id", "in", ids]]
        match feed:
            case "members":
                partners = self._api.search_read("res.partner", [*domain, *_SHOPPERS], _PARTNER)
                return Page(self._members(partners))
            case "orders":
                return Page(self._orders(self._api.search_read("pos.order", [*domain, _NOT_DRAFT], _ORDER)))
            case "products":
                return Page({"products": odoo_goods.products(self._api, domain)})
            case "coupons":
                codes: Domain = [["code", "in", list(source_ids)], ["program_type", "in", list(CODE_PROGRAMS)]]
                return Page(self._coupons(self._api.search_read("loyalty.card", codes, _CARD)))
        raise ValueError(f"the connector odoo fetches no {feed!r}")

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        raise BadSignatureError("Odoo signs no webhooks, so none can be trusted; what changed is pulled.")

    def check(self) -> list[Check]:
        return self._api.check(_READ)

    def _pull_coupons(self, since: datetime, until: datetime, state: Mapping[str, Any] | None) -> Iterator[Page]:
        if "coupon_id" not in self._loyalty_fields:  # the module pos_loyalty is not installed
            yield Page({"coupons": []})
            return
        domain: Domain = [["program_type", "in", list(CODE_PROGRAMS)]]
        yield from self._walked("loyalty.card", domain, _CARD, self._coupons, since, until, state)

    def _walked(
        self, model: str, domain: Domain, fields: Sequence[str], rows_of: Callable[[list[Record]], Rows],
        since: datetime, until: datetime, state: Mapping[str, Any] | None,
    ) -> Iterator[Page]:  # fmt: skip
        for records, following in walk(self._api, model, domain, fields, since, until, _PAGE, state):
            yield Page(rows_of(records), following)

    def _members(self, partners: list[Record]) -> Rows:
        consenting = set()
        if self._consent_tag is not None:
            tags = self._api.search_read("res.partner.category", [["name", "=", self._consent_tag]], ["id"])
            consenting = {tag["id"] for tag in tags}
        rows = [translated("members", partner, lambda one: self._member(one, consenting)) for partner in partners]
        return gather(["members"], rows)

    def _member(self, partner: Record, consenting: set[int]) -> Rows:
        street = [text_of(partner["street"]), text_of(partner["street2"])]
        member = {
            "member_id": str(partner["id"]),
            "updated_at": moment(partner["write_date"]),
            "registered_at": moment(partner["create_date"]),
            "phone": text_of(partner["phone"]),
            "email": text_of(partner["email"]),
            "card_no": text_of(partner["barcode"]),
            "name": text_of(partner["name"]),
            "province": partner["state_id"][1] if partner["state_id"] else None,
            "city": text_of(partner["city"]),
            "address": " ".join(part for part in street if part),
            "consent_marketing": None if self._consent_tag is None else bool(consenting & set(partner["category_id"])),
            "deleted": not partner["active"],
        }
        return {"members": [said(member)]}

    def _staff(self) -> list[Record]:
        fields = ["name", "phone", "partner_id", "write_date"]
        users = self._api.search_read("res.users", [["share", "=", False]], fields)
        partners = ids_of(users, "partner_id")
        moved = {
            partner["id"]: partner["write_date"]
            for partner in self._api.search_read("res.partner", [["id", "in", partners]], ["write_date"])
        }
        return [
            said(
                {
                    "staff_id": str(user["id"]),
                    "updated_at": moment(max(user["write_date"], moved.get(id_of(user["partner_id"]) or 0, ""))),
                    "name": text_of(user["name"]),
                    "phone": text_of(user["phone"]),
                }
            )
            for user in users
        ]

    def _orders(self, orders: list[Record]) -> Rows:
        if not orders:
            return gather(["orders", "refunds"], [])
        ids = [order["id"] for order in orders]
        lines = self._api.search_read("pos.order.line", [["order_id", "in", ids]], [*_LINE, *self._loyalty_fields])
        payments = self._api.search_read("pos.payment", [["pos_order_id", "in", ids]], _PAYMENT)
        names = self._names(orders, lines, payments)
        lines_of, payments_of = grouped(lines, "order_id"), grouped(payments, "pos_order_id")
        tickets = [Ticket(order, lines_of.get(order["id"], []), payments_of.get(order["id"], [])) for order in orders]
        return gather(
            ["orders", "refunds"],
            [
                translated("orders", _as_it_came(ticket), partial(_rows_of_ticket, ticket, names))
                # A ticket that was opened and given up before anything was on it is nothing that happened.
                for ticket in tickets
                if ticket.lines or ticket.payments
            ],
        )

    @cached_property
    def _loyalty_fields(self) -> list[str]:
        return self._api.existing_fields("pos.order.line", _LOYALTY_LINE)

    def _names(self, orders: list[Record], lines: list[Record], payments: list[Record]) -> Names:
        api = self._api
        methods = api.search_read(
            "pos.payment.method",
            [["id", "in", ids_of(payments, "payment_method_id")]],
            ["name", "is_cash_count", "type"],
        )
        taxes = {tax for line in lines for tax in line["tax_ids_after_fiscal_position"]}
        percentages: Domain = [["id", "in", sorted(taxes)], ["amount_type", "=", "percent"]]
        return Names(
            skus=odoo_goods.skus(api, ids_of(lines, "product_id")),
            stores=odoo_goods.stores_of_tills(api, ids_of(orders, "config_id")),
            tenders={method["id"]: self._tender(method) for method in methods},
            cards=self._cards(ids_of(lines, "coupon_id")),
            origins={
                line["id"]: id_of(line["order_id"]) or 0
                for line in api.search_read(
                    "pos.order.line", [["id", "in", ids_of(lines, "refunded_orderline_id")]], ["order_id"]
                )
            },
            rates={
                tax["id"]: money_or_zero(tax["amount"])
                for tax in (api.search_read("account.tax", percentages, ["amount"]) if taxes else [])
            },
        )

    def _tender(self, method: Record) -> str:
        name = text_of(method["name"]) or ""
        if name in self._tenders:
            return self._tenders[name]
        if method["is_cash_count"]:
            return "cash"
        for kind, words in _WALLETS.items():
            if any(word in name.lower() for word in words):
                return kind
        return "customer_account" if method["type"] == "pay_later" else "card"

    def _cards(self, ids: list[int]) -> dict[int, Card]:
        cards = self._api.search_read("loyalty.card", [["id", "in", ids]], ["code", "program_type"]) if ids else []
        return {card["id"]: Card(text_of(card["code"]), str(card["program_type"])) for card in cards}

    def _coupons(self, cards: list[Record]) -> Rows:
        ids = ids_of(cards, "program_id")
        rewards = self._api.search_read("loyalty.reward", [["program_id", "in", ids]], _REWARD) if ids else []
        rules = self._api.search_read("loyalty.rule", [["program_id", "in", ids]], _RULE) if ids else []
        programs = self._api.search_read("loyalty.program", [["id", "in", ids]], ["currency_id"]) if ids else []
        currencies = {program["id"]: program["currency_id"][1] for program in programs if program["currency_id"]}
        redemptions = self._redemptions([card["id"] for card in cards])
        rewards_of, rules_of = grouped(rewards, "program_id"), grouped(rules, "program_id")

        def coupon(card: Record) -> Rows:
            program = id_of(card["program_id"]) or 0
            redeemed = redemptions.get(card["id"], {})
            row = {
                "coupon_code": card["code"],
                "updated_at": moment(card["write_date"]),
                "member_id": text_id(card["partner_id"]),
                "currency": currencies.get(program),
                "issued_at": moment(card["create_date"]),
                # The last day is a whole one, in the time of the shop.
                "expires_at": f"{card['expiration_date']}T23:59:59" if card["expiration_date"] else None,
                "redeemed_at": moment(redeemed.get("date_order")),
                "redeemed_order_id": text_id(redeemed.get("id")),
            }
            return {"coupons": [said(row | _worth(rewards_of.get(program, []), rules_of.get(program, [])))]}

        return gather(["coupons"], [translated("coupons", card, coupon) for card in cards])

    def _redemptions(self, cards: list[int]) -> dict[int, Record]:
        """The first paid ticket on which each card was used."""
        if not cards:
            return {}
        domain: Domain = [
            ["coupon_id", "in", cards],
            ["qty", ">", 0],
            ["order_id.state", "not in", ["draft", "cancel"]],
        ]
        lines = self._api.search_read("pos.order.line", domain, ["coupon_id", "order_id"])
        orders = {
            order["id"]: order
            for order in self._api.search_read("pos.order", [["id", "in", ids_of(lines, "order_id")]], ["date_order"])
        }
        first: dict[int, Record] = {}
        for line in lines:
            first.setdefault(id_of(line["coupon_id"]) or 0, orders.get(id_of(line["order_id"]) or 0, {}))
        return first


def _worth(rewards: list[Record], rules: list[Record]) -> Record:
    """What a coupon of a program gives, of its first reward."""
    if not rewards:
        return {}
    reward = rewards[0]
    kind = "gift"
    if reward["reward_type"] == "discount":
        kind = "percent_off" if reward["discount_mode"] == "percent" else "amount_off"
    threshold = money_or_zero(rules[0]["minimum_amount"]) if rules else None
    return {
        "kind": kind,
        "value": None if kind == "gift" else plain(money_or_zero(reward["discount"])),
        "threshold": None if threshold is None else plain(threshold),
    }


def _rows_of_ticket(ticket: Ticket, names: Names, _: Record) -> Rows:
    return translate(ticket, names)


def _as_it_came(ticket: Ticket) -> Record:
    return {**ticket.order, "lines": list(ticket.lines), "payments": list(ticket.payments)}
