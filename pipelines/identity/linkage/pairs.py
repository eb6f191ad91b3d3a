"""Scores of pairs of people, kept between runs and brought up to date for those who changed.

Belongs here: which people are scored anew, the blocks that make pairs, and the clusters of what scored. An increment
gives what scoring everybody anew would: a pair's score depends on its two records and the frozen model alone, and a
pair is a candidate if a block of at most LARGEST_BLOCK people holds both, whenever they came.

Kept in schema `identity`, numbers and hashes only:
- linkage_people (person_no, founder_channel, founder_id, fingerprint): who was scored, as what.
- linkage_keys (person_no, rule_no, key): the blocks of each.
- linkage_scores (left_no, right_no, score, evidence, is_candidate): candidates above 0 bits; and of people whom such
  candidates tie together, directly or not, every other pair too (not is_candidate), as a group is judged by all pairs.
- linkage_applied (model): the fingerprint of what they were scored with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from models.linkage import LARGEST_BLOCK, LARGEST_GROUP, Records, cluster, components
from pipelines.identity.linkage.memory import Kept
from pipelines.identity.linkage.profiles import read_profiles
from pipelines.identity.linkage.secrets import hashed
from pipelines.keys import Keys
from pipelines.settings import Settings
from pipelines.vault import Vault

KEPT_TABLES = {
    "linkage_people": "person_no BIGINT, founder_channel VARCHAR, founder_id VARCHAR, fingerprint UBIGINT",
    "linkage_keys": "person_no BIGINT, rule_no SMALLINT, key UBIGINT",
    "linkage_scores": "left_no BIGINT, right_no BIGINT, score DOUBLE, evidence VARCHAR, is_candidate BOOLEAN",
    "linkage_applied": "model VARCHAR",
}
MOST_OPEN = 1_000_000
"""People whose records are in memory at once while pairs are scored."""
MOST_PAIRS = 1_000_000
"""Pairs that are scored at once."""
WORKING_TABLES = (
    "gone_people", "changed_people", "touched_people", "full_blocks", "asked_pairs", "wanted_people", "batch_pairs",
    "linkage_groups", "group_pairs",
)  # fmt: skip
HOPELESS = Records.hopeless
"""Bits that stand for a pair too unlikely to be kept by its own score."""
NEVER = -1e6
"""Bits of a pair that a person has decided is two: no mean over a group makes up for them."""


@dataclass(frozen=True)
class Scoring:
    """What the steps of one run share."""

    connection: duckdb.DuckDBPyConnection
    settings: Settings
    vault: Vault
    keys: Keys
    kept: Kept

    def records(self, tables: Sequence[pa.Table]) -> Records:
        return Records(
            self.kept.model,
            pa.concat_tables(tables),
            threads=self.settings.threads,
            memory_limit=self.settings.memory_limit,
        )


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Empty tables where there are none."""
    for table, columns in KEPT_TABLES.items():
        connection.execute(f"create table if not exists identity.{table} ({columns})")


def start_anew(connection: duckdb.DuckDBPyConnection) -> None:
    """Have everybody scored again."""
    for table in KEPT_TABLES:
        connection.execute(f"delete from identity.{table}")


def applied_model(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The fingerprint of the model that the scores were made with."""
    row = connection.execute("select model from identity.linkage_applied").fetchone()
    return None if row is None else str(row[0])


def find_changes(connection: duckdb.DuckDBPyConnection) -> int:
    """Number the people of `people` who are new or changed, and forget those who are gone; how many of both.

    `changed_people` (person_no): whose pairs are scored anew; `gone_people`: whose pairs are dropped.
    """
    connection.execute("""
        create or replace temp table gone_people as
        select known.person_no
        from identity.linkage_people as known
        left join people
            on known.founder_channel = people.founder_channel and known.founder_id = people.founder_id
        where people.fingerprint is distinct from known.fingerprint""")
    connection.execute("""
        create or replace temp table changed_people as
        with last as (select coalesce(max(person_no), -1) as person_no from identity.linkage_people)
        select
            last.person_no + row_number() over (order by people.founder_channel, people.founder_id) as person_no,
            people.*
        from people
        anti join identity.linkage_people as known
            on people.founder_channel = known.founder_channel and people.founder_id = known.founder_id
            and people.fingerprint = known.fingerprint
        cross join last""")
    row = connection.execute("""
        select (select count(*) from gone_people) + (select count(*) from changed_people)""").fetchone()
    return 0 if row is None else int(row[0])


def score_changes(scoring: Scoring) -> None:
    """Bring what is kept up to date with `gone_people` and `changed_people`."""
    connection = scoring.connection
    connection.execute(f"""
        create or replace temp table full_blocks as
        select rule_no, key, count(*) > {LARGEST_BLOCK} as is_full
        from identity.linkage_keys group by rule_no, key""")
    for table in ("linkage_people", "linkage_keys"):
        connection.execute(f"delete from identity.{table} where person_no in (select person_no from gone_people)")
    connection.execute("insert into identity.linkage_people select * from changed_people")
    _block(scoring)
    _touch_crossed_blocks(connection)
    connection.execute("""
        delete from identity.linkage_scores
        where left_no in (select person_no from gone_people union all select person_no from touched_people)
            or right_no in (select person_no from gone_people union all select person_no from touched_people)""")
    connection.execute(f"""
        create or replace temp table asked_pairs as
        with usable as (
            select rule_no, key from identity.linkage_keys
            group by rule_no, key
            having count(*) between 2 and {LARGEST_BLOCK}
        ),
        blocked as (
            select keyed.* from identity.linkage_keys as keyed
            semi join usable on keyed.rule_no = usable.rule_no and keyed.key = usable.key
        )
        select distinct
            least(touched.person_no, others.person_no) as left_no,
            greatest(touched.person_no, others.person_no) as right_no
        from (select * from blocked semi join touched_people on blocked.person_no = touched_people.person_no) as touched
        inner join blocked as others on touched.rule_no = others.rule_no and touched.key = others.key
        where touched.person_no <> others.person_no""")
    _score(scoring, is_candidate=True)


def complete_groups(scoring: Scoring) -> None:
    """Score the pairs that a group's judgement lacks; drop those of people whom nothing ties together any more."""
    connection = scoring.connection
    groups = _groups(connection)
    connection.register("found_groups", groups)
    connection.execute("create or replace temp table linkage_groups as select * from found_groups")
    connection.unregister("found_groups")
    connection.execute("""
        create or replace temp table group_pairs as
        select lefts.person_no as left_no, rights.person_no as right_no
        from linkage_groups as lefts
        inner join linkage_groups as rights
            on lefts.group_no = rights.group_no and lefts.person_no < rights.person_no""")
    connection.execute("""
        delete from identity.linkage_scores
        where not is_candidate and (left_no, right_no) not in (select (left_no, right_no) from group_pairs)""")
    connection.execute("""
        create or replace temp table asked_pairs as
        select group_pairs.*
        from group_pairs
        anti join identity.linkage_scores as known
            on group_pairs.left_no = known.left_no and group_pairs.right_no = known.right_no""")
    _score(scoring, is_candidate=False)


def clusters_of(connection: duckdb.DuckDBPyConnection, apart: str, threshold: float) -> pa.Table:
    """The pairs that join, those above the threshold within a cluster: their founders' keys, score, evidence.

    apart: a relation (left_no, right_no) of pairs that people decided are two; they end in no cluster together.
    threshold: bits that the mean of all pairs between two groups must exceed.
    """
    # In the order of the founders' keys: who came first, and so a person's number, must decide nothing.
    scores = connection.execute(f"""
        with ranked as (
            select person_no, founder_channel, founder_id,
                row_number() over (order by founder_channel, founder_id) - 1 as place
            from identity.linkage_people
        )
        select
            lefts.place as left_place,
            rights.place as right_place,
            if(apart.left_no is null, scores.score, {NEVER}) as weight,
            lefts.founder_channel as left_channel, lefts.founder_id as left_id,
            rights.founder_channel as right_channel, rights.founder_id as right_id,
            scores.score, scores.evidence
        from identity.linkage_scores as scores
        inner join ranked as one on scores.left_no = one.person_no
        inner join ranked as other on scores.right_no = other.person_no
        inner join ranked as lefts on lefts.place = least(one.place, other.place)
        inner join ranked as rights on rights.place = greatest(one.place, other.place)
        left join {apart} as apart on scores.left_no = apart.left_no and scores.right_no = apart.right_no
        order by left_place, right_place""").to_arrow_table()
    left, right, weights = (np.asarray(scores[name]) for name in ("left_place", "right_place", "weight"))
    people, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    lefts, rights = places[: len(left)], places[len(left) :]
    found = cluster(len(people), lefts, rights, weights, HOPELESS, threshold)
    joined = (found[lefts] == found[rights]) & (weights > threshold)
    return scores.filter(pa.array(joined)).select(
        ["left_channel", "left_id", "right_channel", "right_id", "score", "evidence"]
    )


def _block(scoring: Scoring) -> None:
    """The keys of the changed people, hashed."""
    connection = scoring.connection
    connection.execute("""
        create or replace temp table wanted_people as
        select founder_channel, founder_id, person_no, row_number() over (order by person_no) - 1 as place
        from changed_people""")
    first = 0
    for block in read_profiles(connection, scoring.vault, "wanted_people", scoring.kept.fields):
        with scoring.records([block]) as records:
            found = hashed(scoring.keys, records.keys(), "rule", "key")
        connection.register("found_keys", found)
        connection.execute(f"""
            insert into identity.linkage_keys
            select wanted_people.person_no, found_keys.rule, found_keys.key
            from found_keys inner join wanted_people on wanted_people.place = found_keys.record + {first}""")
        connection.unregister("found_keys")
        first += block.num_rows


def _touch_crossed_blocks(connection: duckdb.DuckDBPyConnection) -> None:
    """`touched_people`: the changed ones, and all people of blocks that became too large, or no longer are."""
    connection.execute(f"""
        create or replace temp table touched_people as
        with now as (
            select rule_no, key, count(*) > {LARGEST_BLOCK} as is_full from identity.linkage_keys group by rule_no, key
        ),
        crossed as (
            select now.rule_no, now.key
            from now inner join full_blocks as before on now.rule_no = before.rule_no and now.key = before.key
            where now.is_full <> before.is_full
        )
        select person_no from changed_people
        union
        select keyed.person_no
        from identity.linkage_keys as keyed
        semi join crossed on keyed.rule_no = crossed.rule_no and keyed.key = crossed.key""")


def _groups(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """person_no, group_no of people whom candidates tie, groups of three and more that are small enough to judge."""
    tied = connection.execute("select left_no, right_no from identity.linkage_scores where is_candidate").fetchnumpy()
    left, right = (np.asarray(tied[name]) for name in ("left_no", "right_no"))
    people, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    group = components(len(people), places[: len(left)], places[len(left) :])
    sizes = np.bincount(group, minlength=1)
    chosen = (sizes[group] > 2) & (sizes[group] <= LARGEST_GROUP)
    columns = {"person_no": people[chosen], "group_no": group[chosen]}
    return pa.table({name: pa.array(numbers, pa.int64()) for name, numbers in columns.items()})


def _score(scoring: Scoring, *, is_candidate: bool) -> None:
    """Score `asked_pairs` and keep what is worth it, with no more than MOST_OPEN people's records open at once."""
    connection = scoring.connection
    row = connection.execute(
        "select count(*) from (select left_no from asked_pairs union select right_no from asked_pairs)"
    ).fetchone()
    n_people = 0 if row is None else int(row[0])
    if not n_people:
        return
    parts = 1 if n_people <= MOST_OPEN else math.ceil(2 * n_people / MOST_OPEN)
    for low in range(parts):
        for high in range(low, parts):
            connection.execute(f"""
                create or replace temp table batch_pairs as
                select left_no, right_no from asked_pairs
                where least(left_no % {parts}, right_no % {parts}) = {low}
                    and greatest(left_no % {parts}, right_no % {parts}) = {high}""")
            _score_batch(scoring, is_candidate=is_candidate)


def _score_batch(scoring: Scoring, *, is_candidate: bool) -> None:
    connection = scoring.connection
    connection.execute("""
        create or replace temp table wanted_people as
        with named as (select left_no as person_no from batch_pairs union select right_no from batch_pairs)
        select
            known.founder_channel, known.founder_id, named.person_no,
            row_number() over (order by named.person_no) - 1 as place
        from named inner join identity.linkage_people as known on named.person_no = known.person_no""")
    blocks = list(read_profiles(connection, scoring.vault, "wanted_people", scoring.kept.fields))
    if not blocks:
        return
    pairs = connection.execute("""
        select lefts.place as "left", rights.place as "right"
        from batch_pairs
        inner join wanted_people as lefts on batch_pairs.left_no = lefts.person_no
        inner join wanted_people as rights on batch_pairs.right_no = rights.person_no
        order by 1, 2""").to_arrow_table()
    with scoring.records(blocks) as records:
        del blocks
        for first in range(0, pairs.num_rows, MOST_PAIRS):
            found = records.score(pairs.slice(first, MOST_PAIRS), _shares(scoring, records))
            connection.register("found_scores", found)
            connection.execute(f"""
                insert into identity.linkage_scores
                select lefts.person_no, rights.person_no, round(found_scores.score, 6), found_scores.evidence, true
                from found_scores
                inner join wanted_people as lefts on found_scores."left" = lefts.place
                inner join wanted_people as rights on found_scores."right" = rights.place
                where found_scores.score > 0 and {is_candidate}""")
            connection.register("asked_scores", pairs.slice(first, MOST_PAIRS))
            connection.execute(f"""
                insert into identity.linkage_scores
                select
                    lefts.person_no, rights.person_no, coalesce(round(found_scores.score, 6), {HOPELESS}),
                    coalesce(found_scores.evidence, ''), false
                from asked_scores
                inner join wanted_people as lefts on asked_scores."left" = lefts.place
                inner join wanted_people as rights on asked_scores."right" = rights.place
                left join found_scores
                    on asked_scores."left" = found_scores."left" and asked_scores."right" = found_scores."right"
                where not {is_candidate}""")
            connection.unregister("asked_scores")
            connection.unregister("found_scores")


def _shares(scoring: Scoring, records: Records) -> pa.Table:
    """name, spelling, share of those values of the records that the model knows to be common."""
    spellings = records.spellings()
    keyed = hashed(scoring.keys, spellings.append_column("text", spellings["spelling"]), "name", "text")
    known = keyed.join(scoring.kept.frequencies, ["name", "key"], join_type="inner")
    return known.select(["name", "spelling", "share"])
