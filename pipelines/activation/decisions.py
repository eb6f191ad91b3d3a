"""Coupon decisions: what becomes of each member of a campaign's audience, once a wave.

Belongs here: audience, suppression, caps, holdout and budget, set-based in DuckDB. The order of the rules matters:
suppressed before capped before the draw, so that held-out and treated persons come from the same population; and the
budget ends both at the same place of the order, so that the control group isn't drawn from persons whom the money
would never have reached. Does not belong here: sending.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import duckdb

from pipelines.activation import decision_rules as rules
from pipelines.activation.audience_data import COUPON_HISTORY
from pipelines.activation.campaigns import Campaign, Cap
from pipelines.activation.coupons import coupon_code
from pipelines.activation.exchange import CHUNK, create, fetch_chunks, insert
from pipelines.activation.tables import LIVE
from pipelines.errors import ConfigurationError
from pipelines.published import Published

_DRAW_BITS = 48
_CODES = {"customer_id": "VARCHAR", "code": "VARCHAR"}


@dataclass(frozen=True)
class CampaignDecision:
    """What one planning decided. states: persons newly decided, by outcome (planned, held_out, suppressed, capped).

    already: members of the audience who had been decided in this wave before.
    """

    campaign_id: str
    wave: str
    destinations: tuple[str, ...]
    audience: int
    already: int
    states: dict[str, int] = field(default_factory=dict)
    samples: tuple[str, ...] = ()

    @property
    def decided(self) -> int:
        return sum(self.states.values())


def decide(
    connection: duckdb.DuckDBPyConnection,
    published: Published,
    campaign_id: str,
    campaign: Campaign,
    destinations: list[str],
    caps: tuple[Cap, ...],
    secret: bytes,
    now: datetime,
) -> CampaignDecision:
    """Decide on every member of the audience who isn't decided in this wave yet.

    Needs `persons`, `coupon_history`, `lineage`, and `campaign_addresses` (destination, customer_id, address) of those
    whom a destination knows. destinations: where the coupon is issued; each gets a delivery per decision. Adds the
    decisions to `coupon_history` and `lineage`, so that the next campaign's caps see them. The deliveries are left in
    the temporary table `newly_planned`.
    """
    wave = campaign.wave_on(published.as_of)
    audience = _make_audience(connection, published, campaign_id, campaign)
    salt = campaign.holdout.salt or campaign_id
    connection.execute(rules.UNDECIDED, {"campaign_id": campaign_id, "wave": wave, "salt": salt})
    connection.execute(rules.SUPPRESSED)
    _make_capped(connection, published.as_of, campaign, caps)
    budget = campaign.budget
    connection.execute(
        rules.OUTCOMES,
        {
            "campaign_id": campaign_id,
            "live": list(LIVE),
            "holdout_below": int(campaign.holdout.share * 2**_DRAW_BITS),
            "by_monetary": campaign.priority == "monetary",
            "max_coupons": budget.coupons,
            "max_cents": None if budget.liability is None else int(budget.liability * 100),
            "liability_cents": campaign.offer.liability_cents,
        },
    )
    _make_deliveries(connection, published, campaign_id, campaign, destinations, secret, now)
    states = dict(connection.execute("SELECT state, count(*) FROM outcomes GROUP BY state ORDER BY state").fetchall())
    samples = connection.execute(
        """
        SELECT state || ' ' || customer_id || coalesce(': ' || reason, '')
        FROM outcomes
        QUALIFY row_number() OVER (PARTITION BY state ORDER BY customer_id) <= 2
        ORDER BY state, customer_id
        """
    ).fetchall()
    return CampaignDecision(
        campaign_id,
        wave,
        tuple(destinations),
        audience,
        audience - sum(states.values()),
        states,
        tuple(text for (text,) in samples),
    )


def _make_audience(
    connection: duckdb.DuckDBPyConnection, published: Published, campaign_id: str, campaign: Campaign
) -> int:
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    wanted = campaign.audience
    for name, table, values in (
        ("segments", "segment_members", wanted.segments),
        ("lifecycle", "customer_rfm", wanted.lifecycle),
    ):
        if values and table not in published.tables:
            raise ConfigurationError(
                f"campaigns.{campaign_id}.audience.{name} needs marts.{table}, which snapshot "
                f"{published.snapshot_id} lacks; run `omnilake run`."
            )
    if wanted.segments:
        _check_segments(connection, published, campaign_id, wanted.segments)
        conditions.append("SELECT customer_id FROM marts.segment_members WHERE list_contains($segments, segment)")
        parameters["segments"] = list(wanted.segments)
    if wanted.lifecycle:
        conditions.append(
            "SELECT customer_id FROM marts.customer_rfm WHERE snapshot_date = $as_of "
            "AND list_contains($lifecycle, lifecycle)"
        )
        parameters |= {"lifecycle": list(wanted.lifecycle), "as_of": published.as_of}
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE audience AS SELECT DISTINCT customer_id FROM "
        f"({' INTERSECT '.join(conditions)}) AS members WHERE customer_id IS NOT NULL",
        parameters,
    )
    worth = "SELECT NULL::VARCHAR AS customer_id, 0 AS monetary WHERE false"
    if "customer_rfm" in published.tables:
        worth = f"SELECT customer_id, monetary FROM marts.customer_rfm WHERE snapshot_date = '{published.as_of}'"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE worth AS {worth}")
    return int(connection.execute("SELECT count(*) FROM audience").fetchall()[0][0])


def _check_segments(
    connection: duckdb.DuckDBPyConnection, published: Published, campaign_id: str, wanted: tuple[str, ...]
) -> None:
    """A misspelt segment would be an empty audience that nobody notices."""
    if "segments" not in published.tables:
        return
    valid = [name for (name,) in connection.execute("SELECT segment FROM marts.segments ORDER BY position").fetchall()]
    unknown = [name for name in wanted if name not in valid]
    if unknown:
        raise ConfigurationError(
            f"campaigns.{campaign_id}.audience.segments names {', '.join(unknown)}; "
            f"segments.yml has: {', '.join(valid)}."
        )


def _make_capped(connection: duckdb.DuckDBPyConnection, as_of: date, campaign: Campaign, caps: tuple[Cap, ...]) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE capped (customer_id VARCHAR, reason VARCHAR)")
    for cap in caps:
        if cap.campaign_kind in (None, campaign.kind):
            connection.execute(
                rules.CAPPED,
                {
                    "live": list(LIVE),
                    "kind": cap.campaign_kind,
                    "words": f" of kind {cap.campaign_kind}" if cap.campaign_kind else "",
                    "since": as_of - timedelta(days=cap.days),
                    "days": cap.days,
                    "at_most": cap.at_most,
                },
            )


def _make_deliveries(
    connection: duckdb.DuckDBPyConnection,
    published: Published,
    campaign_id: str,
    campaign: Campaign,
    destinations: list[str],
    secret: bytes,
    now: datetime,
) -> None:
    wave = campaign.wave_on(published.as_of)
    treated = connection.execute(
        "SELECT customer_id FROM outcomes WHERE state = 'planned' ORDER BY customer_id"
    ).fetchall()
    codes = ([customer_id, coupon_code(secret, campaign_id, wave, customer_id)] for (customer_id,) in treated)
    create(connection, "codes", _CODES)
    insert(connection, "codes", _CODES, iter(lambda: list(islice(codes, CHUNK)), []))
    offer = campaign.offer
    parameters: dict[str, Any] = {
        "campaign_id": campaign_id,
        "campaign_kind": campaign.kind,
        "wave": wave,
        "destinations": destinations,
        "decided_on": published.as_of,
        "decided_at": now,
        "snapshot_id": published.snapshot_id,
        "valid_to": published.as_of + timedelta(days=offer.valid_days),
        "liability_cents": offer.liability_cents,
        "offer_kind": offer.kind,
        "offer_value": str(offer.value),
        "offer_threshold": str(offer.threshold),
        "offer_currency": offer.currency,
        "offer_max_discount": None if offer.max_discount is None else str(offer.max_discount),
    }
    connection.execute(f"CREATE OR REPLACE TEMP TABLE newly_planned AS {rules.PLANNED}", parameters)
    connection.execute(f"INSERT INTO coupon_history BY NAME SELECT {', '.join(COUPON_HISTORY)} FROM newly_planned")
    connection.execute(
        """
        INSERT INTO lineage
        SELECT DISTINCT newly_planned.customer_id, newly_planned.customer_id AS person, 'self' AS via
        FROM newly_planned
        ANTI JOIN lineage ON newly_planned.customer_id = lineage.customer_id AND lineage.via = 'self'
        """
    )


def find_withheld(
    connection: duckdb.DuckDBPyConnection, as_of: date, misplaced: list[dict[str, str]]
) -> list[dict[str, str]]:
    """Coupons still waiting that may no longer go out: consent withdrawn, staff, expired, merged (delivery_id, state,
    reason), and those `misplaced` with another person's account. What they would have cost is free again for others:
    `coupon_history` is corrected too.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE withheld AS {rules.WITHHELD}", {"as_of": as_of})
    for row in misplaced:
        connection.execute(
            "INSERT INTO withheld SELECT $delivery_id, $state, $reason "
            "WHERE $delivery_id NOT IN (SELECT delivery_id FROM withheld)",
            row,
        )
    connection.execute(
        "UPDATE coupon_history SET state = withheld.state FROM withheld "
        "WHERE coupon_history.delivery_id = withheld.delivery_id"
    )
    return [row for chunk in fetch_chunks(connection, "SELECT * FROM withheld") for row in chunk]
