"""Pairs that were decided besides exact links: joins and partings, by a person or by probabilistic linkage.

Belongs here: turning rules and linked pairs into `identity.pairs`, finding whom a change of them touches, numbering
their nodes for cluster building, and parting the components that hold nodes which may not be together. Does not belong
here: the rules' own table (rules), the clustering rule itself (apart).

`identity.linked_pairs` (left_channel, left_id, right_channel, right_id, score in bits, evidence) is linkage's to fill;
each of its rows is a join. `identity.pairs` is what the last run replayed, `identity.blocks_by_hand` its blocks. Both
survive a rebuild, as `identity.linked_pairs` does: they are written in keys, not in node numbers.

`identity.kept_apart` (customer_id, group_id): customers who would be one but for a parting. Whoever touches one of a
group touches all of it, so that an increment parts them as a rebuild does.

Working tables made here: new_pairs, changed_pairs (with change `new` or `gone`), rule_words, touched_pair_nodes,
joins and partings (left_node, right_node, cause, evidence, score), parted_nodes (node_no, component).
"""

from __future__ import annotations

from itertools import combinations, product

import duckdb
import pyarrow as pa

from pipelines.identity.apart import cluster_apart
from pipelines.identity.config import KINDS
from pipelines.identity.rules import BLOCK, REJECT, SPLIT, NodeKey, Rule

JOIN, PART = "join", "part"
LINKAGE = "linkage"
PAIR_COLUMNS = """
    verb VARCHAR, left_channel VARCHAR, left_id VARCHAR, right_channel VARCHAR, right_id VARCHAR,
    cause VARCHAR, evidence VARCHAR, score DOUBLE"""
KEPT_TABLES = {
    "pairs": PAIR_COLUMNS,
    "linked_pairs": """
        left_channel VARCHAR, left_id VARCHAR, right_channel VARCHAR, right_id VARCHAR,
        score DOUBLE, evidence VARCHAR""",
    "blocks_by_hand": "value UUID, rule VARCHAR, reason VARCHAR",
}
NODE_KEYS = """
    select channel, member_id as id, node_no from identity.memberships
    union all
    select '' as channel, value::varchar as id, node_no from identity.guest_nodes where later_order is null"""
STRENGTH = {
    "wechat_unionid": 1,
    "alipay_uid": 2,
    "card_no": 3,
    "wechat_openid": 4,
    "qq_openid": 5,
    "phone": 6,
    "email": 7,
}
"""How strongly a shared value of a kind ties, first the strongest: what a platform proved, what the retailer handed
out, what somebody typed. A person's word goes before (0); same name and birthday on a divided value (8), one guest
order (9) and a probable link (10) come after."""
SAME_PERSON, SAME_ORDER, PROBABLE = 8, 9, 10


def gather_pairs(connection: duckdb.DuckDBPyConnection, rules: list[Rule]) -> None:
    """`new_pairs`, `changed_pairs`, `changed_blocks`: what holds now, and how it differs from the last run."""
    for table, columns in KEPT_TABLES.items():
        connection.execute(f"create table if not exists identity.{table} ({columns})")
    holding = [rule for rule in rules if rule.holds]
    ruled = _pairs_of(holding)
    connection.register("ruled_pairs", ruled)
    connection.execute(f"""
        create or replace temp table new_pairs as
        select * from ruled_pairs
        union all
        select
            '{JOIN}', least(lefts, rights)[1], least(lefts, rights)[2], greatest(lefts, rights)[1],
            greatest(lefts, rights)[2], '{LINKAGE}', any_value(evidence), max(score)
        from (
            select [left_channel, left_id] as lefts, [right_channel, right_id] as rights, evidence, score
            from identity.linked_pairs
        )
        where lefts <> rights
        group by least(lefts, rights), greatest(lefts, rights)""")
    connection.unregister("ruled_pairs")
    connection.execute("""
        create or replace temp table changed_pairs as
        select *, 'new' as change from (select * from new_pairs except select * from identity.pairs)
        union all
        select *, 'gone' as change from (select * from identity.pairs except select * from new_pairs)""")
    _name_rules(connection, rules)
    blocks = [(rule.value_key, rule.name, _block_reason(rule)) for rule in holding if rule.kind == BLOCK]
    connection.execute("create or replace temp table new_blocks (value UUID, rule VARCHAR, reason VARCHAR)")
    if blocks:
        connection.executemany("insert into new_blocks values (?, ?, ?)", blocks)
    connection.execute("""
        create or replace temp table changed_blocks as
        select value from (select * from new_blocks except select * from identity.blocks_by_hand)
        union
        select value from (select * from identity.blocks_by_hand except select * from new_blocks)""")
    for table, source in (("pairs", "new_pairs"), ("blocks_by_hand", "new_blocks")):
        connection.execute(f"delete from identity.{table}")
        connection.execute(f"insert into identity.{table} select * from {source}")


def _name_rules(connection: duckdb.DuckDBPyConnection, rules: list[Rule]) -> None:
    """`rule_words` (rule, change, "at", cause): how the log of merges and splits speaks of a rule."""
    connection.execute(
        'create or replace temp table rule_words (rule VARCHAR, change VARCHAR, "at" TIMESTAMP, cause VARCHAR)'
    )
    made = [(rule.name, "new", rule.made_at, f"{rule.kind} by {rule.made_by} ({rule.name})") for rule in rules]
    undone = [
        (rule.name, "gone", rule.undone_at, f"{rule.kind} {rule.name} undone by {rule.undone_by}")
        for rule in rules
        if not rule.holds
    ]
    if made:
        connection.executemany("insert into rule_words values (?, ?, ?, ?)", made + undone)


def _block_reason(rule: Rule) -> str:
    return f"blocked by {rule.made_by} on {rule.made_at:%Y-%m-%d} ({rule.name}): {rule.why}"


def _pairs_of(rules: list[Rule]) -> pa.Table:
    """The pairs of all rules that hold, smaller key left. A split keeps its left side together as well."""
    pairs: list[tuple[str, str, str, str, str, str, str, None]] = []

    def add(verb: str, rule: Rule, left: NodeKey, right: NodeKey) -> None:
        low, high = sorted((left, right))
        pairs.append((verb, low.channel, low.member_id, high.channel, high.member_id, rule.kind, rule.name, None))

    for rule in rules:
        if rule.kind in (SPLIT, REJECT):
            for left, right in product(rule.left, rule.right):
                add(PART, rule, left, right)
            for left, right in combinations(rule.left, 2):
                add(JOIN, rule, left, right)
        elif rule.kind != BLOCK:
            for left, right in combinations(sorted({*rule.left, *rule.right}), 2):
                add(JOIN, rule, left, right)
    names = ("verb", "left_channel", "left_id", "right_channel", "right_id", "cause", "evidence")
    columns = {name: pa.array([pair[place] for pair in pairs], pa.string()) for place, name in enumerate(names)}
    return pa.table(columns | {"score": pa.nulls(len(pairs), pa.float64())})


def find_touched_nodes(connection: duckdb.DuckDBPyConnection) -> None:
    """`touched_pair_nodes`: both ends of pairs that changed, or of which an end is new or may be numbered anew."""
    connection.execute(f"""
        create or replace temp table touched_pair_nodes as
        with node_keys as ({NODE_KEYS}),
        known as (
            select node_keys.* from node_keys
            semi join identity.assignment on node_keys.node_no = assignment.node_no
        ),
        restless_keys as (
            select channel, id from node_keys
            anti join identity.assignment on node_keys.node_no = assignment.node_no
            union
            select '' as channel, value::varchar as id from touched_values
        ),
        restless as (
            select left_channel, left_id, right_channel, right_id from changed_pairs
            union
            select left_channel, left_id, right_channel, right_id
            from new_pairs
            where (left_channel, left_id) in (select (channel, id) from restless_keys)
                or (right_channel, right_id) in (select (channel, id) from restless_keys)
        ),
        ends as (
            select left_channel as channel, left_id as id from restless
            union
            select right_channel, right_id from restless
        )
        select known.node_no from known inner join ends on known.channel = ends.channel and known.id = ends.id""")


def number_pairs(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """`joins` and `partings` between the nodes of the scope."""
    scope = "" if everything else "semi join scope_nodes on node_keys.node_no = scope_nodes.node_no"
    connection.execute(f"""
        create or replace temp table numbered_pairs as
        with node_keys as ({NODE_KEYS}),
        named as (
            select left_channel as channel, left_id as id from new_pairs
            union
            select right_channel, right_id from new_pairs
        ),
        ends as (
            select node_keys.channel, node_keys.id, node_keys.node_no
            from node_keys
            inner join named on node_keys.channel = named.channel and node_keys.id = named.id
            {scope}
        )
        select
            new_pairs.verb, lefts.node_no as left_node, rights.node_no as right_node,
            new_pairs.cause, new_pairs.evidence, new_pairs.score
        from new_pairs
        inner join ends as lefts on new_pairs.left_channel = lefts.channel and new_pairs.left_id = lefts.id
        inner join ends as rights on new_pairs.right_channel = rights.channel and new_pairs.right_id = rights.id
        where lefts.node_no <> rights.node_no""")
    for table, verb in (("joins", JOIN), ("partings", PART)):
        connection.execute(f"""
            create or replace temp table {table} as
            select left_node, right_node, cause, evidence, score from numbered_pairs where verb = '{verb}'""")


def part_components(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the nodes of every component with a broken parting the clusters of `cluster_apart` instead.

    `parted_nodes` keeps the component that each of them had: it becomes a group of `identity.kept_apart`.
    """
    connection.execute("""
        create or replace temp table parted_nodes as
        with broken as (
            select distinct lefts.component
            from partings
            inner join components as lefts on partings.left_node = lefts.node_no
            inner join components as rights on partings.right_node = rights.node_no
            where lefts.component = rights.component
        )
        select components.node_no, components.component
        from components
        semi join broken on components.component = broken.component""")
    nodes = [node for (node,) in connection.execute("select node_no from parted_nodes").fetchall()]
    if not nodes:
        return
    _gather_bonds(connection)
    bonds = connection.execute("select strength, left_node, right_node from bonds").fetchall()
    partings = connection.execute("""
        select left_node, right_node from partings
        semi join parted_nodes as lefts on partings.left_node = lefts.node_no
        semi join parted_nodes as rights on partings.right_node = rights.node_no""").fetchall()
    found = cluster_apart(nodes, bonds, partings)
    clusters = pa.table({"node_no": pa.array(found.keys(), pa.int64()), "leader": pa.array(found.values(), pa.int64())})
    connection.register("parted_clusters", clusters)
    # Below zero there are no components: those of SciPy count up from it.
    connection.execute("""
        update components set component = -1 - leader
        from parted_clusters where components.node_no = parted_clusters.node_no""")
    connection.unregister("parted_clusters")


def _gather_bonds(connection: duckdb.DuckDBPyConnection) -> None:
    """`bonds` between parted nodes: all pairs that evidence ties, numbered from the strongest to the weakest.

    Not the star edges that the components were found with: their centre is the smallest node number, which a rebuild
    deals anew.
    """
    kind = "case values.kind_no " + " ".join(f"when {kind.number} then {STRENGTH[kind.name]}" for kind in KINDS)
    connection.execute(f"""
        create or replace temp table bonds as
        with parted as (
            select
                parted_nodes.node_no,
                coalesce(memberships.first_arrival, guest_nodes.first_arrival) as first_arrival,
                coalesce(memberships.channel, '') as channel,
                coalesce(memberships.member_id, guest_nodes.value::varchar) as id,
                coalesce(guest_nodes.later_order, '') as later_order,
                facts.name_key,
                facts.birthday_key
            from parted_nodes
            left join identity.memberships on parted_nodes.node_no = memberships.node_no
            left join identity.guest_nodes on parted_nodes.node_no = guest_nodes.node_no
            left join identity.member_facts as facts on parted_nodes.node_no = facts.node_no
        ),
        numbered as (
            select *, row_number() over (order by first_arrival, channel, id, later_order) as seniority from parted
        ),
        holdings as (
            select
                numbered.*,
                attachments.value::varchar || '/' || attachments.owner_no as place,
                attachments.value,
                {kind} end as tie
            from attachments
            inner join numbered on attachments.node_no = numbered.node_no
            inner join identity.values as values on attachments.value = values.value
            where attachments.owner_no is not null
            union all
            select numbered.*, guest_claims.channel || chr(31) || guest_claims.order_id, null, {SAME_ORDER}
            from identity.guest_claims
            inner join identity.guest_nodes
                on guest_claims.value = guest_nodes.value and guest_claims.owner_no = guest_nodes.owner_no
            inner join numbered on guest_nodes.node_no = numbered.node_no
            where guest_claims.n_identifiers > 1 and guest_claims.is_linking
        ),
        divided as (
            select holdings.*
            from holdings
            semi join identity.value_splits as splits on holdings.value = splits.value
            where name_key is not null and birthday_key is not null
        ),
        tied as (
            select lefts.node_no as left_node, rights.node_no as right_node, lefts.tie, null::double as score
            from holdings as lefts
            inner join holdings as rights
                on lefts.place = rights.place and lefts.tie = rights.tie and lefts.seniority < rights.seniority
            union all
            select lefts.node_no, rights.node_no, {SAME_PERSON}, null
            from divided as lefts
            inner join divided as rights
                on lefts.value = rights.value and lefts.name_key = rights.name_key
                and lefts.birthday_key = rights.birthday_key and lefts.seniority < rights.seniority
            union all
            select
                if(lefts.seniority < rights.seniority, joins.left_node, joins.right_node),
                if(lefts.seniority < rights.seniority, joins.right_node, joins.left_node),
                if(joins.cause = '{LINKAGE}', {PROBABLE}, 0),
                joins.score
            from joins
            inner join numbered as lefts on joins.left_node = lefts.node_no
            inner join numbered as rights on joins.right_node = rights.node_no
        ),
        weighed as (
            select left_node, right_node, min(tie) as tie, count(*) as n_ties, max(score) as score
            from tied
            group by left_node, right_node
        )
        select
            row_number() over (
                order by
                    weighed.tie,
                    weighed.n_ties desc,
                    weighed.score desc nulls last,
                    coalesce(lefts.name_key = rights.name_key, false) desc,
                    lefts.seniority,
                    rights.seniority
            ) as strength,
            weighed.left_node,
            weighed.right_node
        from weighed
        inner join numbered as lefts on weighed.left_node = lefts.node_no
        inner join numbered as rights on weighed.right_node = rights.node_no""")


def note_kept_apart(connection: duckdb.DuckDBPyConnection, *, everything: bool) -> None:
    """Replace what `identity.kept_apart` says of the customers of the scope.

    A value that parted customers share is the eldest holder's: which node came first here is no fact of the data.
    """
    if not everything:
        connection.execute("""
            delete from identity.kept_apart
            where customer_id in (select customer_id from old_assignment)""")
    connection.execute("""
        insert into identity.kept_apart
        with parted as (
            select distinct parted_nodes.component, scope_assignment.customer_id
            from parted_nodes inner join scope_assignment on parted_nodes.node_no = scope_assignment.node_no
        )
        select customer_id, min(customer_id) over (partition by component) as group_id from parted""")
    connection.execute("""
        update identity.values
        set holder_node = eldest.node_no
        from (
            select claims.value, min(struct_pack(first_arrival, channel, member_id, claims.node_no)).node_no as node_no
            from identity.claims
            inner join identity.memberships on claims.node_no = memberships.node_no
            semi join parted_nodes on claims.node_no = parted_nodes.node_no
            anti join identity.value_splits on claims.value = value_splits.value
            where claims.owner_no is not null
            group by claims.value
        ) as eldest
        where values.value = eldest.value and values.holder_node is not null""")
