"""What the retailer sells: products, pools of like products, and how prices differ by door and week.

Belongs here: the product table and its lookup arrays. Does not belong here: who buys what (baskets).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipelines.simulation.doors import DOORS, HEMU, MAIYA

MILK_STAGES = 4
SEASONS = ("spring", "summer", "autumn", "winter")
AUD_PER_CNY = 0.215


@dataclass
class Catalogue:
    """All products as parallel arrays (index = product), and pools of product indices.

    list_cents: list price in CNY cents; cost_cents: cost. pools: pool name to product indices, in popularity order.
    """

    sku: list[str] = field(default_factory=list)
    spu: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    category: list[str] = field(default_factory=list)
    brand: list[int] = field(default_factory=list)
    list_cents: list[int] = field(default_factory=list)
    cost_cents: list[int] = field(default_factory=list)
    tax_rate: list[str] = field(default_factory=list)
    stage: list[str | None] = field(default_factory=list)
    pools: dict[str, list[int]] = field(default_factory=dict)

    def add(
        self,
        pool: str,
        spu: str,
        name: str,
        category: str,
        brand: int,
        yuan: float,
        margin: float,
        tax_rate: str = "0.13",
        stage: str | None = None,
    ) -> None:
        """Append one product to the end of its pool. yuan: list price; margin: share of it that is not cost."""
        index = len(self.sku)
        cents = round(yuan * 100)
        self.sku.append(f"{category.split('/')[0][:2].upper()}{index + 1:05d}")
        self.spu.append(spu)
        self.name.append(name)
        self.category.append(category)
        self.brand.append(brand)
        self.list_cents.append(cents)
        self.cost_cents.append(round(cents * (1 - margin)))
        self.tax_rate.append(tax_rate)
        self.stage.append(stage)
        self.pools.setdefault(pool, []).append(index)


def build_catalogue() -> Catalogue:
    """The whole assortment, the same in every simulation."""
    catalogue = Catalogue()
    _milk_powder(catalogue)
    _nappies(catalogue)
    _consumables(catalogue)
    _durables(catalogue)
    _apparel(catalogue)
    for value in (100, 200, 500):
        catalogue.add("gift_card", f"GC{value}", f"{value}元礼品卡", "gift_card/electronic", MAIYA, value, 0.0, "0")
    for value in (50, 100):
        catalogue.add("top_up", f"TU{value}", f"储值{value}元", "top_up/wallet", MAIYA, value, 0.0, "0")
    return catalogue


def _milk_powder(catalogue: Catalogue) -> None:
    for line, (maker, base) in enumerate((("星芽", 268), ("牧语", 328), ("初旬", 198))):
        for stage in range(1, MILK_STAGES + 1):
            for grams, factor in ((800, 1.0), (400, 0.56)):
                catalogue.add(
                    f"milk_{stage}",
                    f"MP{line + 1}{stage}",
                    f"{maker}婴幼儿配方奶粉{stage}段 {grams}g",
                    f"milk_powder/stage_{stage}/{grams}g",
                    MAIYA,
                    (base - 18 * stage) * factor,
                    0.32,
                    stage=f"milk_powder:{stage}",
                )


def _nappies(catalogue: Catalogue) -> None:
    sizes = (("NB", 1), ("S", 1), ("M", 2), ("L", 3), ("XL", 4))
    for line, (maker, base) in enumerate((("云朵", 129), ("小软", 99))):
        for size, stage in sizes:
            for pack, factor in ((1, 1.0), (2, 1.9)):
                catalogue.add(
                    f"nappy_{stage}",
                    f"NP{line + 1}{size}",
                    f"{maker}纸尿裤 {size} {pack}包",
                    f"nappies/{size}",
                    MAIYA,
                    base * factor,
                    0.35,
                    stage=f"nappies:{stage}",
                )


def _consumables(catalogue: Catalogue) -> None:
    for number in range(20):
        catalogue.add(
            "care",
            f"CA{number // 2}",
            f"宝宝洗护 {number + 1:02d}号",
            f"care/{'wipes' if number % 2 else 'bath'}",
            MAIYA,
            19.9 + 5 * (number % 9),
            0.55,
        )
    for number in range(24):
        catalogue.add(
            "baby_food",
            f"BF{number // 3}",
            f"辅食{('米粉', '果泥', '溶豆')[number % 3]} {number + 1:02d}号",
            f"baby_food/{('cereal', 'puree', 'melts')[number % 3]}",
            MAIYA,
            22.8 + 3 * (number % 8),
            0.48,
            "0.09",
        )
    for number in range(40):
        catalogue.add(
            "snacks",
            f"SN{number // 4}",
            f"{('坚果', '饼干', '海苔', '果干')[number % 4]}零食 {number + 1:02d}号",
            f"snacks/{('nuts', 'biscuits', 'seaweed', 'dried_fruit')[number % 4]}",
            number % 2,
            9.9 + 2.5 * (number % 11),
            0.42,
        )
    for number in range(20):
        catalogue.add(
            "feeding",
            f"FD{number // 2}",
            f"奶瓶水杯 {number + 1:02d}号",
            "feeding/bottles",
            MAIYA,
            39 + 6 * number,
            0.5,
        )


def _durables(catalogue: Catalogue) -> None:
    for number in range(24):
        catalogue.add(
            "toys", f"TY{number}", f"益智玩具 {number + 1:02d}号", "toys/early_learning", MAIYA, 49 + 9 * number, 0.5
        )
    names = ("婴儿推车", "安全座椅", "婴儿床", "餐椅", "消毒柜", "调奶器", "空气加湿器", "吸奶器")
    for number in range(16):
        catalogue.add(
            "durables",
            f"DU{number}",
            f"{names[number % 8]} {'标准' if number < 8 else '尊享'}款",
            "durables/nursery",
            MAIYA,
            399 + 170 * (number % 8) + 400 * (number // 8),
            0.38,
        )


def _apparel(catalogue: Catalogue) -> None:
    for position, season in enumerate(SEASONS):
        for number in range(10):
            catalogue.add(
                f"kids_{season}",
                f"KD{position}{number // 2}",
                f"童装{'春夏秋冬'[position]}款 {number + 1:02d}号",
                f"apparel/kids/{season}",
                HEMU,
                79 + 14 * number,
                0.62,
            )
        for number in range(16):
            catalogue.add(
                f"women_{season}",
                f"WM{position}{number // 2}",
                f"女装{'春夏秋冬'[position]}款 {number + 1:02d}号",
                f"apparel/women/{season}",
                HEMU,
                129 + 24 * number,
                0.66,
            )
    for number in range(24):
        catalogue.add(
            "home", f"HM{number // 2}", f"家纺{number + 1:02d}号", "home/textile", HEMU, 59 + 21 * number, 0.58
        )


def price_cents(catalogue: Catalogue, weeks: int, rng: np.random.Generator) -> np.ndarray:
    """Selling price in the door's own currency's cents, shape (products, doors, weeks).

    A door has its own price level for a product, promotions last two to four weeks, and gift cards are never marked
    down. List prices in Australian dollars come from `list_cents_in`.
    """
    products = len(catalogue.sku)
    level = np.ones((products, len(DOORS)))
    for position, door in enumerate(DOORS):
        spread = 0.06 if door.online else 0.02
        level[:, position] = 1 - np.where(
            rng.random(products) < 0.35, rng.choice([0.5, 1.0, 2.0], products) * spread, 0.0
        )
    promoted = np.zeros((products, len(DOORS), weeks))
    for start in range(0, weeks, 3):
        chosen = rng.random((products, len(DOORS))) < 0.12
        depth = rng.choice([0.1, 0.15, 0.2, 0.3], (products, len(DOORS)))
        promoted[:, :, start : start + 3] = np.where(chosen, depth, 0.0)[:, :, None]
    fixed = np.array([category.startswith(("gift_card/", "top_up/")) for category in catalogue.category])
    factor = np.where(fixed[:, None, None], 1.0, level[:, :, None] * (1 - promoted))
    listed = np.stack([list_cents_in(catalogue, door.currency) for door in DOORS], axis=1)
    cents = np.rint(listed[:, :, None] * factor / 10).astype(np.int64) * 10
    return np.where(fixed[:, None, None], listed[:, :, None], np.maximum(cents, 10))


def list_cents_in(catalogue: Catalogue, currency: str) -> np.ndarray:
    """List price of every product in cents of CNY or AUD."""
    cny = np.asarray(catalogue.list_cents, dtype=np.int64)
    if currency == "CNY":
        return cny
    return np.maximum(np.rint(cny * AUD_PER_CNY / 5).astype(np.int64) * 5, 5)
