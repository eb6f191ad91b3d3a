"""A server that speaks like Odoo's external API where omnilake calls it: domains, orders and limits over tables in
memory, write_date kept to the microsecond and shown in whole seconds, external ids, unique codes of cards."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.connectors import odoo
from pipelines.connectors.protocol import Connector, Options
from tests.support.platform_server import Answer, Call, PlatformServer

KEY = "odoo-api-key-7c41"
Row = dict[str, Any]
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: _plain(value) == wanted,
    "!=": lambda value, wanted: _plain(value) != wanted,
    "in": lambda value, wanted: _plain(value) in wanted,
    "not in": lambda value, wanted: _plain(value) not in wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
}


class TillServer(PlatformServer):
    secrets = (KEY,)

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, dict[int, Row]] = {}
        self.external: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._seconds = itertools.count()
        for model, values in _SHOP:
            self.add(model, values)

    def connect(self, options: Options) -> Connector:
        return odoo.connect(options)

    def options(self) -> Options:
        return Options("mall", {"url": self.url, "database": "shop"}, {"api_key": KEY})

    def add(self, model: str, values: Row) -> int:
        """A record, as Odoo's own code would make it."""
        number = values.get("id") or next(self._numbers) + 100
        moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=next(self._seconds), microseconds=123456)
        self.tables.setdefault(model, {})[number] = {
            "id": number,
            "write_date": moment,
            "create_date": moment,
            **values,
        }
        return number

    def seed(self, count: int, at: datetime) -> list[str]:
        made = []
        for age in range(count - 1, -1, -1):
            moment = at - timedelta(seconds=age)
            order = self.add("pos.order", {
                "state": "paid", "date_order": moment, "write_date": moment, "partner_id": False, "user_id": [2, "C"],
                "config_id": [1, "Till"], "currency_id": [6, "CNY"], "shipping_date": False, "email": "",
                "mobile": "13912345678",
            })  # fmt: skip
            self.add("pos.order.line", {
                "order_id": [order, "T"], "product_id": [1, "Milk"], "qty": 1, "price_unit": 9.9, "discount": 0,
                "price_subtotal": 8.76, "price_subtotal_incl": 9.9, "tax_ids_after_fiscal_position": [1],
                "refunded_orderline_id": False, "combo_line_ids": [], "coupon_id": False, "points_cost": 0,
                "write_date": moment,
            })  # fmt: skip
            self.add("pos.payment", {"pos_order_id": [order, "T"], "amount": 9.9, "payment_method_id": [1, "Cash"]})
            made.append(str(order))
        return made

    def move(self, source_id: str, at: datetime) -> None:
        self.tables["pos.order"][int(source_id)]["write_date"] = at

    def refused(self) -> Answer:
        return Answer({"name": "odoo.exceptions.UserError", "message": "13912345678 may not", "debug": KEY}, 422)

    def expired(self) -> Answer:
        return Answer({"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"}, 401)

    def answer(self, call: Call) -> Answer:
        if call.headers.get("authorization") != f"bearer {KEY}":
            return self.expired()
        if call.headers.get("x-odoo-database") != "shop" or call.method != "POST":
            return Answer({"name": "werkzeug.exceptions.NotFound", "message": "404"}, 404)
        _, _, _, model, method = call.path.split("/")
        handler: Callable[..., Answer] | None = getattr(self, f"_{method}", None)
        if handler is None or (model not in self.tables and model not in _MODELS):
            return Answer({"name": "werkzeug.exceptions.NotFound", "message": "404"}, 404)
        arguments = {name: value for name, value in call.json().items() if name != "context"}
        return handler(model, **arguments)

    def _search_read(
        self, model: str, domain: list[Any], fields: list[str], order: str = "id", limit: int | None = None
    ) -> Answer:
        rows = [row for row in self.tables.get(model, {}).values() if _holds(row, domain)]
        rows.sort(key=lambda row: [row[name.strip()] for name in order.split(",")])
        return Answer([{name: _shown(row.get(name, False)) for name in ["id", *fields]} for row in rows[:limit]])

    def _search_count(self, model: str, domain: list[Any]) -> Answer:
        return Answer(sum(_holds(row, domain) for row in self.tables.get(model, {}).values()))

    def _fields_get(self, model: str, allfields: list[str], attributes: list[str]) -> Answer:
        known = set().union(*self.tables.get(model, {}).values(), _MODELS.get(model, ()))
        return Answer({name: {} for name in allfields if name in known})

    def _context_get(self, model: str) -> Answer:
        return Answer({"uid": 2})

    def _has_access(self, model: str, operation: str) -> Answer:
        return Answer(True)

    def _formatted_read_group(self, model: str, **_: Any) -> Answer:
        return Answer([])

    def _get_external_id(self, model: str, ids: list[int]) -> Answer:
        names = {number: name for name, number in self.external.items()}
        return Answer({str(number): names.get(number, "") for number in ids})

    def _create(self, model: str, vals_list: list[Row]) -> Answer:
        taken = {row.get("code") for row in self.tables.get(model, {}).values()} if model == "loyalty.card" else set()
        if len(taken | {values.get("code") for values in vals_list} - {None}) < len(taken) + len(vals_list) and taken:
            return self.refused()
        if model == "ir.model.fields":
            for values in vals_list:
                for contact in self.tables["res.partner"].values():
                    contact[values["name"]] = False
        return Answer([self.add(model, _linked(values)) for values in vals_list])

    def _write(self, model: str, ids: list[int], vals: Row) -> Answer:
        if not set(ids) <= self.tables.get(model, {}).keys():
            return Answer({"name": "odoo.exceptions.MissingError", "message": "gone"}, 404)
        for number in ids:
            if "category_id" not in vals:
                self.tables[model][number] |= vals
                continue
            held = self.tables[model][number]["category_id"]
            for command, tag in vals["category_id"]:
                held[:] = [*(one for one in held if one != tag), *([tag] if command == 4 else [])]
        return Answer(True)

    def _load(self, model: str, fields: list[str], data: list[list[Any]]) -> Answer:
        ids = []
        for line in data:
            values = dict(zip(fields, line, strict=True))
            if ".id" in values:
                number = values.pop(".id")
                self.tables[model][number] |= values
            else:
                key = values.pop("id")
                number = self.external.get(key) or self.add(model, values)
                self.external[key] = number
            ids.append(number)
        return Answer({"ids": ids, "messages": []})


def _holds(row: Row, domain: list[Any]) -> bool:
    """All conditions, each perhaps turned round by a "!" before it. A path into another table, or a field that the shop
    below does not set, always holds."""
    negated = False
    for leaf in domain:
        if leaf == "!":
            negated = True
            continue
        if leaf[0] in row and _meets(row[leaf[0]], *leaf[1:]) == negated:
            return False
        negated = False
    return True


def _meets(value: Any, operator: str, wanted: Any) -> bool:
    if isinstance(value, datetime):
        wanted = datetime.fromisoformat(wanted).replace(tzinfo=UTC)
    return _TESTS[operator](value, wanted)


def _plain(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str) else value


def _shown(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else value


def _linked(values: Row) -> Row:
    """Many2ones are written as ids and read as [id, name]."""
    return {name: [value, "…"] if name in ("partner_id", "program_id") else value for name, value in values.items()}


_MODELS: dict[str, tuple[str, ...]] = {
    "pos.order": (), "pos.order.line": ("coupon_id", "points_cost"), "pos.payment": (), "stock.quant": (),
    "stock.move.line": (), "loyalty.card": (), "loyalty.program": (), "loyalty.reward": (), "loyalty.rule": (),
    "res.partner.category": (), "ir.model.fields": (), "res.partner": (),
}  # fmt: skip
_SHOP: list[tuple[str, Row]] = [
    ("res.partner", {"id": 1, "name": "小店", "ref_company_ids": [1], "phone": "", "category_id": [],
                     "partner_latitude": 0.0, "partner_longitude": 0.0}),
    ("res.company", {"id": 1, "currency_id": [6, "CNY"]}),
    ("res.users", {"id": 2, "name": "Clerk", "phone": False, "partner_id": [1, "小店"], "company_id": [1, "小店"]}),
    ("stock.warehouse", {"id": 1, "name": "小店", "partner_id": [1, "小店"], "active": True}),
    ("stock.picking.type", {"id": 9, "warehouse_id": [1, "小店"]}),
    ("stock.location", {"id": 5, "warehouse_id": [1, "小店"], "usage": "internal"}),
    ("pos.config", {"id": 1, "picking_type_id": [9, "PoS"]}),
    ("pos.payment.method", {"id": 1, "name": "现金", "is_cash_count": True, "type": "cash"}),
    ("account.tax", {"id": 1, "amount": 13, "amount_type": "percent", "price_include": True}),
    ("product.category", {"id": 1, "complete_name": "母婴 / 奶粉"}),
    ("product.template", {"id": 1}),
    ("product.product", {
        "id": 1, "default_code": "MILK", "barcode": False, "name": "奶粉", "product_tmpl_id": [1, "奶粉"],
        "categ_id": [1, "母婴 / 奶粉"], "lst_price": 9.9, "standard_price": 4, "taxes_id": [1], "active": True,
        "sale_ok": True, "currency_id": [6, "CNY"]}),
    ("stock.quant", {"id": 1, "product_id": [1, "奶粉"], "location_id": [5, "WH/Stock"], "quantity": 7.0,
                     "reserved_quantity": 0.0}),
    ("ir.model", {"id": 1, "model": "res.partner"}),
]  # fmt: skip
