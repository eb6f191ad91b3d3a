"""Whether the books of activation balance: audience and outcomes, applied and received, spent and budget."""

from __future__ import annotations

import sqlalchemy as sa

from pipelines.activation.campaigns import CampaignFile, load_campaigns
from pipelines.activation.tables import LIVE, campaign_plans, deliveries
from pipelines.checks import Check
from pipelines.destinations.protocol import Operation
from pipelines.destinations.registry import load_destinations
from pipelines.errors import OmnilakeError
from pipelines.settings import Settings


def reconcile_activation(settings: Settings, engine: sa.Engine) -> list[Check]:
    """The equations of activation, each as a Check.

    - per campaign, wave and destination: persons decided = sum of their outcome states;
    - per campaign: coupons and liability within the budget;
    - no person has two codes in one wave;
    - per destination and operation: applied = received, where the destination can tell.

    Raises ConfigurationError for faulty campaigns.yml or destinations.yml.
    """
    destinations = load_destinations(settings)
    campaigns = load_campaigns(settings, set(destinations))
    checks = _audiences(engine) + _budgets(engine, campaigns) + [_one_code_per_person(engine)]
    for name, configured in destinations.items():
        for operation in sorted(configured.destination.capabilities().operations):
            try:
                received = configured.destination.received(operation)
            except (OmnilakeError, OSError) as error:
                words = str(error) if isinstance(error, OmnilakeError) else type(error).__name__
                checks.append(Check(f"{name} {operation}: applied = received", "an answer", "none", False, words))
                continue
            if received is not None:
                sent = _count(engine, name, operation, "applied")
                doubtful = _count(engine, name, operation, "sent") + _count(engine, name, operation, "unknown")
                ok = sent <= received <= sent + doubtful
                detail = f"{doubtful} in doubt, to be read back by the next push" if doubtful else ""
                checks.append(Check(f"{name} {operation}: applied = received", sent, received, ok, detail))
    return checks


def _audiences(engine: sa.Engine) -> list[Check]:
    outcomes = (
        sa.select(
            deliveries.c.campaign_id,
            deliveries.c.wave,
            deliveries.c.destination,
            deliveries.c.state,
            sa.func.count().label("persons"),
        )
        .where(deliveries.c.operation == Operation.COUPON.value)
        .group_by(deliveries.c.campaign_id, deliveries.c.wave, deliveries.c.destination, deliveries.c.state)
    )
    with engine.begin() as transaction:
        plans = transaction.execute(sa.select(campaign_plans)).all()
        counted = transaction.execute(outcomes).all()
    decided: dict[tuple[str, str, str], int] = {}
    for plan in plans:
        for destination in plan.destinations.split():
            place = (plan.campaign_id, plan.wave, destination)
            decided[place] = decided.get(place, 0) + plan.decided
    states: dict[tuple[str, str, str], dict[str, int]] = {place: {} for place in decided}
    for row in counted:
        states.setdefault((row.campaign_id, row.wave, row.destination), {})[row.state] = row.persons
    checks = []
    for place, found in sorted(states.items()):
        campaign_id, wave, destination = place
        expected, actual = decided.get(place, 0), sum(found.values())
        words = ", ".join(f"{count} {state}" for state, count in sorted(found.items()))
        name = f"campaign {campaign_id}, wave {wave}, {destination}: audience = sum of outcome states"
        checks.append(Check(name, expected, actual, expected == actual, words))
    return checks


def _budgets(engine: sa.Engine, campaigns: CampaignFile) -> list[Check]:
    issued = (
        sa.select(
            deliveries.c.campaign_id,
            deliveries.c.wave,
            deliveries.c.customer_id,
            sa.func.max(deliveries.c.liability_cents).label("cents"),
        )
        .where(deliveries.c.operation == Operation.COUPON.value, deliveries.c.state.in_(LIVE))
        .group_by(deliveries.c.campaign_id, deliveries.c.wave, deliveries.c.customer_id)
        .subquery()
    )
    statement = sa.select(
        issued.c.campaign_id, sa.func.count().label("coupons"), sa.func.sum(issued.c.cents).label("cents")
    ).group_by(issued.c.campaign_id)
    with engine.begin() as transaction:
        spent = {row.campaign_id: row for row in transaction.execute(statement)}
    checks = []
    for campaign_id, campaign in campaigns.campaigns.items():
        row = spent.get(campaign_id)
        coupons, cents = (row.coupons, int(row.cents)) if row else (0, 0)
        budget = campaign.budget
        if budget.coupons is not None:
            name = f"campaign {campaign_id}: coupons within the budget"
            checks.append(Check(name, f"at most {budget.coupons}", coupons, coupons <= budget.coupons))
        if budget.liability is not None:
            name = f"campaign {campaign_id}: liability within the budget"
            within = cents <= int(budget.liability * 100)
            words = f"{cents // 100}.{cents % 100:02d}"
            checks.append(Check(name, f"at most {budget.liability}", words, within, campaign.offer.currency))
    return checks


def _one_code_per_person(engine: sa.Engine) -> Check:
    twice = (
        sa.select(deliveries.c.customer_id)
        .where(deliveries.c.operation == Operation.COUPON.value, deliveries.c.state.in_(LIVE))
        .group_by(deliveries.c.campaign_id, deliveries.c.wave, deliveries.c.customer_id)
        .having(sa.func.count(sa.distinct(deliveries.c.subject)) > 1)
        .subquery()
    )
    with engine.begin() as transaction:
        count = int(transaction.execute(sa.select(sa.func.count()).select_from(twice)).scalar_one())
    return Check("persons with two codes in one wave", 0, count, count == 0)


def _count(engine: sa.Engine, destination: str, operation: Operation, state: str) -> int:
    statement = sa.select(sa.func.count()).where(
        deliveries.c.destination == destination,
        deliveries.c.operation == operation.value,
        deliveries.c.state == state,
    )
    with engine.begin() as transaction:
        return int(transaction.execute(statement).scalar_one())
