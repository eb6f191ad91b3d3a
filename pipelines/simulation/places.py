"""Stores, the warehouse and their staff.

Belongs here: where the retailer trades and who works there. Does not belong here: what happens in a store.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulation.doors import HEMU, MAIYA

STAFF_A_STORE = 4


@dataclass(frozen=True)
class Place:
    """A store or the warehouse. `weight` is its relative share of shoppers."""

    store_id: str
    name: str
    kind: str
    brand: int
    province: str
    city: str
    latitude: float
    longitude: float
    area_m2: int
    opened_on: str
    weight: float
    timezone: str = "Asia/Shanghai"


PLACES: tuple[Place, ...] = (
    Place("S001", "麦芽屋上海徐汇店", "store", MAIYA, "上海", "上海", 31.195, 121.437, 420, "2018-04-28", 1.6),
    Place("S002", "麦芽屋上海浦东店", "store", MAIYA, "上海", "上海", 31.222, 121.539, 360, "2019-09-20", 1.3),
    Place("S003", "麦芽屋北京朝阳店", "store", MAIYA, "北京", "北京", 39.921, 116.443, 380, "2018-11-02", 1.4),
    Place("S004", "麦芽屋杭州西湖店", "store", MAIYA, "浙江", "杭州", 30.259, 120.130, 300, "2020-05-16", 1.0),
    Place("S005", "麦芽屋成都锦江店", "store", MAIYA, "四川", "成都", 30.657, 104.083, 280, "2021-03-12", 0.9),
    Place("S006", "麦芽屋武汉江汉店", "store", MAIYA, "湖北", "武汉", 30.601, 114.271, 240, "2022-06-01", 0.7),
    Place("S007", "禾木上海静安店", "store", HEMU, "上海", "上海", 31.229, 121.448, 520, "2017-10-01", 1.2),
    Place("S008", "禾木广州天河店", "store", HEMU, "广东", "广州", 23.125, 113.361, 460, "2019-01-18", 1.1),
    Place("S009", "禾木深圳南山店", "store", HEMU, "广东", "深圳", 22.533, 113.930, 430, "2020-12-24", 1.0),
    Place("S010", "禾木南京鼓楼店", "store", HEMU, "江苏", "南京", 32.066, 118.770, 320, "2021-08-08", 0.7),
    Place("S011", "禾木西安雁塔店", "store", HEMU, "陕西", "西安", 34.222, 108.948, 300, "2023-04-29", 0.6),
    Place(
        "S012", "Maiya Sydney Chatswood", "store", MAIYA, "New South Wales", "Sydney", -33.797, 151.183, 180,
        "2024-02-10", 0.5, "Australia/Sydney",
    ),
    Place("W001", "昆山总仓", "warehouse", MAIYA, "江苏", "昆山", 31.386, 120.981, 9000, "2017-05-01", 0.0),
)  # fmt: skip

SYDNEY = next(index for index, place in enumerate(PLACES) if place.city == "Sydney")
CHINESE_STORES = tuple(index for index, place in enumerate(PLACES) if place.kind == "store" and index != SYDNEY)
STORE_COUNT = sum(place.kind == "store" for place in PLACES)

CITIES: tuple[tuple[str, str, float], ...] = (
    ("上海", "上海", 0.22), ("北京", "北京", 0.12), ("浙江", "杭州", 0.09), ("四川", "成都", 0.08),
    ("湖北", "武汉", 0.06), ("广东", "广州", 0.1), ("广东", "深圳", 0.08), ("江苏", "南京", 0.07),
    ("陕西", "西安", 0.05), ("江苏", "苏州", 0.04), ("山东", "青岛", 0.03), ("福建", "厦门", 0.03),
    ("New South Wales", "Sydney", 0.03),
)  # fmt: skip
"""Province, city, share of the population."""


def nearest_stores() -> np.ndarray:
    """For each city (row) and brand (column) a store there of that brand, else that brand's first: place indices."""
    table = np.zeros((len(CITIES), 2), dtype=np.int64)
    for row, (_, city, _) in enumerate(CITIES):
        for brand in (MAIYA, HEMU):
            here = [index for index in CHINESE_STORES if PLACES[index].city == city and PLACES[index].brand == brand]
            elsewhere = [index for index in CHINESE_STORES if PLACES[index].brand == brand]
            table[row, brand] = (here or elsewhere)[0]
        if city == "Sydney":
            table[row, :] = SYDNEY
    return table


def staff_id(place: int, number: int) -> str:
    """The id of the store's clerk of that number, 0 to STAFF_A_STORE - 1."""
    return f"{PLACES[place].store_id}-{number + 1:02d}"
