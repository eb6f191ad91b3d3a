"""The linkage of one run: after exact links, who is probably one person.

Belongs here: the order of its steps, when the model is learned, and what is reported. Each step leaves numbers, hashes
and words that name fields; what records say stays in memory.

A run that is killed leaves the scores as they were; the next one finds by itself whose records have changed since.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from models.linkage import learn
from pipelines.identity.decided import KEPT_TABLES as DECIDED_TABLES
from pipelines.identity.decided import PART
from pipelines.identity.linkage import memory, pairs, people
from pipelines.identity.linkage.memory import Kept
from pipelines.identity.linkage.pairs import Scoring
from pipelines.identity.linkage.profiles import read_profiles
from pipelines.identity.linkage.secrets import hashed
from pipelines.identity.linkage.settings import LinkageRules
from pipelines.keys import Keys, ensure_keys
from pipelines.settings import Settings
from pipelines.state import state
from pipelines.vault import Vault

MOST_LEARNED = 300_000
"""People a model is learned from, at most: a random sample, of whose pairs the same share is one person's."""

FEWEST_LEARNED = 50
"""People below which nothing is learned, and nobody linked: too few to tell what is common from what is one's own."""


@dataclass(frozen=True)
class LinkageReport:
    """people: those compared. scored: how many of them were new or changed. joined: pairs that are sure and join.
    is_changed: whether that differs from the run before. learned: whether a model was learned."""

    people: int = 0
    scored: int = 0
    joined: int = 0
    is_changed: bool = False
    learned: bool = False


def link_people(
    connection: duckdb.DuckDBPyConnection, settings: Settings, rules: LinkageRules, *, everything: bool
) -> LinkageReport:
    """Bring `identity.linked_pairs` up to date with what `resolve` left; nothing is changed if it fails or is killed.

    everything: score everybody anew (under the model that is kept). Where linkage is switched off, or the home has no
    vault, nothing is linked.
    """
    connection.execute("begin transaction")
    try:
        pairs.create_tables(connection)
        if rules.enabled and (settings.vault / "vault.db").exists():
            keys = ensure_keys(settings)
            with state(settings) as engine, Vault.open(settings, keys) as vault:
                report = _link(connection, settings, rules, (keys, vault, engine), everything=everything)
        else:
            pairs.start_anew(connection)
            report = LinkageReport(is_changed=_replace(connection, None))
        for table in (*people.WORKING_TABLES, *pairs.WORKING_TABLES):
            connection.execute(f"drop table if exists temp.{table}")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    return report


def _link(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    rules: LinkageRules,
    opened: tuple[Keys, Vault, sa.Engine],
    *,
    everything: bool,
) -> LinkageReport:
    keys, vault, engine = opened
    people.gather_people(connection)
    n_people = _count(connection, "select count(*) from people")
    kept = memory.current(engine)
    is_learned = kept is None or not kept.fits(rules.fields, n_people)
    if is_learned:
        kept = _learn(connection, settings, rules, opened, n_people)
    if kept is None:
        pairs.start_anew(connection)
        return LinkageReport(people=n_people, is_changed=_replace(connection, None))
    if everything or pairs.applied_model(connection) != kept.fingerprint:
        pairs.start_anew(connection)
        connection.execute("insert into identity.linkage_applied values (?)", [kept.fingerprint])
    n_changed = pairs.find_changes(connection)
    if n_changed:
        scoring = Scoring(connection, settings, vault, keys, kept)
        pairs.score_changes(scoring)
        pairs.complete_groups(scoring)
    _note_partings(connection)
    found = pairs.clusters_of(connection, "parted_people", rules.sure_bits)
    is_changed = _replace(connection, found)
    return LinkageReport(n_people, n_changed, found.num_rows, is_changed, is_learned)


def _learn(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    rules: LinkageRules,
    opened: tuple[Keys, Vault, sa.Engine],
    n_people: int,
) -> Kept | None:
    """Learn from the people, or a sample of them, and keep it; None where there is too little to learn from."""
    keys, vault, engine = opened
    if n_people < FEWEST_LEARNED:
        return None
    connection.execute(f"""
        create or replace temp table wanted_people as
        select founder_channel, founder_id, row_number() over (order by sample_order) - 1 as place
        from (
            select founder_channel, founder_id, md5(founder_channel || chr(31) || founder_id) as sample_order
            from people order by sample_order limit {MOST_LEARNED}
        )""")
    blocks = list(read_profiles(connection, vault, "wanted_people", rules.fields))
    found = learn(pa.concat_tables(blocks), n_people, threads=settings.threads, memory_limit=settings.memory_limit)
    if found is None:
        return None
    model, shares = found
    return memory.keep(engine, model, hashed(keys, shares, "name", "spelling"), rules.fields, n_people)


def _note_partings(connection: duckdb.DuckDBPyConnection) -> None:
    """`parted_people` (left_no, right_no, the smaller first): people whom somebody decided to be two."""
    connection.execute(f"""
        create or replace temp table parted_people as
        with numbered as (
            select members.channel, members.member_id, known.person_no
            from people_members as members
            inner join identity.linkage_people as known
                on members.founder_channel = known.founder_channel and members.founder_id = known.founder_id
        )
        select distinct
            least(lefts.person_no, rights.person_no) as left_no,
            greatest(lefts.person_no, rights.person_no) as right_no
        from identity.pairs as pairs
        inner join numbered as lefts on pairs.left_channel = lefts.channel and pairs.left_id = lefts.member_id
        inner join numbered as rights on pairs.right_channel = rights.channel and pairs.right_id = rights.member_id
        where pairs.verb = '{PART}' and lefts.person_no <> rights.person_no""")


def _replace(connection: duckdb.DuckDBPyConnection, found: pa.Table | None) -> bool:
    """Make `identity.linked_pairs` what was found; whether it was something else."""
    connection.execute(f"create table if not exists identity.linked_pairs ({DECIDED_TABLES['linked_pairs']})")
    if found is None:
        n_before = _count(connection, "select count(*) from identity.linked_pairs")
        connection.execute("delete from identity.linked_pairs")
        return n_before > 0
    connection.register("found_pairs", found)
    n_differing = _count(
        connection,
        """
        select count(*) from (
            (from identity.linked_pairs except from found_pairs) union all
            (from found_pairs except from identity.linked_pairs)
        )""",
    )
    if n_differing:
        connection.execute("delete from identity.linked_pairs")
        connection.execute("insert into identity.linked_pairs select * from found_pairs")
    connection.unregister("found_pairs")
    return n_differing > 0


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return 0 if row is None else int(row[0])
