"""One week after the other: what is drawn, and which file of which week it lands in.

Belongs here: the order of the draws, versions of orders and members, late and out-of-order rows. Does not belong here:
the draws themselves (orders, aftermath, browsing) or writing (deliveries).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulation import aftermath, assortment
from pipelines.simulation.browsing import event_rows
from pipelines.simulation.deliveries import Deliveries, stream
from pipelines.simulation.doors import DOORS, Door
from pipelines.simulation.guests import guest_columns
from pipelines.simulation.memberships import MemberVersions
from pipelines.simulation.orders import Exchange, World, draw_week
from pipelines.simulation.people import DAY
from pipelines.simulation.rows import STATUSES, order_ids, order_rows
from pipelines.simulation.shelves import COUNTED_AT, inventory_rows, price_rows
from pipelines.simulation.truth import TruthWriter

PAID, COMPLETED, CANCELLED = STATUSES.index("paid"), STATUSES.index("completed"), STATUSES.index("cancelled")
REFUNDED, PARTLY = STATUSES.index("refunded"), STATUSES.index("partially_refunded")
EARLY_VERSION_SHARE = 0.2
"""Share of orders still under way at the week's end that are delivered twice: as paid, then as completed."""
OVERTAKEN_SHARE = 0.05
"""Share of those whose older version arrives after the newer."""
LATE_SHARE = 0.005
"""Share of a till's orders that arrive two weeks late."""
SHARED = -1


class Simulation:
    """State that is carried from week to week: numbers given, exchanges that are due, versions of members."""

    def __init__(self, world: World, deliveries: Deliveries, truth: TruthWriter, seed: int) -> None:
        self.world = world
        self.deliveries = deliveries
        self.truth = truth
        self.seed = seed
        self.order_count = 0
        self.members = MemberVersions(world, stream(seed, "versions"))
        self._exchanges: dict[int, list[Exchange]] = {}
        self._due_orders: dict[tuple[int, int], list[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]] = {}

    def deliver_shared(self) -> None:
        """Feeds of no one channel, as they stand on the first day."""
        world = self.world
        before = world.start_s - DAY
        rates = assortment.rate_rows(world.first, world.days, stream(self.seed, "rates"))
        self.deliveries.add(SHARED, "products", 0, assortment.product_rows(world.catalogue, before))
        self.deliveries.add(SHARED, "stores", 0, assortment.store_rows(before))
        self.deliveries.add(SHARED, "staff", 0, assortment.staff_rows(world.people, before))
        self.deliveries.add(SHARED, "campaigns", 0, assortment.campaign_rows(world.first, world.days))
        self.deliveries.add(SHARED, "fx_rates", 0, rates)

    def run_week(self, week: int, count: int) -> None:
        """Draw one week of `count` orders with all that follows from them, and write the week's files."""
        world = self.world
        exchanges = self._fitting(self._exchanges.pop(week, []), count)
        drawn = draw_week(world, week, count, self.order_count, exchanges, stream(self.seed, "orders", week))
        self.order_count += count
        rng = stream(self.seed, "after", week)
        orders = self._with_versions(drawn.orders, rng)
        lines = drawn.lines.with_columns(orders["order_no"].gather(drawn.lines["order"]).alias("order_no"))
        refunds = aftermath.draw_refunds(world, orders, lines, rng)
        self._plan_exchanges(week, refunds.exchanges)
        orders = _with_refunds(orders, refunds)
        guests = guest_columns(world.people, orders, stream(self.seed, "guests", week))
        first_sku = drawn.lines.unique("order", keep="first", maintain_order=True)["sku"]
        for position, door in enumerate(DOORS):
            self._deliver_orders(position, door, week, orders, lines, guests, stream(self.seed, "door", week, position))
            self._deliver_refunds(position, door, orders, refunds)
            here = orders["door"] == position
            self._deliver_rest(position, door, week, orders.filter(here), first_sku.filter(here))
            self._shape_orders(position, door, week)
        self.deliveries.flush(week)

    def _fitting(self, exchanges: list[Exchange], count: int) -> list[Exchange]:
        """The exchanges that the week has room for."""
        fitting: list[Exchange] = []
        for batch in exchanges:
            count -= len(batch.due_s)
            if count < 0:
                break
            fitting.append(batch)
        return fitting

    def _week_of(self, instants: np.ndarray) -> np.ndarray:
        return (instants - self.world.start_s) // (7 * DAY)

    def _plan_exchanges(self, week: int, exchanges: Exchange) -> None:
        due = self._week_of(exchanges.due_s)
        for later in np.unique(due[(due > week) & (due < self.world.weeks)]):
            chosen = due == later
            part = Exchange(**{name: values[chosen] for name, values in vars(exchanges).items()})
            self._exchanges.setdefault(int(later), []).append(part)

    def _with_versions(self, drawn: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        """Final state of each order, when that was known, and pickup times."""
        ready, picked = aftermath.pickup_times(drawn, self.world.horizon_s, rng)
        return drawn.with_columns(ready.alias("pickup_ready_s"), picked.alias("picked_up_s")).with_columns(
            pl.max_horizontal(
                "placed_s", "paid_s", "completed_s", "cancelled_s", "pickup_ready_s", "picked_up_s"
            ).alias("updated_s"),
            pl.when(pl.col("cancelled_s") >= 0)
            .then(CANCELLED)
            .when(pl.col("completed_s") >= 0)
            .then(COMPLETED)
            .when(pl.col("paid_s") >= 0)
            .then(PAID)
            .otherwise(0)
            .alias("status"),
            pl.when(pl.col("store") >= 0).then(pl.col("store")).otherwise(pl.col("fulfil_store")).alias("staff_place"),
            pl.when(pl.col("coupon_cents") > 0)
            .then(aftermath.campaign_of(drawn["placed_s"]))
            .otherwise(None)
            .alias("campaign_id"),
        )

    def _deliver_orders(
        self,
        position: int,
        door: Door,
        week: int,
        orders: pl.DataFrame,
        lines: pl.DataFrame,
        guests: pl.DataFrame,
        rng: np.random.Generator,
    ) -> None:
        here = orders["door"] == position
        if not here.any():
            return
        mine = orders.filter(here)
        left = guests.filter(here)
        my_lines = lines.filter((orders["door"] == position).gather(lines["order"]))
        found_by = pl.select(
            pl.when(mine["member"] >= 0).then(pl.lit("member")).otherwise(left["found_by"])
        ).to_series()
        self.truth.add_orders(door.id, order_ids(door, mine["order_no"]), mine["person"], found_by)
        seen = mine["updated_s"].to_numpy()
        under_way = self._week_of(seen) > week
        twice = under_way & (mine["paid_s"].to_numpy() >= 0) & (rng.random(len(mine)) < EARLY_VERSION_SHARE)
        late = np.full(len(mine), not door.online) & (rng.random(len(mine)) < LATE_SHARE)
        lands = np.where(twice, self._week_of(seen), week + 2 * late)
        overtaken = twice & (rng.random(len(mine)) < OVERTAKEN_SHARE)
        early = mine.with_columns(
            pl.col("paid_s").alias("updated_s"),
            pl.lit(PAID, dtype=pl.Int32).alias("status"),
            *(
                pl.lit(-1, dtype=pl.Int64).alias(name)
                for name in ("completed_s", "cancelled_s", "pickup_ready_s", "picked_up_s")
            ),
        )
        early_lands = np.where(twice, np.where(overtaken, lands + 1, week), -1)
        back = mine.with_columns(pl.col("refunded_s").alias("updated_s"), pl.col("refund_status").alias("status"))
        back_lands = np.where(
            mine["refunded_s"].to_numpy() >= 0, np.maximum(self._week_of(mine["refunded_s"].to_numpy()), lands), -1
        )
        line_at = np.searchsorted(mine["order_no"].to_numpy(), my_lines["order_no"].to_numpy())
        for version, weeks in ((early, early_lands), (mine, lands), (back, back_lands)):
            for due in np.unique(weeks[weeks >= 0]):
                chosen = weeks == due
                at = (np.cumsum(chosen) - 1)[line_at]
                named = pl.Series(chosen[line_at])
                part = (
                    version.filter(pl.Series(chosen)),
                    my_lines.with_columns(pl.Series("at", at)).filter(named),
                    left.filter(pl.Series(chosen)),
                )
                landing_week = min(int(due), self.world.weeks - 1)
                self._due_orders.setdefault((landing_week, position), []).append(part)

    def _shape_orders(self, position: int, door: Door, week: int) -> None:
        """Turn all orders of a door that are due in that week into rows, at once."""
        parts = self._due_orders.pop((week, position), [])
        if not parts:
            return
        first = np.cumsum([0, *(len(orders) for orders, _, _ in parts)])
        lines = [
            part.with_columns(pl.col("at") + int(start)) for (_, part, _), start in zip(parts, first, strict=False)
        ]
        rows, line_rows = order_rows(
            self.world,
            door,
            pl.concat([part[0] for part in parts]),
            pl.concat(lines),
            pl.concat([part[2] for part in parts]),
        )
        self.deliveries.add(position, "orders", week, rows)
        if door.split_lines:
            self.deliveries.add(position, "order_lines", week, line_rows)

    def _deliver_refunds(self, position: int, door: Door, orders: pl.DataFrame, refunds: aftermath.Refunds) -> None:
        rows = aftermath.refund_rows(door, position, orders, refunds)
        weeks = self._week_of(rows["refunded_at_s"].to_numpy())
        for due in np.unique(weeks):
            self.deliveries.add(position, "refunds", int(due), rows.filter(pl.Series(weeks == due)))

    def _deliver_rest(self, position: int, door: Door, week: int, orders: pl.DataFrame, first_sku: pl.Series) -> None:
        world = self.world
        begins = world.start_s + week * 7 * DAY
        days = min(7, world.days - week * 7)
        rng = stream(self.seed, "rest", week, position)
        tables = {
            "members": self.members.rows(position, week),
            "points": aftermath.point_rows(world, door, orders, rng),
            "reviews": aftermath.review_rows(world, door, orders, first_sku, rng),
            "prices": price_rows(world, door, position, week),
        }
        if door.currency == "CNY":
            tables["coupons"] = aftermath.coupon_rows(world, door, position, orders, begins, rng)
        if door.online and door.kind != "marketplace":
            tables["events"] = event_rows(world, door, position, orders, first_sku, begins, days, rng)
        if door.id in COUNTED_AT:
            tables["inventory"] = inventory_rows(world, door, week, rng)
        for feed, rows in tables.items():
            self.deliveries.add(position, feed, week, rows)


def _with_refunds(orders: pl.DataFrame, drawn: aftermath.Refunds) -> pl.DataFrame:
    """When each order was refunded (-1: not) and its status from then on."""
    at = np.full(len(orders), -1, dtype=np.int64)
    whole = np.zeros(len(orders), dtype=bool)
    paid_back = drawn.refunds.filter(pl.col("amount_cents") > 0)
    at[paid_back["order"].to_numpy()] = paid_back["at_s"].to_numpy()
    whole[paid_back["order"].to_numpy()] = paid_back["whole"].to_numpy()
    return orders.with_columns(
        pl.Series("refunded_s", at), pl.Series("refund_status", np.where(whole, REFUNDED, PARTLY).astype(np.int32))
    )
