"""Desired-state differences: what a destination should hold of ours, less what it holds.

Belongs here: the desired tags and recommendation lists of a snapshot and their difference to `destination_state`, as
planned deliveries, set-based in DuckDB. Does not belong here: coupons, which are decided once and never differenced.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb
import sqlalchemy as sa

from pipelines.activation import outbox
from pipelines.activation.exchange import copy_into, fetch_chunks
from pipelines.activation.plans import Sink
from pipelines.activation.tables import FAILED, PENDING, deliveries, destination_state
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import DestinationSettings
from pipelines.published import Published

_SAMPLES = 3
_SLICE_ROWS = 1_000_000
"""DuckDB aggregates lists in memory alone, so only so many rows at a time."""

_HELD = {
    "address": "VARCHAR",
    "customer_id": "VARCHAR",
    "version": "BIGINT",
    "fingerprint": "VARCHAR",
    "content": "VARCHAR",
}
_OPEN = {
    "delivery_id": "VARCHAR",
    "address": "VARCHAR",
    "customer_id": "VARCHAR",
    "version": "BIGINT",
    "fingerprint": "VARCHAR",
    "state": "VARCHAR",
}

_DESIRED_TAGS = """
    SELECT
        addresses.address,
        addresses.customer_id,
        sha256(string_agg(tag || chr(31) || value, chr(30) ORDER BY tag, value)) AS fingerprint,
        to_json(list({'tag': tag, 'value': value} ORDER BY tag, value))::VARCHAR AS content
    FROM (
        SELECT DISTINCT
            customer_id,
            tag,
            coalesce(value, '') AS value
        FROM marts.customer_tags
        WHERE
            tag IS NOT NULL
            AND ($tags IS NULL OR list_contains($tags, tag))
            AND hash(customer_id) % $slices = $slice
    ) AS tags
    INNER JOIN addresses ON tags.customer_id = addresses.customer_id
    GROUP BY addresses.address, addresses.customer_id
"""

_DESIRED_RECOMMENDATIONS = """
    SELECT
        addresses.address,
        addresses.customer_id,
        sha256(
            string_agg(
                concat_ws(chr(31), rank, sku, coalesce(reason, ''), coalesce(store_id, '')),
                chr(30) ORDER BY rank, sku
            )
        ) AS fingerprint,
        to_json(
            list({'rank': rank, 'sku': sku, 'reason': reason, 'store_id': store_id} ORDER BY rank, sku)
        )::VARCHAR AS content
    FROM marts.recommendations AS recommendations
    INNER JOIN addresses ON recommendations.customer_id = addresses.customer_id
    WHERE hash(recommendations.customer_id) % $slices = $slice
    GROUP BY addresses.address, addresses.customer_id
"""
"""Neither score nor as-of date is part of the fingerprint: a list that reads the same is not sent again."""

_SOURCE_TABLES = {Operation.TAGS: "customer_tags", Operation.RECOMMENDATIONS: "recommendations"}

_CHANGES = """
    CREATE OR REPLACE TEMP TABLE changes AS
    WITH targets AS (
        SELECT
            coalesce(desired.address, held.address) AS address,
            coalesce(desired.customer_id, held.customer_id) AS customer_id,
            coalesce(desired.fingerprint, '') AS fingerprint,
            coalesce(desired.content, '[]') AS content,
            coalesce(held.fingerprint, '') AS held_fingerprint,
            coalesce(held.content, '[]') AS held_content,
            coalesce(held.version, 0) AS held_version
        FROM desired
        FULL JOIN held ON desired.address = held.address
    ),

    pending AS (
        SELECT * FROM open_deliveries WHERE list_contains($pending, state)
    ),

    failed AS (
        SELECT * FROM open_deliveries WHERE list_contains($failed, state)
    )

    SELECT
        targets.address,
        targets.customer_id,
        targets.fingerprint,
        targets.content,
        targets.held_content,
        greatest(targets.held_version, coalesce(pending.version, 0)) + 1 AS version,
        CASE
            WHEN targets.fingerprint = '' THEN 'delete'
            WHEN targets.held_fingerprint = '' THEN 'create'
            ELSE 'update'
        END AS kind
    FROM targets
    LEFT JOIN pending ON targets.address = pending.address
    LEFT JOIN failed
        ON
            targets.address = failed.address
            AND targets.fingerprint = failed.fingerprint
            AND targets.held_version + 1 = failed.version
    WHERE
        targets.fingerprint <> targets.held_fingerprint
        AND (pending.address IS NULL OR (pending.state = 'planned' AND pending.fingerprint <> targets.fingerprint))
        AND failed.address IS NULL
"""
"""Left out: what is on its way, what is in doubt (resolved first), and what the destination refused as it is."""

_OVERTAKEN = """
    SELECT
        open_deliveries.delivery_id,
        open_deliveries.address,
        open_deliveries.customer_id,
        open_deliveries.version
    FROM open_deliveries
    LEFT JOIN desired ON open_deliveries.address = desired.address
    WHERE open_deliveries.state = 'planned' AND open_deliveries.fingerprint <> coalesce(desired.fingerprint, '')
"""

_TAG_PAYLOADS = """
    WITH slice AS (
        SELECT * FROM changes WHERE hash(address) % $slices = $slice
    ),

    wanted AS (
        SELECT address, unnest(from_json(content, '[{"tag":"VARCHAR","value":"VARCHAR"}]')) AS label FROM slice
    ),

    present AS (
        SELECT address, unnest(from_json(held_content, '[{"tag":"VARCHAR","value":"VARCHAR"}]')) AS label FROM slice
    ),

    added AS (
        SELECT wanted.address, list(wanted.label ORDER BY wanted.label) AS labels
        FROM wanted
        ANTI JOIN present ON wanted.address = present.address AND wanted.label = present.label
        GROUP BY wanted.address
    ),

    removed AS (
        SELECT present.address, list(present.label ORDER BY present.label) AS labels
        FROM present
        ANTI JOIN wanted ON wanted.address = present.address AND wanted.label = present.label
        GROUP BY present.address
    )

    SELECT
        slice.address,
        to_json({
            'add': coalesce(added.labels, []),
            'remove': coalesce(removed.labels, [])
        }) AS body,
        slice.content,
        concat_ws(
            ' ',
            array_to_string(list_transform(removed.labels, lambda label: '-' || label.tag || '=' || label.value), ' '),
            array_to_string(list_transform(added.labels, lambda label: label.tag || '=' || label.value), ' ')
        ) AS subject
    FROM slice
    LEFT JOIN added ON slice.address = added.address
    LEFT JOIN removed ON slice.address = removed.address
"""

_RECOMMENDATION_PAYLOADS = """
    SELECT
        address,
        to_json({'items': content::JSON}) AS body,
        NULL::VARCHAR AS content,
        array_to_string(
            list_transform(from_json(content, '[{"sku":"VARCHAR"}]'), lambda item: item.sku), ' '
        ) AS subject
    FROM changes
    WHERE hash(address) % $slices = $slice
"""

_PLANNED = """
    WITH keyed AS (
        SELECT
            *,
            sha256(concat_ws(chr(31), $destination, $operation, address, version, fingerprint)) AS digest
        FROM changes
    )

    SELECT
        'd' || substr(keyed.digest, 1, 20) AS delivery_id,
        substr(keyed.digest, 1, 32) AS idempotency_key,
        $destination AS destination,
        $operation AS operation,
        keyed.customer_id,
        keyed.address,
        NULL::VARCHAR AS campaign_id,
        NULL::VARCHAR AS wave,
        keyed.version::BIGINT AS version,
        keyed.fingerprint,
        bodies.subject,
        'planned' AS state,
        NULL::VARCHAR AS reason,
        $decided_on AS decided_on,
        $decided_at::TIMESTAMP AS decided_at,
        $snapshot_id AS snapshot_id,
        NULL::VARCHAR AS campaign_kind,
        0::BIGINT AS liability_cents,
        NULL::DATE AS valid_to,
        to_json({'source_ids': coalesce(persons.source_ids, '[]')::JSON, 'body': bodies.body})::VARCHAR AS payload,
        bodies.content
    FROM keyed
    INNER JOIN bodies ON keyed.address = bodies.address
    LEFT JOIN persons ON keyed.customer_id = persons.customer_id
"""


@dataclass(frozen=True)
class Difference:
    """What one destination lacks of one operation.

    samples: a few changes in words, without PII. stopped: why none of it is planned.
    """

    destination: str
    operation: Operation
    creates: int = 0
    updates: int = 0
    deletes: int = 0
    samples: tuple[str, ...] = ()
    stopped: str | None = None


def plan_differences(
    connection: duckdb.DuckDBPyConnection,
    engine: sa.Engine,
    published: Published,
    destination: str,
    operation: Operation,
    settings: DestinationSettings,
    now: datetime,
    write: bool,
    *,
    allow_deletes: bool = False,
    sink: Sink | None = None,
    ended: set[str] | None = None,
) -> Difference | None:
    """Compare, and with `write` put the difference into the outbox. Needs `persons` and `addresses`.

    settings: the tag names this destination gets, and how much a push may delete there; allow_deletes lifts that.
    sink: is shown every change, and nothing else. ended: is given the waiting deliveries that
    newer data has overtaken. Returns None where the snapshot has no such table: what
    is unknown is not taken for empty, so nothing is withdrawn.
    """
    if _SOURCE_TABLES[operation] not in published.tables:
        return None
    place = (destination, operation.value)
    copy_into(
        connection, engine, "held", _HELD, destination_state,
        destination_state.c.destination == place[0], destination_state.c.operation == place[1],
    )  # fmt: skip
    copy_into(
        connection, engine, "open_deliveries", _OPEN, deliveries,
        deliveries.c.destination == place[0], deliveries.c.operation == place[1],
        deliveries.c.state.in_((*PENDING, *FAILED)),
    )  # fmt: skip
    source = f"marts.{_SOURCE_TABLES[operation]}"
    if operation is Operation.TAGS:
        tags = None if settings.tags is None else list(settings.tags)
        _make_in_slices(connection, "desired", _DESIRED_TAGS, source, {"tags": tags})
    else:
        _make_in_slices(connection, "desired", _DESIRED_RECOMMENDATIONS, source, {})
    connection.execute(_CHANGES, {"pending": list(PENDING), "failed": list(FAILED)})
    payloads = _TAG_PAYLOADS if operation is Operation.TAGS else _RECOMMENDATION_PAYLOADS
    _make_in_slices(connection, "bodies", payloads, "changes", {})
    difference = _difference(connection, destination, operation)
    if not allow_deletes and (stopped := _too_many_deletes(connection, settings, difference)):
        return replace(difference, stopped=stopped)
    overtaken = [row for chunk in fetch_chunks(connection, _OVERTAKEN) for row in chunk]
    if ended is not None:
        ended.update(row["delivery_id"] for row in overtaken)
    parameters = {
        "destination": destination,
        "operation": operation.value,
        "decided_on": published.as_of,
        "decided_at": now,
        "snapshot_id": published.snapshot_id,
    }
    if sink:
        query = f"SELECT planned.*, changes.kind FROM ({_PLANNED}) AS planned INNER JOIN changes USING (address)"
        for chunk in fetch_chunks(connection, query, parameters):
            sink(chunk)
    if write:
        outbox.supersede(
            engine, [{**row, "destination": destination, "operation": operation.value} for row in overtaken]
        )
        outbox.insert_planned(engine, fetch_chunks(connection, _PLANNED, parameters))
    return difference


def _make_in_slices(
    connection: duckdb.DuckDBPyConnection, table: str, query: str, source: str, parameters: dict[str, Any]
) -> None:
    """Make the temporary table `table` of a query that aggregates lists over `source`, some customers at a time."""
    rows = connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]
    slices = rows // _SLICE_ROWS + 1
    for number in range(slices):
        target = f"INSERT INTO {table}" if number else f"CREATE OR REPLACE TEMP TABLE {table} AS"
        connection.execute(f"{target} {query}", {**parameters, "slices": slices, "slice": number})


def _too_many_deletes(
    connection: duckdb.DuckDBPyConnection, settings: DestinationSettings, difference: Difference
) -> str | None:
    """Why this difference may not be planned: an empty or broken snapshot must not empty a destination."""
    row = connection.execute("SELECT count(*) FROM held WHERE fingerprint <> ''").fetchone()
    held = int(row[0]) if row else 0
    if difference.deletes <= settings.max_deletes_floor or difference.deletes <= settings.max_deletes_share * held:
        return None
    return (
        f"{difference.destination} {difference.operation}: {difference.deletes} of {held} would be deleted, more than "
        f"max_deletes_share {settings.max_deletes_share} allows; nothing of it was planned. If that is meant: "
        f"omnilake push --destination {difference.destination} --allow-deletes"
    )


def _difference(connection: duckdb.DuckDBPyConnection, destination: str, operation: Operation) -> Difference:
    counts = dict(connection.execute("SELECT kind, count(*) FROM changes GROUP BY kind").fetchall())
    samples = connection.execute(
        f"""
        SELECT changes.kind || ' ' || changes.customer_id || ': ' || bodies.subject
        FROM changes
        INNER JOIN bodies ON changes.address = bodies.address
        QUALIFY row_number() OVER (PARTITION BY changes.kind ORDER BY changes.address) <= {_SAMPLES}
        ORDER BY changes.kind, changes.address
        """
    ).fetchall()
    return Difference(
        destination, operation, counts.get("create", 0), counts.get("update", 0), counts.get("delete", 0),
        tuple(sample for (sample,) in samples),
    )  # fmt: skip
