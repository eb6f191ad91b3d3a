"""What people's records say, from the vault, in memory.

Belongs here: reading profiles in blocks and pooling those of one person. Nothing read here may land anywhere: callers
hash it, score it, and let it go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from pipelines.vault import Vault

BLOCK_PEOPLE = 50_000
"""People whose profiles are open at once, before they are pooled."""


def read_profiles(
    connection: duckdb.DuckDBPyConnection, vault: Vault, wanted: str, fields: Sequence[str]
) -> Iterator[pa.Table]:
    """The people of the table `wanted` (founder_channel, founder_id, place: 0, 1, …), BLOCK_PEOPLE at a time, in order.

    Each block has `fields` as text and a row for every person. A person with several memberships has the newest value
    of each field. A phone or an e-mail address that is blocked is nobody's and left out. A person whose key was
    destroyed says nothing. Needs the table `people_members`.
    """
    row = connection.execute(f"select coalesce(max(place) + 1, 0) from {wanted}").fetchone()
    n_people = 0 if row is None else int(row[0])
    for first in range(0, n_people, BLOCK_PEOPLE):
        members = connection.execute(f"""
            select wanted.place, members.* exclude (founder_channel, founder_id)
            from people_members as members
            inner join {wanted} as wanted
                on members.founder_channel = wanted.founder_channel and members.founder_id = wanted.founder_id
            where wanted.place >= {first} and wanted.place < {first + BLOCK_PEOPLE}
            order by wanted.place""").to_arrow_table()
        yield _pooled(vault, members, fields, first, min(first + BLOCK_PEOPLE, n_people))


def _pooled(vault: Vault, members: pa.Table, fields: Sequence[str], first: int, end: int) -> pa.Table:
    profiles = vault.reveal_members(
        zip(members["channel"].to_pylist(), members["member_id"].to_pylist(), strict=True)
    ).select(["channel", "member_id", "name", "birthday", "address", "phone", "email"])
    said = {
        "phone": "case when not is_phone_blocked then phone end",
        "email": "case when not is_email_blocked then email end",
    }
    newest = ", ".join(
        f"arg_max({value}, (updated_at, arrival)) filter ({value} is not null) as {field}"
        for field in fields
        for value in (said.get(field, field),)
    )
    connection = duckdb.connect()
    try:
        connection.execute("set temp_directory = ''")
        connection.execute("set enable_progress_bar = false")
        connection.register("members", members)
        connection.register("profiles", profiles)
        pooled = connection.execute(f"""
            with said as (
                select place, {newest}
                from members left join profiles using (channel, member_id)
                group by place
            )
            select {", ".join(fields)}
            from range({first}, {end}) as places (place) left join said using (place)
            order by place""").to_arrow_table()
    finally:
        connection.close()
    return pooled.cast(pa.schema([(field, pa.string()) for field in fields]))
