"""What a guest leaves on an order: a number, a mail address, an open id, a device, or nothing at all.

Belongs here: guest columns of orders. Does not belong here: members' identifiers (people).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulation.doors import DOOR_INDEX, DOORS
from pipelines.simulation.people import People, write_phone

GIFT_RECIPIENT_SHARE = 0.02
"""Share of members' orders that carry somebody else's number as the recipient's; it must link nothing."""


def guest_columns(people: People, orders: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """guest_phone, guest_email, guest_openid and device_id of every order, and which a person can be found by.

    `found_by` is phone, email or wechat_openid for guests with a usable identifier, null for all others.
    """
    count = len(orders)
    person = orders["person"].to_numpy()
    door = orders["door"].to_numpy()
    guest = (orders["member"].to_numpy() < 0) & (person >= 0)
    online = np.array([entry.online for entry in DOORS])[door]
    chance = rng.random(count)
    mini = np.isin(door, [DOOR_INDEX["mini_maiya"], DOOR_INDEX["mini_hemu"]])
    by_openid = guest & mini
    by_phone = guest & ~mini & (chance < np.where(online, 0.72, 0.3))
    by_email = guest & online & ~mini & (chance >= 0.72) & (chance < 0.85)
    masked = by_phone & (door == DOOR_INDEX["market"]) & (rng.random(count) < 0.8)
    recipient = (orders["member"].to_numpy() >= 0) & online & (rng.random(count) < GIFT_RECIPIENT_SHARE)
    owner = np.where(recipient, (person + 97) % len(people), np.clip(person, 0, None))
    phone = people.phone.gather(owner)
    written = write_phone(phone, rng)
    number = pl.Series(np.clip(person, 0, None)).cast(pl.String)
    carries_device = online & (person >= 0) & (rng.random(count) < 0.5)
    frame = pl.DataFrame(
        {
            "phone": by_phone | recipient,
            "masked": masked,
            "email": by_email,
            "openid": by_openid,
            "device": carries_device,
        }
    )
    return frame.select(
        pl.when(pl.col("masked"))
        .then(phone.str.slice(0, 3) + "****" + phone.str.slice(7))
        .when(pl.col("phone"))
        .then(written)
        .otherwise(None)
        .alias("guest_phone"),
        pl.when(pl.col("email")).then("shopper" + number + "@example.com").otherwise(None).alias("guest_email"),
        pl.when(pl.col("openid"))
        .then("oP" + pl.Series(door).cast(pl.String) + "-" + number.str.zfill(9))
        .otherwise(None)
        .alias("guest_openid"),
        pl.when(pl.col("device")).then("dev-" + number.str.zfill(9)).otherwise(None).alias("device_id"),
        pl.when(pl.Series(by_phone & ~masked))
        .then(pl.lit("phone"))
        .when(pl.col("email"))
        .then(pl.lit("email"))
        .when(pl.col("openid"))
        .then(pl.lit("wechat_openid"))
        .otherwise(None)
        .alias("found_by"),
    )
