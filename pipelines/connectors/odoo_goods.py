"""Goods, stock and stores of an Odoo as rows of the landing contract.

Belongs here: products, inventory and stores, and the names that tickets need of them. Stores are warehouses: all tills
(pos.config) of one warehouse are one store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipelines.connectors.amounts import ZERO, money_or_zero, plain
from pipelines.connectors.odoo_api import Domain, OdooApi, Record, id_of, ids_of, moment, stamp, text_id, text_of, walk
from pipelines.connectors.odoo_tickets import PAYMENT_PROGRAMS
from pipelines.connectors.protocol import Page
from pipelines.connectors.rows import gather, said, translated

_PRODUCT = [
    "default_code", "barcode", "name", "product_tmpl_id", "categ_id", "lst_price", "standard_price", "taxes_id",
    "active", "sale_ok", "write_date", "currency_id",
]  # fmt: skip
_NO_SALE = {"gift_card": "gift_card", "ewallet": "top_up"}
_INTERNAL: Domain = ["location_id.usage", "=", "internal"]


def skus(api: OdooApi, products: Sequence[int]) -> dict[int, str]:
    """SKU by product: its internal reference, else its barcode, else its id."""
    if not products:
        return {}
    records = api.search_read("product.product", [["id", "in", list(products)]], ["default_code", "barcode"])
    return {record["id"]: _sku(record) for record in records}


def stores_of_tills(api: OdooApi, tills: Sequence[int]) -> dict[int, str | None]:
    """Store by till: the warehouse that its picking type takes goods from."""
    configs = api.search_read("pos.config", [["id", "in", list(tills)]], ["picking_type_id"])
    types = ids_of(configs, "picking_type_id")
    warehouses = {
        record["id"]: text_id(record["warehouse_id"])
        for record in api.search_read("stock.picking.type", [["id", "in", types]], ["warehouse_id"])
    }
    return {config["id"]: warehouses.get(id_of(config["picking_type_id"]) or 0) for config in configs}


def stores(api: OdooApi) -> list[Record]:
    """Rows of the feed stores."""
    warehouses = api.search_read("stock.warehouse", [], ["name", "partner_id", "active", "write_date"])
    partners = {
        partner["id"]: partner
        for partner in api.search_read(
            "res.partner",
            [["id", "in", ids_of(warehouses, "partner_id")]],
            ["city", "state_id", "partner_latitude", "partner_longitude", "write_date"],
        )
    }
    tills = [config["id"] for config in api.search_read("pos.config", [], ["id"])]
    selling = set(stores_of_tills(api, tills).values())
    rows = []
    for warehouse in warehouses:
        partner = partners.get(id_of(warehouse["partner_id"]) or 0, {})
        state = partner.get("state_id")
        latitude, longitude = (money_or_zero(partner.get(f"partner_{name}")) for name in ("latitude", "longitude"))
        row = {
            "store_id": str(warehouse["id"]),
            "updated_at": moment(max(warehouse["write_date"], partner.get("write_date", ""))),
            "name": text_of(warehouse["name"]),
            "kind": "store" if str(warehouse["id"]) in selling else "warehouse",
            "province": state[1] if state else None,
            "city": text_of(partner.get("city")),
        }
        if latitude or longitude:  # Odoo says 0 for unknown
            row |= {"latitude": latitude, "longitude": longitude}
        rows.append(said(row))
    return rows


def pull_products(
    api: OdooApi, since: datetime, until: datetime, state: Mapping[str, Any] | None, size: int
) -> Iterator[Page]:
    """Pages of the feed products. A name, price or category belongs to the template, and changing it does not move the
    variant: so the templates that changed are walked first, then the variants."""
    start = {"second": stamp(since), "id": None}
    at = state or {"model": "product.template", **start}
    if at["model"] == "product.template":
        for templates, after in walk(api, "product.template", [], ["id"], since, until, size, at):
            rows = products(api, [["product_tmpl_id", "in", [template["id"] for template in templates]]])
            following = {"model": "product.template", **after} if after else {"model": "product.product", **start}
            yield from in_pages("products", rows, size, at, following)
            at = following
    for variants, after in walk(api, "product.product", [], ["id"], since, until, size, at):
        rows = products(api, [["id", "in", [variant["id"] for variant in variants]]])
        yield Page({"products": rows}, after and {"model": "product.product", **after})


def in_pages(
    feed: str, rows: Sequence[Record], size: int, at: Mapping[str, Any], following: Mapping[str, Any] | None
) -> Iterator[Page]:
    """The rows in pages of `size`. Until the last one a pull goes on where these rows began, for one read gave all."""
    for start in range(0, max(len(rows), 1), size):
        is_last = start + size >= len(rows)
        yield Page({feed: rows[start : start + size]}, following if is_last else at)


def products(api: OdooApi, domain: Domain) -> list[Record]:
    """Rows of the feed products for the goods of a domain."""
    variants = api.search_read("product.product", domain, _PRODUCT)
    if not variants:
        return []
    moved = _moved(api, "product.template", variants, "product_tmpl_id")
    categories = _named(api, "product.category", variants, "categ_id", "complete_name")
    taxes = sorted({tax for variant in variants for tax in variant["taxes_id"]})
    percentages: Domain = [["id", "in", taxes], ["amount_type", "=", "percent"]]
    rates = {
        tax["id"]: tax
        for tax in (api.search_read("account.tax", percentages, ["amount", "price_include"]) if taxes else [])
    }
    no_sale = _no_sale(api)

    def product(variant: Record) -> dict[str, list[Record]]:
        path = (categories.get(id_of(variant["categ_id"]) or 0) or "").replace(" / ", "/")
        kind = no_sale.get(variant["id"])
        own = [rates[tax] for tax in variant["taxes_id"] if tax in rates]
        rate = sum((money_or_zero(tax["amount"]) for tax in own), ZERO) / 100
        beyond = sum((money_or_zero(tax["amount"]) for tax in own if not tax["price_include"]), ZERO) / 100
        row = {
            "sku": _sku(variant),
            "updated_at": moment(max(variant["write_date"], moved.get(id_of(variant["product_tmpl_id"]) or 0, ""))),
            "spu": text_id(variant["product_tmpl_id"]),
            "name": text_of(variant["name"]),
            "category_path": f"{kind}/{path}" if kind else path,
            "list_price": _money(money_or_zero(variant["lst_price"]) * (1 + beyond)),
            "cost": _money(money_or_zero(variant["standard_price"])) or None,
            "currency": variant["currency_id"][1] if variant["currency_id"] else None,
            "tax_rate": plain(rate),
            "status": "active" if variant["active"] and variant["sale_ok"] else "inactive",
        }
        return {"products": [said(row)]}

    return gather(["products"], [translated("products", variant, product) for variant in variants])["products"]


def pull_inventory(
    api: OdooApi, since: datetime, until: datetime, state: Mapping[str, Any] | None, size: int
) -> Iterator[Page]:
    """Pages of the feed inventory: the whole count of every good whose stock moved, per store.

    What lies in one place is a quant, and Odoo removes a quant that is empty: so the goods are those whose quants
    changed, and those that moved. A good that is nowhere in a store any more is counted as 0 there, at its last move.
    """
    at = state or {"model": "stock.quant", "second": stamp(since), "id": None}
    if at["model"] == "stock.quant":
        for quants, after in walk(api, "stock.quant", [_INTERNAL], ["product_id"], since, until, size, at):
            following = {"model": "stock.quant", **after} if after else {"model": "stock.move.line", "after": 0}
            yield from in_pages("inventory", _counts(api, ids_of(quants, "product_id"), {}), size, at, following)
            at = following
    moved = _last_moves(api, since, until)
    goods = sorted({product for product, _ in moved if product > at.get("after", 0)})
    for start in range(0, max(len(goods), 1), size):
        part = goods[start : start + size]
        here = {key: last for key, last in moved.items() if key[0] in set(part)}
        rest = {"model": "stock.move.line", "after": part[-1]} if start + size < len(goods) else None
        yield from in_pages("inventory", _counts(api, part, here), size, at, rest)
        at = rest or at


def _counts(api: OdooApi, goods: Sequence[int], moved: Mapping[tuple[int, int], str]) -> list[Record]:
    """Counts per store of these goods. moved: last move by (product, location); counted as 0 where no quant is left."""
    if not goods:
        return []
    quants = api.search_read(
        "stock.quant",
        [["product_id", "in", list(goods)], _INTERNAL],
        ["product_id", "location_id", "quantity", "reserved_quantity", "write_date"],
    )
    places = set(ids_of(quants, "location_id")) | {place for _, place in moved}
    store_of = {
        record["id"]: text_id(record["warehouse_id"])
        for record in api.search_read(
            "stock.location", [["id", "in", sorted(places)], ["usage", "=", "internal"]], ["warehouse_id"]
        )
    }
    names = skus(api, goods)
    counts: dict[tuple[str, str], Record] = {}

    def count(product: int, place: int, at: str) -> Record | None:
        store = store_of.get(place)
        if store is None:
            return None
        key = (store, names.get(product, str(product)))
        row = counts.setdefault(
            key, {"store_id": store, "sku": key[1], "counted_at": "", "on_hand": ZERO, "reserved": ZERO}
        )
        row["counted_at"] = max(row["counted_at"], moment(at) or "")
        return row

    for quant in quants:
        row = count(id_of(quant["product_id"]) or 0, id_of(quant["location_id"]) or 0, quant["write_date"])
        if row is not None:
            row["on_hand"] += money_or_zero(quant["quantity"])
            row["reserved"] += money_or_zero(quant["reserved_quantity"])
    counted = set(counts)
    for (product, place), at in moved.items():
        if (store_of.get(place), names.get(product, str(product))) not in counted:
            count(product, place, at)
    return [
        {**row, "on_hand": _quantity(row["on_hand"]), "reserved": _quantity(row["reserved"])} for row in counts.values()
    ]


def _last_moves(api: OdooApi, since: datetime, until: datetime) -> dict[tuple[int, int], str]:
    """The last move in [since, until] by (product, location), from and to. Odoo groups; moves can number millions."""
    last: dict[tuple[int, int], str] = {}
    domain: Domain = [["state", "=", "done"], ["date", ">=", stamp(since)], ["date", "<=", stamp(until)]]
    for place in ("location_id", "location_dest_id"):
        groups = api.read(
            "stock.move.line",
            "formatted_read_group",
            domain=[*domain, [f"{place}.usage", "=", "internal"]],
            groupby=["product_id", place],
            aggregates=["date:max"],
        )
        for group in groups:
            product, location = id_of(group["product_id"]), id_of(group[place])
            if product and location:
                key = (product, location)
                last[key] = max(last.get(key, ""), str(group["date:max"]))
    return last


def _sku(product: Record) -> str:
    return text_of(product["default_code"]) or text_of(product["barcode"]) or str(product["id"])


def _money(amount: Decimal) -> Decimal:
    """Odoo keeps prices as floats: what lies beyond four decimals is their noise."""
    return plain(amount.quantize(Decimal("0.0001")))


def _quantity(quantity: Decimal) -> Decimal:
    return Decimal(format(quantity.quantize(Decimal("0.0001")).normalize(), "f"))


def _no_sale(api: OdooApi) -> dict[int, str]:
    """Goods that are stored value: category by product, of the programs that they charge."""
    programs = api.search_read_if_installed(
        "loyalty.program", [["program_type", "in", list(PAYMENT_PROGRAMS)]], ["program_type", "trigger_product_ids"]
    )
    return {
        product: _NO_SALE[program["program_type"]] for program in programs for product in program["trigger_product_ids"]
    }


def _moved(api: OdooApi, model: str, records: Sequence[Record], name: str) -> dict[int, str]:
    return {key: value or "" for key, value in _named(api, model, records, name, "write_date").items()}


def _named(api: OdooApi, model: str, records: Sequence[Record], name: str, field: str) -> dict[int, str | None]:
    ids = ids_of(records, name)
    found = api.search_read(model, [["id", "in", ids]], [field]) if ids else []
    return {record["id"]: text_of(record[field]) for record in found}
