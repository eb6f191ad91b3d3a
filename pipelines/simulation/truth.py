"""What is true of the simulated retailer, for measuring: never within the landing folder.

Belongs here: who each membership and order belongs to, households, hubs, planted faults. Does not belong here:
anything the retailer itself would know.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pipelines.simulation.doors import DOORS
from pipelines.simulation.people import PLACEHOLDER_PHONES, People

LAST_TRUTH_FILE = "bad_rows.parquet"
"""Written last: where it is, the truth is whole."""
LINKING_KINDS = ("phone", "email", "wechat_unionid", "alipay_uid", "card_no")
"""Global identity kinds that link on their own."""

ORDER_SCHEMA = pa.schema(
    [("channel", pa.string()), ("order_id", pa.string()), ("person_id", pa.int64()), ("found_by", pa.string())]
)


class TruthWriter:
    """Writes truth files to a folder, or nothing where the folder is None. Use as a context manager."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._orders: pq.ParquetWriter | None = None

    def __enter__(self) -> TruthWriter:
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / LAST_TRUTH_FILE).unlink(missing_ok=True)
            self._orders = pq.ParquetWriter(self.folder / "order_persons.parquet", ORDER_SCHEMA)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._orders:
            self._orders.close()

    def add_orders(self, channel: str, order_id: pl.Series, person: pl.Series, found_by: pl.Series) -> None:
        """Owner of each order (null: nobody the data could name); found_by is member, a guest's kind, or null."""
        if self._orders:
            owner = pl.select(pl.when(found_by.is_not_null()).then(person).otherwise(None)).to_series()
            table = pl.DataFrame(
                {
                    "channel": pl.repeat(channel, len(order_id), eager=True),
                    "order_id": order_id,
                    "person_id": owner,
                    "found_by": found_by,
                }
            )
            self._orders.write_table(table.to_arrow().cast(ORDER_SCHEMA))

    def write_people(self, people: People, recycled: pl.DataFrame) -> None:
        """persons.parquet (person_id, channel, member_id, component), households.parquet, hubs.parquet.

        recycled: members of earlier owners of numbers, each a person of its own. Members of one person with the same
        `component` are linkable by values that only this person owns; members of one person in different components
        cannot be found to be the same by any rule of the contract.
        """
        if not self.folder:
            return
        members = pl.concat([people.members, recycled.select(people.members.columns)])
        known = components(people)
        alone = int(known.max(initial=-1)) + 1 + np.arange(len(recycled))
        persons = pl.DataFrame(
            {
                "person_id": members["person"],
                "channel": pl.Series([door.id for door in DOORS]).gather(members["door"]),
                "member_id": members["member_id"],
                "component": np.concatenate([known, alone]),
            }
        )
        persons.write_parquet(self.folder / "persons.parquet")
        people.households.write_parquet(self.folder / "households.parquet")
        people.hubs.write_parquet(self.folder / "hubs.parquet")

    def write_bad_rows(self, planted: list[tuple[str, str, str, str, int]]) -> None:
        """bad_rows.parquet: channel, feed, file, kind, rows."""
        if self.folder:
            frame = pl.DataFrame(planted, schema=["channel", "feed", "file", "kind", "rows"], orient="row")
            counted = frame.group_by("channel", "feed", "file", "kind", maintain_order=True).agg(pl.col("rows").sum())
            counted.write_parquet(self.folder / LAST_TRUTH_FILE)


def components(people: People) -> np.ndarray:
    """For each member the number of the group of the same person's members that share values, directly or not."""
    members = people.members.with_row_index("row")
    plain = (
        pl.col("phone").str.replace_many(list("０１２３４５６７８９"), list("0123456789")).str.replace_all(r"[\s-]", "")
    )
    cleaned = members.with_columns(
        plain.str.replace(r"^(\+86|0086)", "").alias("phone"), pl.col("email").str.strip_chars().str.to_lowercase()
    )
    # By the contract a phone of the staff feed links nobody, not even the clerk's own memberships.
    staff = people.phone.filter(pl.Series(people.is_staff)).str.replace(r"^\+86", "")
    hubs = people.hubs.filter(pl.col("kind") == "phone")["value"]
    blocked = [*PLACEHOLDER_PHONES, *hubs, *staff, "none@example.com"]
    values = pl.concat(
        [
            cleaned.select("row", "person", pl.lit(kind).alias("kind"), pl.col(kind).alias("value"))
            for kind in LINKING_KINDS
        ]
    ).filter(
        pl.col("value").is_not_null()
        & ~pl.col("value").is_in(blocked)
        & ~pl.col("value").str.contains("*", literal=True)
        & ~((pl.col("kind") == "phone") & (pl.col("value").str.len_chars() < 10))
    )
    keyed = values.with_columns(pl.struct("person", "kind", "value").rank("dense").alias("key"))
    rows, keys = keyed["row"].to_numpy().astype(np.int64), keyed["key"].to_numpy().astype(np.int64)
    count = len(members)
    size = count + (int(keys.max()) if len(keys) else 0)
    edges = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, count + keys - 1)), shape=(size, size))
    _, labels = connected_components(edges, directed=False)
    return np.unique(labels[:count], return_inverse=True)[1]
