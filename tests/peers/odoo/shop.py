"""A small shop in an Odoo: goods, stock, a till, and sales as a till sends them.

Belongs here: making records through the API, as the till's own pages do. Does not belong here: what is expected.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.peers.odoo.server import OdooClient

VAT = Decimal(13)
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Sold:
    """One line of a ticket. price: with VAT. discount: percent. refunds: the line that is taken back."""

    sku: str
    quantity: Decimal | int = 1
    price: Decimal | None = None
    discount: Decimal | int = 0
    refunds: int | None = None
    reward: dict[str, Any] = field(default_factory=dict)


class Shop:
    """Seeds on construction: currency CNY, 13 % VAT in prices, three goods with stock, an open till."""

    def __init__(self, client: OdooClient) -> None:
        self.client = client
        yuan = client.find("res.currency", [["name", "=", "CNY"]], ["id"])[0]["id"]
        client("res.currency", "write", ids=[yuan], vals={"active": True})
        client("res.company", "write", ids=[1], vals={"currency_id": yuan, "name": "小店"})
        self.tax = client.create(
            "account.tax", name="VAT", amount=VAT, type_tax_use="sale", price_include_override="tax_included"
        )
        self.warehouse = client.find("stock.warehouse", [], ["lot_stock_id"])[0]
        self.prices = {"MILK-2": Decimal("268.00"), "CAP-L": Decimal("39.90"), "WIPES": Decimal("9.99")}
        category = client.create(
            "product.category", name="婴儿", parent_id=client.create("product.category", name="母婴")
        )
        self.products = {
            sku: client.create(
                "product.product", name=name, default_code=sku, list_price=self.prices[sku], standard_price=cost,
                taxes_id=[[6, 0, [self.tax]]], available_in_pos=True, is_storable=True, categ_id=category,
            )
            for sku, name, cost in (("MILK-2", "奶粉 2 段", 150), ("CAP-L", "帽子", 12), ("WIPES", "湿巾", 4))
        }  # fmt: skip
        for product in self.products.values():
            self.count(product, 100)
        journal = client.create("account.journal", name="Till cash", type="cash", code="CSH1")
        bank = client.find("account.journal", [["type", "=", "bank"]], ["id"])[0]["id"]
        self.methods = {
            "cash": client.create("pos.payment.method", name="现金", journal_id=journal),
            "wechat_pay": client.create("pos.payment.method", name="微信支付", journal_id=bank),
        }
        self.till = client.create("pos.config", name="Till 1", payment_method_ids=[[6, 0, list(self.methods.values())]])
        self.open()

    def count(self, product: int, quantity: int) -> None:
        """Set what lies in the shop's stock."""
        quant = self.client(
            "stock.quant", "create", context={"inventory_mode": True},
            vals_list=[{"product_id": product, "location_id": self.warehouse["lot_stock_id"][0],
                        "inventory_quantity": quantity}],
        )  # fmt: skip
        self.client("stock.quant", "action_apply_inventory", ids=quant)

    def open(self) -> None:
        """Open the till for the day, if it is closed."""
        current: list[Any] = [["config_id", "=", self.till], ["state", "!=", "closed"]]
        if not self.client.find("pos.session", current, ["id"]):
            self.client("pos.config", "open_ui", ids=[self.till])
        self.session = self.client.find("pos.session", current, ["id"])[0]["id"]
        self.client("pos.session", "set_opening_control", ids=[self.session], cashbox_value=0, notes="")

    def close(self) -> None:
        """Close the till; Odoo then moves the stock of the whole session."""
        answer = self.client("pos.session", "close_session_from_ui", ids=[self.session])
        assert answer["successful"], answer

    def person(self, name: str, **values: Any) -> int:
        """A new contact."""
        return self.client.create("res.partner", name=name, **values)

    def add_text_field(self, name: str) -> None:
        """A text field on contacts, as an administrator adds it."""
        model = self.client.find("ir.model", [["model", "=", "res.partner"]], ["id"])[0]["id"]
        self.client.create("ir.model.fields", model_id=model, name=name, field_description=name, ttype="text")

    def sell(
        self,
        lines: Sequence[Sold],
        partner: int | None = None,
        method: str = "cash",
        ticket: str | None = None,
        **values: Any,
    ) -> int:
        """One ticket, paid whole; its id. The same `ticket` again is the same order."""  # fmt: skip
        made = [self._line(line) for line in lines]
        total = sum((line["price_subtotal_incl"] for line in made), Decimal(0))
        net = sum((line["price_subtotal"] for line in made), Decimal(0))
        order = {
            "uuid": ticket or str(uuid.uuid4()), "session_id": self.session, "partner_id": partner or False,
            "date_order": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), "user_id": 2, "state": "paid",
            "lines": [[0, 0, line] for line in made], "amount_total": total, "amount_tax": total - net,
            "amount_paid": total, "amount_return": 0, "to_invoice": False, "last_order_preparation_change": "{}",
            "payment_ids": [[0, 0, {"amount": total, "payment_method_id": self.methods[method]}]] if total else [],
            **values,
        }  # fmt: skip
        self.client("pos.order", "sync_from_ui", orders=[order])
        return int(self.client.find("pos.order", [["uuid", "=", order["uuid"]]], ["id"])[0]["id"])

    def redeem(self, code: str, partner: int, lines: Sequence[Sold], money_off: Decimal) -> int:
        """A ticket on which a coupon is used, as the till does it: asks whether it may, sells, and spends the card."""
        answer = self.try_code(code, partner)
        assert answer["successful"], answer
        card, program = answer["payload"]["coupon_id"], answer["payload"]["program_id"]
        reward = self.client.find("loyalty.reward", [["program_id", "=", program]], ["discount_line_product_id"])[0]
        self.products["REWARD"] = reward["discount_line_product_id"][0]
        off = Sold("REWARD", 1, -money_off, reward={
            "is_reward_line": True, "reward_id": reward["id"], "coupon_id": card, "points_cost": 1,
            "reward_identifier_code": "r1", "tax_ids": [[6, 0, []]], "price_subtotal": -money_off,
        })  # fmt: skip
        order = self.sell([*lines, off], partner)
        spent = {str(card): {"points": -1, "program_id": program, "coupon_id": card, "line_codes": ["r1"]}}
        self.client("pos.order", "confirm_coupon_programs", ids=[order], coupon_data=spent)
        return order

    def try_code(self, code: str, partner: int | None) -> dict[str, Any]:
        """What the till answers when somebody shows a code."""
        answer: dict[str, Any] = self.client(
            "pos.config", "use_coupon_code", ids=[self.till], code=code, partner_id=partner or False,
            creation_date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), pricelist_id=False,
        )  # fmt: skip
        return answer

    def lines(self, order: int) -> list[dict[str, Any]]:
        """The lines of a ticket, with their products."""
        return self.client.find(
            "pos.order.line", [["order_id", "=", order]], ["product_id", "qty", "price_subtotal_incl"]
        )

    def _line(self, line: Sold) -> dict[str, Any]:
        price = self.prices[line.sku] if line.price is None else line.price
        gross = price * line.quantity * (100 - Decimal(line.discount)) / 100
        gross = gross.quantize(_CENT, ROUND_HALF_UP)
        net = (gross * 100 / (100 + VAT)).quantize(_CENT, ROUND_HALF_UP)
        return {
            "product_id": self.products[line.sku], "qty": line.quantity, "price_unit": price, "discount": line.discount,
            "tax_ids": [[6, 0, [self.tax]]], "price_subtotal": net, "price_subtotal_incl": gross,
            **({"refunded_orderline_id": line.refunds} if line.refunds else {}), **line.reward,
        }  # fmt: skip
