"""Feed rows out of numbers: orders, members and refunds in the shape of the landing contract.

Belongs here: ids, money and nested columns as each door delivers them. Instants stay UTC seconds in columns named
`<column>_s`; delivery writes them in the door's style. Does not belong here: files, or what is drawn at random.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.simulation.doors import Door
from pipelines.simulation.orders import FULFILMENTS, TENDERS, World
from pipelines.simulation.places import CITIES, PLACES, STAFF_A_STORE, staff_id

MONEY = pl.Decimal(18, 2)
STATUSES = ("pending", "paid", "shipped", "completed", "cancelled", "refunded", "partially_refunded")


def cents(values: np.ndarray | pl.Series) -> pl.Series:
    """Whole cents as a decimal of two places, exactly."""
    return scaled_integers(np.asarray(values, dtype=np.int64), 2)


def scaled_integers(values: np.ndarray, places: int) -> pl.Series:
    """Whole numbers of 10^-places as decimals; the bytes are taken as they are, so nothing is rounded."""
    words = np.ascontiguousarray(np.stack([values, values >> 63], axis=1))
    kind = pa.decimal128(18, places)
    return pl.Series(pa.Decimal128Array.from_buffers(kind, len(values), [None, pa.py_buffer(words)]))


def order_ids(door: Door, number: pl.Series) -> pl.Series:
    """The door's own order ids: tills pad with zeros, others carry letters in both cases."""
    prefix = {"pos_cn": "0", "pos_sydney": "SYD", "app": "App", "market": "9", "live": "Lv"}.get(
        door.id, door.id[:2].upper() + "-"
    )
    return prefix + number.cast(pl.String).str.zfill(10)


def store_ids(place: pl.Series) -> pl.Series:
    """Store ids by place index; null for -1."""
    return pl.select(
        pl.when(place >= 0).then(pl.Series([entry.store_id for entry in PLACES]).gather(place.clip(0))).otherwise(None)
    ).to_series()


def staff_ids(place: pl.Series, clerk: pl.Series) -> pl.Series:
    """Staff ids by place and clerk; null where either is -1."""
    table = pl.Series([staff_id(index, number) for index in range(len(PLACES)) for number in range(STAFF_A_STORE)])
    known = (place >= 0) & (clerk >= 0)
    index = place.clip(0) * STAFF_A_STORE + clerk.clip(0)
    return pl.select(pl.when(known).then(table.gather(index)).otherwise(None)).to_series()


def _instant(seconds: pl.Series) -> pl.Series:
    return pl.select(pl.when(seconds >= 0).then(seconds).otherwise(None).cast(pl.Int64)).to_series()


def order_rows(
    world: World, door: Door, orders: pl.DataFrame, lines: pl.DataFrame, guests: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `orders` (with nested lines) and of `order_lines`, in the same order, of one door.

    orders: numeric orders of that door, with `updated_s` and `status` (index into STATUSES). lines: their lines, where
    `at` is the position of the order among `orders`, sorted by it. guests: guest columns by row, aligned with orders.
    """
    members = world.people.members
    member = orders["member"]
    member_id = members["member_id"].gather(member.clip(0))
    number = orders["order_no"]
    paid = orders["main_cents"] + orders["gift_card_cents"] + orders["credit_cents"]
    unpaid = orders["paid_s"] < 0
    exchange = orders["exchange_of"]
    shaped = pl.DataFrame(
        {
            "order_id": order_ids(door, number),
            "updated_at_s": orders["updated_s"],
            "placed_at_s": orders["placed_s"],
            "status": pl.Series(STATUSES).gather(orders["status"]),
            "paid_at_s": _instant(orders["paid_s"]),
            "completed_at_s": _instant(orders["completed_s"]),
            "cancelled_at_s": _instant(orders["cancelled_s"]),
            "member_id": pl.select(pl.when(member >= 0).then(member_id).otherwise(None)).to_series(),
            **{name: guests[name] for name in ("guest_phone", "guest_email", "guest_openid", "device_id")},
            "store_id": store_ids(orders["store"]),
            "fulfilment": pl.Series(FULFILMENTS).gather(orders["fulfilment"]),
            "fulfil_store_id": store_ids(orders["fulfil_store"]),
            "pickup_ready_at_s": _instant(orders["pickup_ready_s"]),
            "picked_up_at_s": _instant(orders["picked_up_s"]),
            "staff_id": staff_ids(orders["staff_place"], orders["clerk"]),
            "campaign_id": orders["campaign_id"],
            "coupon_codes": coupon_codes(number, orders["coupon_cents"] > 0),
            "currency": pl.repeat(door.currency, len(orders), eager=True),
            "items_amount": cents(orders["items_cents"]),
            "discount_amount": cents(orders["discount_cents"]),
            "shipping_amount": cents(orders["shipping_cents"]),
            "paid_amount": cents(pl.select(pl.when(unpaid).then(0).otherwise(paid)).to_series()),
            "tenders": _tenders(orders),
            "points_used": pl.select(
                pl.when(orders["points_cents"] > 0).then(orders["points_cents"]).otherwise(None)
            ).to_series(),
            "exchange_of": pl.select(
                pl.when(exchange >= 0).then(order_ids(door, exchange)).otherwise(None)
            ).to_series(),
            "is_test": orders["is_test"],
            "is_staff": orders["is_staff"],
        }
    )
    line_rows = line_columns(world, lines)
    if not door.split_lines:
        shaped = shaped.with_columns(_nest(lines["at"].to_numpy(), len(orders), line_rows).alias("lines"))
        return shaped, pl.DataFrame()
    keyed = line_rows.select(order_ids(door, lines["order_no"]).alias("order_id"), pl.all())
    return shaped, keyed.with_columns(orders["updated_s"].gather(lines["at"]).alias("updated_at_s"))


def line_columns(world: World, lines: pl.DataFrame) -> pl.DataFrame:
    """The columns of an order line; the rate is null where the product's own holds."""
    return pl.DataFrame(
        {
            "line_id": lines["line_no"].cast(pl.String),
            "sku": pl.Series(world.catalogue.sku).gather(lines["sku"]),
            "quantity": lines["quantity"],
            "unit_list_price": cents(lines["list_cents"]),
            "unit_price": cents(lines["unit_cents"]),
            "discount_amount": cents(lines["line_discount_cents"]),
            "tax_rate": pl.select(
                pl.when(lines["rate_percent"] >= 0).then(pl.lit("0.10").cast(pl.Decimal(6, 2))).otherwise(None)
            ).to_series(),
            "is_gift": lines["is_gift"],
        }
    )


def coupon_codes(number: pl.Series, used: pl.Series) -> pl.Series:
    """One coupon code a redeemed coupon, as a list; empty where none was used."""
    codes = ("CP" + number.filter(used).cast(pl.String).str.zfill(10)).to_arrow()
    offsets = np.concatenate([[0], np.cumsum(used.to_numpy())]).astype(np.int64)
    return pl.Series(pa.LargeListArray.from_arrays(pa.array(offsets), codes.cast(pa.large_string())))


def _nest(at: np.ndarray, count: int, rows: pl.DataFrame) -> pl.Series:
    """Rows as lists of structs: `at`, rising, says which of `count` lists a row belongs to."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=count))]).astype(np.int64)
    struct = rows.to_struct("rows").to_arrow()
    return pl.Series(pa.LargeListArray.from_arrays(pa.array(offsets), struct))


def _tenders(orders: pl.DataFrame) -> pl.Series:
    kinds = {
        "points_cents": np.full(len(orders), 0),
        "credit_cents": np.full(len(orders), 1),
        "gift_card_cents": np.full(len(orders), 2),
        "main_cents": orders["tender"].to_numpy() + 3,
    }
    names = pl.Series(["points", "exchange_credit", "gift_card", *TENDERS])
    paid = orders["paid_s"].to_numpy() >= 0
    amounts = np.stack([orders[column].to_numpy() for column in kinds], axis=1)
    kind = np.stack(list(kinds.values()), axis=1)
    used = (amounts > 0) & paid[:, None]
    rows = pl.DataFrame({"type": names.gather(kind[used]), "amount": cents(amounts[used])})
    return _nest(np.nonzero(used)[0], len(orders), rows)


def member_rows(members: pl.DataFrame, updated_s: pl.Series, level: pl.Series, deleted: pl.Series) -> pl.DataFrame:
    """Rows of `members`: identifiers, profile, consent and attributes of the given memberships at `updated_s`."""
    place = members["home"]
    province = pl.Series([entry[0] for entry in CITIES]).gather(members["city"])
    city = pl.Series([entry[1] for entry in CITIES]).gather(members["city"])
    born = pl.from_epoch(members["child_born_s"], time_unit="s")
    attributes = pl.struct(
        born.dt.strftime("%Y-%m-%d").alias("child_birthday"), born.dt.strftime("%Y-%m").alias("child_birth_month")
    )
    has_child = (members["child_born_s"] > 0) & members["level"].is_not_null() & (members["referrer"] < 3)
    device = members["device_ids"].to_arrow().cast(pa.large_string())
    offsets = np.concatenate([[0], np.cumsum(members["device_ids"].is_not_null().to_numpy())]).astype(np.int64)
    return pl.DataFrame(
        {
            "member_id": members["member_id"],
            "updated_at_s": updated_s,
            "registered_at_s": members["registered_s"],
            **{
                name: members[name]
                for name in ("phone", "email", "wechat_unionid", "wechat_openid", "alipay_uid", "qq_openid", "card_no")
            },
            "device_ids": pl.Series(pa.LargeListArray.from_arrays(pa.array(offsets), device.drop_null())),
            "name": members["name"],
            "gender": members["gender"],
            "birthday": members["birthday"],
            "province": province,
            "city": city,
            "address": members["address"],
            "home_store_id": store_ids(place),
            "referrer_staff_id": pl.select(
                pl.when(members["referrer"] == 0).then(staff_ids(place, members["referrer"])).otherwise(None)
            ).to_series(),
            "level": level,
            "consent_marketing": members["consents"],
            "consent_updated_at_s": members["registered_s"],
            "attributes": pl.select(pl.when(has_child).then(attributes).otherwise(None)).to_series(),
            "deleted": deleted,
        }
    )
