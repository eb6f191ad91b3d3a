"""Versions of memberships over time: registration, changed phones, levels, consent, deletion, numbers that move on.

Belongs here: which member rows land in which week. Does not belong here: a member's first identifiers (people).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulation.doors import DOOR_INDEX
from pipelines.simulation.orders import World
from pipelines.simulation.people import DAY
from pipelines.simulation.rows import member_rows

LEVELS = ("普卡", "银卡", "金卡", "黑卡")


class MemberVersions:
    """All later versions, drawn once: (member index, instant, kind of change).

    recycled: members that are none of the simulation's persons, whose numbers were given to somebody new since.
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self._world = world
        members = world.people.members
        count = len(members)
        registered = members["registered_s"].to_numpy()
        changed = np.flatnonzero(rng.random(count) < 0.22)
        earliest = np.maximum(registered[changed], world.start_s) + DAY
        at = earliest + (rng.random(len(changed)) * np.maximum(world.horizon_s - earliest, 1)).astype(np.int64)
        kind = rng.choice(["level", "phone", "consent", "deleted"], len(changed), p=[0.62, 0.16, 0.18, 0.04])
        kept = at < world.horizon_s
        self._changes = pl.DataFrame({"row": changed[kept], "at": at[kept], "kind": kind[kept]}).sort("at", "row")
        self.recycled = self._recycle(rng)

    def _recycle(self, rng: np.random.Generator) -> pl.DataFrame:
        """Members last seen more than a year before the window whose numbers belong to somebody new by now."""
        members = self._world.people.members.with_row_index("row")
        plain = (
            (pl.col("door") == DOOR_INDEX["pos_cn"])
            & pl.col("phone").str.contains(r"^1990\d{7}$")
            & pl.col("name").is_not_null()
        )
        fresh = members.filter(plain & (pl.col("registered_s") >= self._world.start_s))
        chosen = fresh.filter(pl.Series(rng.random(len(fresh)) < 0.02, dtype=pl.Boolean))
        seen = self._world.start_s - rng.integers(500, 900, len(chosen)) * DAY
        return chosen.with_columns(
            ("OLD" + pl.col("member_id")).alias("member_id"), pl.Series("registered_s", seen),
            ("龚" + pl.col("name").str.slice(1)).alias("name"), pl.lit(None, dtype=pl.Date).alias("birthday"),
            pl.lit(None, dtype=pl.String).alias("card_no"),
            (pl.int_range(pl.len(), dtype=pl.Int64) + len(self._world.people)).alias("person"),
        ).drop("row")  # fmt: skip

    def rows(self, position: int, week: int) -> pl.DataFrame:
        """Rows of `members` that land in that week for one door: new members, then changed ones."""
        world = self._world
        begins = world.start_s + week * 7 * DAY
        since = pl.lit(True) if week == 0 else pl.col("registered_s") >= begins
        arrives = (pl.col("door") == position) & (pl.col("registered_s") < begins + 7 * DAY) & since
        new = world.people.members.filter(arrives)
        if week == 0:
            new = pl.concat([new, self.recycled.filter(pl.col("door") == position)])
        nothing = pl.repeat(None, len(new), eager=True, dtype=pl.Boolean)
        parts = [member_rows(new, new["registered_s"], new["level"], nothing)]
        changes = self._changes.filter((pl.col("at") >= begins) & (pl.col("at") < begins + 7 * DAY))
        members = world.people.members[changes["row"].to_list()].with_columns(changes["at"], changes["kind"])
        members = members.filter(pl.col("door") == position)
        if len(members):
            parts.append(self._changed(members))
        return pl.concat(parts)

    def _changed(self, members: pl.DataFrame) -> pl.DataFrame:
        new_number = "1980" + (members["person"] * 7 % 10**7).cast(pl.String).str.zfill(7)
        changed = members.with_columns(
            pl.when((pl.col("kind") == "phone") & pl.col("phone").is_not_null())
            .then(new_number)
            .otherwise(pl.col("phone"))
            .alias("phone"),
            pl.when(pl.col("kind") == "consent")
            .then(~pl.col("consents"))
            .otherwise(pl.col("consents"))
            .alias("consents"),
        )
        promoted = pl.Series(LEVELS).gather((changed["person"] % 3) + 1)
        level = pl.select(pl.when(changed["kind"] == "level").then(promoted).otherwise(changed["level"])).to_series()
        deleted = pl.select(pl.when(changed["kind"] == "deleted").then(True).otherwise(None)).to_series()
        rows = member_rows(changed, changed["at"], level, deleted)
        return rows.with_columns(
            pl.when(changed["kind"] == "consent")
            .then(changed["at"])
            .otherwise(pl.col("consent_updated_at_s"))
            .alias("consent_updated_at_s")
        )
