"""What follows an order: pickup, refunds, exchanges, coupons, points and reviews.

Belongs here: draws over the orders of a week, with rows in feed shape. Does not belong here: orders themselves, files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.simulation.doors import DOORS, Door
from pipelines.simulation.orders import Exchange, World
from pipelines.simulation.people import DAY
from pipelines.simulation.rows import cents, order_ids, scaled_integers, store_ids

REASONS = ("quality", "size", "changed_mind", "late_delivery", "exchange")
EXCHANGE = 4
_PRAISE = (
    "宝宝很喜欢，会回购",
    "物流很快，包装完好",
    "质量不错，价格合适",
    "一般般",
    "和描述有差距",
    "尺码偏小，客服态度好",
)
_OVERSHARE = "请联系我换货 19955550002"
"""Review text with a number in it: free text must never leave the vault."""


@dataclass(frozen=True)
class Refunds:
    """Refunds of a week's orders: a row a refund, the lines they name, and the exchanges they lead to by due instant.

    refunds: order (position), at_s, amount_cents, whole (all goods back), reason, has_lines.
    lines: refund (position), line_no, quantity (null: not said), amount_cents.
    """

    refunds: pl.DataFrame
    lines: pl.DataFrame
    exchanges: Exchange


def pickup_times(orders: pl.DataFrame, horizon_s: int, rng: np.random.Generator) -> tuple[pl.Series, pl.Series]:
    """pickup_ready and picked_up in UTC seconds, -1 where it didn't happen; one in eight is never fetched."""
    picks_up = (orders["fulfilment"].to_numpy() == 1) & (orders["paid_s"].to_numpy() >= 0)
    picks_up &= orders["cancelled_s"].to_numpy() < 0
    ready = np.where(picks_up, orders["paid_s"].to_numpy() + rng.integers(1800, 8 * 3600, len(orders)), -1)
    fetched = picks_up & (rng.random(len(orders)) < 0.88)
    picked = np.where(fetched, ready + rng.integers(1800, 3 * DAY, len(orders)), -1)
    return pl.Series(np.where(ready < horizon_s, ready, -1)), pl.Series(np.where(picked < horizon_s, picked, -1))


def draw_refunds(world: World, orders: pl.DataFrame, lines: pl.DataFrame, rng: np.random.Generator) -> Refunds:
    """Refunds of completed orders: whole or in part, with lines or without, some of them exchanges."""
    count = len(orders)
    door = orders["door"].to_numpy()
    online = np.array([entry.online for entry in DOORS])[door]
    completed = orders["completed_s"].to_numpy()
    plain = (
        (orders["credit_cents"].to_numpy() == 0)
        & (orders["points_cents"].to_numpy() == 0)
        & ~orders["is_test"].to_numpy()
    )
    stored_value = np.bincount(
        lines["order"].to_numpy(), weights=world.baskets.no_discount[lines["sku"].to_numpy()], minlength=count
    )
    asked = (completed >= 0) & plain & (stored_value == 0) & (rng.random(count) < np.where(online, 0.07, 0.025))
    at = completed + rng.integers(3600, 18 * DAY, count)
    chosen = np.flatnonzero(asked & (at < world.horizon_s))
    kind = rng.choice(4, len(chosen), p=[0.36, 0.34, 0.2, 0.1])
    kind = np.where((kind == 0) & (orders["discount_cents"].to_numpy()[chosen] > 0), 2, kind)
    reason = np.where(kind == 3, EXCHANGE, rng.integers(0, EXCHANGE, len(chosen)))
    position = np.full(count, -1, dtype=np.int64)
    position[chosen] = np.arange(len(chosen))
    detail = _lines_back(orders, lines, position, np.isin(kind, [1, 3]))
    total = np.bincount(detail["refund"].to_numpy(), weights=detail["amount_cents"].to_numpy(), minlength=len(chosen))
    total = total.astype(np.int64)
    paid_for_goods = (orders["items_cents"] - orders["discount_cents"]).to_numpy()[chosen]
    total = np.where(np.isin(kind, [0, 2]), paid_for_goods, total)
    shipping = np.where((kind == 0) & (rng.random(len(chosen)) < 0.5), orders["shipping_cents"].to_numpy()[chosen], 0)
    refunds = pl.DataFrame(
        {
            "order": chosen,
            "at_s": at[chosen],
            "amount_cents": total + shipping,
            "whole": np.isin(kind, [0, 2]),
            "reason": reason,
            "has_lines": kind != 2,
            "goods_cents": total,
        }
    )
    return Refunds(refunds, detail, _exchanges(world, orders, refunds, detail))


def _lines_back(orders: pl.DataFrame, lines: pl.DataFrame, refund_of: np.ndarray, in_part: np.ndarray) -> pl.DataFrame:
    """Lines that come back: of a refund in part one unit of the first line, of others everything.

    refund_of: refund position by order position, -1 for none. in_part: by refund. The share of the order's discount
    is taken off, rounded up, so that no line gives back more than was paid for it.
    """
    sold = lines.with_columns(pl.Series("refund", refund_of).gather(lines["order"])).filter(
        (pl.col("refund") >= 0) & ~pl.col("is_gift") & (pl.col("amount_cents") > 0)
    )
    partly = pl.Series(in_part, dtype=pl.Boolean).gather(sold["refund"])
    sold = sold.with_columns(partly.alias("partly")).filter(~pl.col("partly") | (pl.col("line_no") == 1))
    quantity = pl.when(pl.col("partly")).then(1).otherwise(pl.col("quantity"))
    back = sold.with_columns(
        (pl.col("amount_cents") * quantity // pl.col("quantity")).alias("share"),
        quantity.alias("quantity"),
        orders["discount_cents"].gather(sold["order"]).alias("discount"),
        orders["items_cents"].gather(sold["order"]).alias("items"),
    )
    less = -(-pl.col("share") * pl.col("discount") // pl.col("items"))
    return back.select("refund", "line_no", "quantity", (pl.col("share") - less).alias("amount_cents"), "sku").filter(
        pl.col("amount_cents") > 0
    )


def _exchanges(world: World, orders: pl.DataFrame, refunds: pl.DataFrame, detail: pl.DataFrame) -> Exchange:
    handed = refunds.with_row_index("refund").filter((pl.col("reason") == EXCHANGE) & (pl.col("amount_cents") > 0))
    first = detail.unique("refund", keep="first", maintain_order=True).with_columns(pl.col("refund").cast(pl.UInt32))
    handed = handed.join(first.select("refund", "sku"), on="refund", how="inner", maintain_order="left")
    order = orders[handed["order"].to_list()] if len(handed) else orders.head(0)
    return Exchange(
        due_s=handed["at_s"].to_numpy() + 600,
        door=order["door"].to_numpy().astype(np.int64),
        person=order["person"].to_numpy(),
        member=order["member"].to_numpy(),
        store=order["store"].to_numpy(),
        sku=handed["sku"].to_numpy(),
        credit_cents=handed["amount_cents"].to_numpy(),
        order_no=order["order_no"].to_numpy(),
    )


def refund_rows(door: Door, position: int, orders: pl.DataFrame, drawn: Refunds) -> pl.DataFrame:
    """Rows of `refunds` of one door, and `at_s` beside them; refunds without lines carry an amount alone."""
    door_of = orders["door"].gather(drawn.refunds["order"])
    here = ((door_of == position) & (drawn.refunds["amount_cents"] > 0)).to_numpy()
    chosen = np.flatnonzero(here)
    refunds = drawn.refunds[chosen.tolist()]
    number = orders["order_no"].gather(refunds["order"])
    told = (
        np.isin(drawn.lines["refund"].to_numpy(), chosen[refunds["has_lines"].to_numpy()])
        if len(chosen)
        else np.zeros(len(drawn.lines), dtype=bool)
    )
    lines = drawn.lines.filter(pl.Series(told, dtype=pl.Boolean)).sort("refund", "line_no")
    ends = np.searchsorted(lines["refund"].to_numpy(), chosen, side="right")
    struct = pl.DataFrame(
        {
            "line_id": lines["line_no"].cast(pl.String),
            "quantity": lines["quantity"],
            "amount": cents(lines["amount_cents"]),
        }
    ).to_struct("lines")
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    nested = pl.Series(pa.LargeListArray.from_arrays(pa.array(offsets), struct.to_arrow()))
    store = orders["store"].gather(refunds["order"])
    return pl.DataFrame(
        {
            "refund_id": "R" + order_ids(door, number),
            "order_id": order_ids(door, number),
            "updated_at_s": refunds["at_s"],
            "refunded_at_s": refunds["at_s"],
            "amount": cents(refunds["amount_cents"]),
            "currency": pl.repeat(door.currency, len(refunds), eager=True),
            "reason": pl.Series(REASONS).gather(refunds["reason"]),
            "return_store_id": store_ids(store),
            "lines": pl.select(pl.when(refunds["has_lines"]).then(nested).otherwise(None)).to_series(),
        }
    )


def campaign_of(at_s: pl.Series) -> pl.Series:
    """The month's coupon campaign."""
    return "CAM-" + pl.from_epoch(at_s, time_unit="s").dt.strftime("%Y%m")


def coupon_rows(
    world: World, door: Door, position: int, orders: pl.DataFrame, begins_s: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Rows of `coupons`: those redeemed on the door's orders, and as many again that were only issued or claimed."""
    used = orders.filter((pl.col("coupon_cents") > 0) & (pl.col("paid_s") >= 0))
    members = world.people.members
    mine = np.flatnonzero(((members["door"] == position) & (members["registered_s"] < begins_s)).to_numpy())
    spare = rng.choice(mine, min(len(used) + 3, len(mine)), replace=False) if len(mine) else mine
    number = pl.concat([used["order_no"], pl.Series(np.arange(len(spare)) + begins_s % 10**9, dtype=pl.Int64)])
    redeemed = np.concatenate([np.ones(len(used), dtype=bool), np.zeros(len(spare), dtype=bool)])
    owner = np.concatenate([used["member"].to_numpy(), spare])
    issued = np.concatenate(
        [
            used["placed_s"].to_numpy() - rng.integers(3600, 9 * DAY, len(used)),
            begins_s + rng.integers(0, 6 * DAY, len(spare)),
        ]
    )
    claimed = np.where(redeemed | (rng.random(len(issued)) < 0.6), issued + 1800, -1)
    value = np.concatenate([used["coupon_cents"].to_numpy(), rng.choice([2_000, 5_000], len(spare))])
    paid = np.concatenate([used["paid_s"].to_numpy(), np.full(len(spare), -1)])
    flag = pl.Series(redeemed)
    code = pl.select(
        pl.when(flag)
        .then("CP" + number.cast(pl.String).str.zfill(10))
        .otherwise("CU" + pl.lit(door.id) + number.cast(pl.String))
    ).to_series()
    return pl.DataFrame(
        {
            "coupon_code": code,
            "updated_at_s": np.maximum(np.maximum(issued, claimed), paid),
            "campaign_id": campaign_of(pl.Series(issued)),
            "pool_id": "POOL-" + pl.Series(value // 100).cast(pl.String),
            "member_id": members["member_id"].gather(owner),
            "kind": pl.repeat("amount_off", len(owner), eager=True),
            "value": cents(value),
            "threshold": cents(np.where(value == 5_000, 39_900, 19_900)),
            "currency": pl.repeat(door.currency, len(owner), eager=True),
            "issued_at_s": issued,
            "claimed_at_s": _or_null(claimed),
            "redeemed_at_s": _or_null(paid),
            "redeemed_order_id": pl.select(pl.when(flag).then(order_ids(door, number)).otherwise(None)).to_series(),
            "expires_at_s": issued + 30 * DAY,
        }
    )


def point_rows(world: World, door: Door, orders: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Rows of `points`: earned on paid orders, redeemed as a tender, now and then a bonus, a correction or a lapse."""
    paid = orders.filter((pl.col("member") >= 0) & (pl.col("paid_s") >= 0) & ~pl.col("is_test"))
    earned = (paid["main_cents"] + paid["gift_card_cents"]).to_numpy() // 100
    spent = paid["points_cents"].to_numpy()
    extra = np.where(rng.random(len(paid)) < 0.02, rng.choice([50, 100, -20], len(paid)), 0)
    kind = np.where(extra < 0, "adjust", "green_bonus")
    parts = []
    for suffix, delta, reason in (
        ("E", earned, np.full(len(paid), "earn")),
        ("R", -spent, np.full(len(paid), "redeem")),
        ("X", extra, kind),
        ("L", np.where(paid["order_no"].to_numpy() % 41 == 0, -10, 0), np.full(len(paid), "expire")),
    ):
        moved = delta != 0
        chosen = paid.filter(pl.Series(moved, dtype=pl.Boolean))
        parts.append(
            pl.DataFrame(
                {
                    "entry_id": "P" + order_ids(door, chosen["order_no"]) + suffix,
                    "member_id": world.people.members["member_id"].gather(chosen["member"]),
                    "occurred_at_s": chosen["paid_s"],
                    "delta": scaled_integers(delta[moved].astype(np.int64), 0),
                    "reason": pl.Series(reason[moved], dtype=pl.String),
                    "order_id": order_ids(door, chosen["order_no"]),
                }
            )
        )
    return pl.concat(parts)


def review_rows(
    world: World, door: Door, orders: pl.DataFrame, first_sku: pl.Series, rng: np.random.Generator
) -> pl.DataFrame:
    """Rows of `reviews` by members on completed orders; `first_sku` is the product index of each order's first line."""
    wrote = (
        (orders["member"] >= 0)
        & (orders["completed_s"] >= 0)
        & pl.Series(rng.random(len(orders)) < 0.07, dtype=pl.Boolean)
    )
    at = orders["completed_s"] + pl.Series(rng.integers(3600, 9 * DAY, len(orders)))
    wrote = wrote & (at < world.horizon_s)
    chosen = orders.filter(wrote)
    rating = rng.choice([5, 4, 3, 2, 1], len(chosen), p=[0.62, 0.22, 0.08, 0.04, 0.04])
    text = pl.Series(_PRAISE).gather(rng.integers(0, len(_PRAISE), len(chosen)))
    shares_number = pl.Series(rng.random(len(chosen)) < 0.01, dtype=pl.Boolean)
    place = pl.select(pl.when(chosen["store"] >= 0).then(chosen["store"]).otherwise(chosen["fulfil_store"])).to_series()
    return pl.DataFrame(
        {
            "review_id": "RV" + order_ids(door, chosen["order_no"]),
            "created_at_s": at.filter(wrote),
            "order_id": order_ids(door, chosen["order_no"]),
            "sku": pl.Series(world.catalogue.sku).gather(first_sku.filter(wrote)),
            "store_id": store_ids(place),
            "member_id": world.people.members["member_id"].gather(chosen["member"]),
            "rating": rating,
            "text": pl.select(pl.when(shares_number).then(pl.lit(_OVERSHARE)).otherwise(text)).to_series(),
        }
    )


def _or_null(seconds: np.ndarray) -> pl.Series:
    return pl.select(
        pl.when(pl.Series(seconds) >= 0).then(pl.Series(seconds)).otherwise(None).cast(pl.Int64)
    ).to_series()
