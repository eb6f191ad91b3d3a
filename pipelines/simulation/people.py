"""Persons and their memberships: who exists, what identifies them, how often and where they buy.

Belongs here: everything that is true of a person before the first order. Does not belong here: orders, or how rows are
written. All names, numbers and addresses are made up: mobile numbers stand in the 199-0 block, mail at example.com.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.simulation.doors import DOOR_INDEX, DOORS, HEMU, MAIYA
from pipelines.simulation.places import CITIES, PLACES, STAFF_A_STORE, nearest_stores

DAY = 86_400
PLACEHOLDER_PHONES = ("13800000000", "00000000000", "13888888888")
HUB_PHONE = "19955550001"
"""A landlord's number that clerks of one store type in: no staff number, yet on more members than any person has."""
TABLET_DEVICE = "tablet-S003-till"
NO_CHILD = -100_000

_SURNAMES = list("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾")
_GIVEN = list("雨欣子涵梓晨思佳悦宁安然嘉怡浩宇轩博文诗琪若曦可心语彤俊杰明哲静雅慧敏晓芸云帆")
_DOOR_APPEAL = np.array([0.7, 0.6, 1.4, 0.9, 1.2, 2.2, 0.0, 1.0, 0.5, 0.5])


@dataclass
class People:
    """Persons as parallel arrays (index = person) and memberships as a frame (row = member index).

    rate: orders a week while alive; joined_s, lapsed_s: UTC seconds between which the person buys.
    child_born_s: UTC seconds, NO_CHILD * DAY without a child. preference: cumulative probability of (person, door).
    member_at: member index by (person, door), -1 for none. home: place index by (person, brand).
    cycle_days, phase_days: the person's own replenishment rhythm.
    """

    name: pl.Series
    gender: pl.Series
    birthday: pl.Series
    phone: pl.Series
    city: np.ndarray
    rate: np.ndarray
    joined_s: np.ndarray
    lapsed_s: np.ndarray
    child_born_s: np.ndarray
    cycle_days: np.ndarray
    phase_days: np.ndarray
    preference: np.ndarray
    home: np.ndarray
    is_staff: np.ndarray
    members: pl.DataFrame
    member_at: np.ndarray
    households: pl.DataFrame
    hubs: pl.DataFrame

    def __len__(self) -> int:
        return len(self.rate)


def build_people(count: int, start_s: int, end_s: int, rng: np.random.Generator) -> People:
    """`count` persons and their memberships for a window in UTC seconds [start_s, end_s)."""
    window = end_s - start_s
    person = np.arange(count)
    city = rng.choice(len(CITIES), count, p=_city_shares())
    rate = rng.gamma(0.8, 0.32, count) + 0.01
    joined = np.where(
        rng.random(count) < 0.55,
        start_s - rng.integers(0, 900, count) * DAY,
        start_s + (rng.random(count) * window).astype(np.int64),
    )
    lapsed = joined + (rng.exponential(420, count) * DAY).astype(np.int64) + 14 * DAY
    lapsed = np.where(
        joined < start_s, np.maximum(lapsed, start_s + (rng.random(count) ** 2 * 1.4 * window).astype(np.int64)), lapsed
    )
    has_child = rng.random(count) < 0.58
    born = np.where(has_child, end_s - rng.integers(-60, 6 * 365, count) * DAY, NO_CHILD * DAY)
    is_staff = np.zeros(count, dtype=bool)
    is_staff[: min(count // 20, len(PLACES) * STAFF_A_STORE)] = True
    preference = _preference(city, has_child, rng)
    names = _names(count, rng)
    gender = pl.Series(np.where(rng.random(count) < 0.72, "F", "M"))
    birthday = pl.Series((rng.integers(-3650, 13_500, count)).astype(np.int32)).cast(pl.Date)
    phone = _phones(person, city, "1990", 7919, 10**7)
    phone, households = _share_phones(phone, gender, rng)
    home = nearest_stores()[city]
    members, member_at = _memberships(preference, joined, end_s, rng)
    people = People(
        name=names,
        gender=gender,
        birthday=birthday,
        phone=phone,
        city=city,
        rate=rate,
        joined_s=joined,
        lapsed_s=lapsed,
        child_born_s=born,
        cycle_days=rng.integers(18, 46, count),
        phase_days=rng.integers(0, 46, count),
        preference=np.cumsum(preference, axis=1),
        home=home,
        is_staff=is_staff,
        members=members,
        member_at=member_at,
        households=households,
        hubs=pl.DataFrame(),
    )
    people.members = _identify(people, rng)
    people.members, people.hubs = _plant_hubs(people, rng)
    return people


def _city_shares() -> np.ndarray:
    shares = np.array([share for _, _, share in CITIES])
    return shares / shares.sum()


def _names(count: int, rng: np.random.Generator) -> pl.Series:
    surname = pl.Series(_SURNAMES).gather(rng.integers(0, len(_SURNAMES), count))
    first = pl.Series(_GIVEN).gather(rng.integers(0, len(_GIVEN), count))
    second = pl.Series([*_GIVEN, ""]).gather(rng.integers(0, len(_GIVEN) + 1, count))
    return surname + first + second


def _phones(person: np.ndarray, city: np.ndarray, block: str, stride: int, size: int) -> pl.Series:
    digits = pl.Series((person * stride + 1234) % size).cast(pl.String).str.zfill(7)
    chinese = block + digits
    australian = "+61491" + digits.str.slice(1)
    abroad = pl.Series(np.array([name == "Sydney" for _, name, _ in CITIES])[city])
    return pl.select(pl.when(abroad).then(australian).otherwise(chinese)).to_series()


def _share_phones(phone: pl.Series, gender: pl.Series, rng: np.random.Generator) -> tuple[pl.Series, pl.DataFrame]:
    """Every 25th pair of neighbours with different genders lives together and leaves one number."""
    count = len(phone)
    first = np.arange(200, count - 1, 50)
    differ = gender.gather(first).to_numpy() != gender.gather(first + 1).to_numpy()
    first = first[differ]
    second = first + 1
    index = np.arange(count)
    index[second] = first
    households = pl.DataFrame(
        {"person_id": np.concatenate([first, second]), "household": np.concatenate([first, first])}
    )
    shared = phone.gather(index)
    return shared, households.with_columns(shared.gather(households["person_id"]).alias("phone")).sort(
        "household", "person_id"
    )


def _preference(city: np.ndarray, has_child: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Door probabilities of each person, rows summing to 1: store-first, online-first, and the ones abroad."""
    count = len(city)
    weight = _DOOR_APPEAL * rng.gamma(0.45, 1.0, (count, len(DOORS)))
    store_first = rng.random(count) < 0.38
    online = np.array([door.online for door in DOORS])
    weight[np.ix_(store_first, ~online)] *= 7
    weight[np.ix_(~store_first, ~online)] *= 0.5
    brand = np.array([door.brand for door in DOORS])
    weight[np.ix_(has_child, brand == MAIYA)] *= 2.5
    weight[np.ix_(~has_child, brand == HEMU)] *= 1.8
    abroad = np.array([name == "Sydney" for _, name, _ in CITIES])[city]
    weight[abroad] *= 0.04
    weight[abroad, DOOR_INDEX["pos_sydney"]] = 1.0
    weight[abroad, DOOR_INDEX["pos_cn"]] = 0.0
    weight += 1e-9
    return weight / weight.sum(axis=1, keepdims=True)


def _memberships(
    preference: np.ndarray, joined: np.ndarray, end_s: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, np.ndarray]:
    joins = (preference > 0.1) & (rng.random(preference.shape) < 0.92)
    person, door = np.nonzero(joins)
    waited = np.where(rng.random(len(person)) < 0.6, 0, rng.integers(0, 75 * DAY, len(person)))
    registered = joined[person] + waited
    kept = registered < end_s
    if not kept.any():  # a retailer has one member at least
        person, door, registered, kept = np.zeros(1, int), np.zeros(1, int), joined[:1], np.ones(1, bool)
    person, door, registered = person[kept], door[kept], registered[kept]
    member_at = np.full(preference.shape, -1, dtype=np.int32)
    member_at[person, door] = np.arange(len(person), dtype=np.int32)
    frame = pl.DataFrame({"person": person, "door": door.astype(np.int8), "registered_s": registered})
    return frame, member_at


def _identify(people: People, rng: np.random.Generator) -> pl.DataFrame:
    """Give every membership its member id and the identifiers that its door asks for."""
    members = people.members
    count = len(members)
    door = members["door"].to_numpy()
    person = members["person"].to_numpy()
    left: dict[str, pl.Series] = {}
    for kind in (
        "phone",
        "email",
        "wechat_unionid",
        "wechat_openid",
        "alipay_uid",
        "qq_openid",
        "card_no",
        "device_ids",
        "name",
        "birthday",
        "address",
    ):
        chance = np.array([entry.asks.get(kind, 0.0) for entry in DOORS])[door]
        left[kind] = pl.Series(rng.random(count) < chance)
    number = pl.Series(person).cast(pl.String)
    row = pl.Series(np.arange(count)).cast(pl.String)
    values = {
        "phone": write_phone(people.phone.gather(person), rng),
        "email": _write_email(number, rng),
        "wechat_unionid": "oU" + number.str.zfill(10),
        "wechat_openid": "oP" + pl.Series(door).cast(pl.String) + "-" + number.str.zfill(9),
        "alipay_uid": "2088" + number.str.zfill(12),
        "qq_openid": "QQ" + number.str.zfill(9),
        "card_no": "0086" + number.str.zfill(9),
        "device_ids": "dev-" + number.str.zfill(9),
        "name": people.name.gather(person),
        "birthday": people.birthday.gather(person),
        "address": pl.Series([city for _, city, _ in CITIES]).gather(people.city[person])
        + "市虚构路"
        + pl.Series(person % 900 + 1).cast(pl.String)
        + "号",
    }
    identified = members.with_columns(
        pl.when(left[kind]).then(value).otherwise(None).alias(kind) for kind, value in values.items()
    )
    identified = identified.with_columns(
        _member_ids(door, row, people.phone.gather(person), rng).alias("member_id"),
        people.gender.gather(person).alias("gender"),
        pl.Series(people.city[person]).alias("city"),
        pl.Series(people.home[person, np.array([entry.brand for entry in DOORS])[door]]).alias("home"),
        pl.Series(rng.random(count) < 0.7).alias("consents"),
        pl.Series(rng.choice(["普卡", "银卡", "金卡", "黑卡"], count, p=[0.62, 0.24, 0.11, 0.03])).alias("level"),
        pl.Series(people.child_born_s[person]).alias("child_born_s"),
        pl.Series(rng.integers(0, STAFF_A_STORE, count)).alias("referrer"),
    )
    return _mask_and_mistype(identified, rng)


def write_phone(phone: pl.Series, rng: np.random.Generator) -> pl.Series:
    """The same numbers as people and tills write them: +86, spaces, dashes, full-width digits."""
    form = pl.Series("form", rng.choice(7, len(phone), p=[0.55, 0.12, 0.08, 0.1, 0.06, 0.05, 0.04]))
    head, middle, tail = phone.str.slice(0, 3), phone.str.slice(3, 4), phone.str.slice(7)
    wide = phone.str.replace_many(list("0123456789"), list("０１２３４５６７８９"))
    written = (
        pl.when(form == 1)
        .then("+86" + phone)
        .when(form == 2)
        .then("+86 " + head + " " + middle + " " + tail)
        .when(form == 3)
        .then(head + " " + middle + " " + tail)
        .when(form == 4)
        .then(head + "-" + middle + "-" + tail)
        .when(form == 5)
        .then(wide)
        .when(form == 6)
        .then("0086" + phone)
        .otherwise(phone)
    )
    return pl.select(pl.when(phone.str.starts_with("+")).then(phone).otherwise(written).alias("phone")).to_series()


def _write_email(number: pl.Series, rng: np.random.Generator) -> pl.Series:
    plain = "shopper" + number + "@example.com"
    form = pl.Series(rng.choice(3, len(number), p=[0.8, 0.12, 0.08]))
    return pl.select(
        pl.when(form == 1).then(plain.str.to_uppercase()).when(form == 2).then(" " + plain + " ").otherwise(plain)
    ).to_series()


def _member_ids(door: np.ndarray, row: pl.Series, phone: pl.Series, rng: np.random.Generator) -> pl.Series:
    prefixes = {"pos_cn": "00", "pos_sydney": "AU", "app": "A", "social": "wx_", "live": "L", "market": "mk_"}
    prefix = pl.Series([prefixes.get(entry.id, entry.id[:2].upper() + "-") for entry in DOORS]).gather(door)
    by_number = pl.Series((door == DOOR_INDEX["social"]) & (rng.random(len(door)) < 0.15))
    return pl.select(pl.when(by_number).then(phone).otherwise(prefix + row.str.zfill(8))).to_series()


def _mask_and_mistype(members: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The marketplace masks most numbers, tills mistype some, and some clerks type a placeholder."""
    count = len(members)
    door = members["door"].to_numpy()
    masked = pl.Series((door == DOOR_INDEX["market"]) & (rng.random(count) < 0.75))
    mistyped = pl.Series((door == DOOR_INDEX["pos_cn"]) & (rng.random(count) < 0.006))
    placeholder = pl.Series((door == DOOR_INDEX["pos_cn"]) & (rng.random(count) < 0.015))
    which = pl.Series(list(PLACEHOLDER_PHONES)).gather(rng.integers(0, len(PLACEHOLDER_PHONES), count))
    no_mail = pl.Series(rng.random(count) < 0.004)
    plain = pl.col("phone").str.replace_many(["+86", " ", "-"], ["", "", ""])
    return members.with_columns(
        pl.when(pl.col("phone").is_null())
        .then(None)
        .when(masked)
        .then(plain.str.slice(0, 3) + "****" + plain.str.slice(7))
        .when(mistyped)
        .then(plain.str.slice(0, 9))
        .when(placeholder)
        .then(which)
        .otherwise(pl.col("phone"))
        .alias("phone"),
        pl.when(no_mail & pl.col("email").is_not_null())
        .then(pl.lit("none@example.com"))
        .otherwise(pl.col("email"))
        .alias("email"),
    )


def _plant_hubs(people: People, rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Values that stand on many members of different persons: clerks' phones, a landlord's, a tablet's device id."""
    members = people.members
    count = len(members)
    tills = np.flatnonzero(
        (members["door"] == DOOR_INDEX["pos_cn"]).to_numpy() & members["phone"].is_not_null().to_numpy()
    )
    taken = rng.permutation(tills)[: max(len(tills) // 9, min(len(tills), 12))]
    clerk = people.phone[int(np.flatnonzero(people.is_staff)[0])] if people.is_staff.any() else HUB_PHONE
    owner = np.full(count, 0)
    owner[taken[: len(taken) * 3 // 4]] = 1
    owner[taken[len(taken) * 3 // 4 :]] = 2
    apps = np.flatnonzero((members["door"] == DOOR_INDEX["app"]).to_numpy())
    on_tablet = np.zeros(count, dtype=bool)
    on_tablet[rng.permutation(apps)[: max(len(apps) // 20, min(len(apps), 12))]] = True
    marker = pl.Series("owner", owner)
    planted = members.with_columns(
        pl.when(marker == 1)
        .then(pl.lit(clerk))
        .when(marker == 2)
        .then(pl.lit(HUB_PHONE))
        .otherwise(pl.col("phone"))
        .alias("phone"),
        pl.when(pl.Series(on_tablet)).then(pl.lit(TABLET_DEVICE)).otherwise(pl.col("device_ids")).alias("device_ids"),
    )
    hubs = [
        ("phone", clerk, "a clerk's number", int((owner == 1).sum())),
        ("phone", HUB_PHONE, "a number typed for strangers", int((owner == 2).sum())),
        ("device_id", TABLET_DEVICE, "a shop's tablet", int(on_tablet.sum())),
    ]
    hubs += [("phone", value, "a placeholder", int((planted["phone"] == value).sum())) for value in PLACEHOLDER_PHONES]
    return planted, pl.DataFrame(hubs, schema=["kind", "value", "reason", "members"], orient="row")
