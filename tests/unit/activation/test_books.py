"""Log, reconciliation and explanation."""

from __future__ import annotations

import duckdb
import pytest
import sqlalchemy as sa

from pipelines.activation.explain import explain_delivery
from pipelines.activation.log import ACTIVATION_LOG, activation_log
from pipelines.activation.reconcile import reconcile_activation
from pipelines.activation.tables import deliveries
from pipelines.errors import PermanentError


def faults(world):
    return [check.name for check in reconcile_activation(world.settings, world.engine) if not check.ok]


def test_an_empty_log_has_the_columns_of_the_mart(world):
    with duckdb.connect() as connection:
        activation_log(world.engine)(connection, "log")
        assert dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE log)").fetchall()) == (
            ACTIVATION_LOG
        )
        assert connection.execute("SELECT count(*) FROM log").fetchall() == [(0,)]


def test_the_log_has_one_row_per_delivery_with_instants_in_utc(world):
    world.publish([world.person("c1", skus=["a"])])
    world.push()
    rows = world.log()

    assert sorted(row["operation"] for row in rows) == ["coupon", "recommendations", "tags"]
    assert {row["decided_at"] for row in rows} == {world.now}
    assert len({row["delivery_id"] for row in rows}) == 3


def test_the_log_is_read_whole_over_many_chunks(world, monkeypatch):
    from pipelines.activation import exchange

    monkeypatch.setattr(exchange, "CHUNK", 7)
    world.publish([world.person(f"c{number:02d}") for number in range(20)])
    world.push()

    assert len(world.log()) == 40
    assert faults(world) == []


def test_the_books_balance_after_a_push(world):
    world.campaign(holdout={"share": "0.3"}, budget={"coupons": 5, "liability": "150"})
    world.publish([world.person(f"c{number:02d}", skus=["a"], consent=number % 4 > 0) for number in range(30)])
    world.push()
    checks = {check.name: check for check in reconcile_activation(world.settings, world.engine)}

    assert faults(world) == []
    audience = checks["campaign recall, wave 1, files: audience = sum of outcome states"]
    assert (audience.expected, audience.actual) == (30, 30)
    assert checks["campaign recall: liability within the budget"].actual == "150.00"
    assert checks["files coupon: applied = received"].expected == 5


def test_the_books_balance_before_anything_was_pushed(world):
    assert faults(world) == []


def test_a_lost_file_is_noticed(world):
    world.publish([world.person("c1")])
    world.push()
    for path in (world.settings.outbound / "files" / "coupons").iterdir():
        path.unlink()

    assert faults(world) == ["files coupon: applied = received"]


def test_a_lost_decision_is_noticed(world):
    world.publish([world.person("c1"), world.person("c2", consent=False)])
    world.push()
    with world.engine.begin() as transaction:
        transaction.execute(deliveries.delete().where(deliveries.c.state == "suppressed"))

    assert faults(world) == ["campaign recall, wave 1, files: audience = sum of outcome states"]


def test_a_budget_lowered_below_what_was_spent_is_noticed(world):
    world.publish([world.person("c1"), world.person("c2")])
    world.push()
    world.campaign(budget={"coupons": 1, "liability": "59.99"})

    assert faults(world) == [
        "campaign recall: coupons within the budget",
        "campaign recall: liability within the budget",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "The destination confirmed it"),
        ({"consent": False}, "Reason: no consent to marketing"),
        ({"lifecycle": "dormant", "staff": True}, "Reason: staff"),
    ],
)
def test_a_coupon_is_explained_in_words(world, changes, words):
    world.publish([world.person("c1", **changes)])
    world.push()
    (row,) = world.log("coupon")

    text = explain_delivery(world.engine, row["delivery_id"])
    assert words in text
    assert "customer c1 at destination files" in text
    assert "campaign recall, wave 1" in text


def test_tags_and_lists_are_explained_too(world):
    world.publish([world.person("c1", skus=["a", "b"])])
    world.push()
    world.publish([])
    world.push()
    words = [explain_delivery(world.engine, row["delivery_id"]) for row in world.log() if row["operation"] != "coupon"]

    assert any("Products in order: a b." in text for text in words)
    assert any("The list is withdrawn." in text for text in words)
    assert any("-lifecycle=dormant" in text for text in words)


def test_a_waiting_delivery_says_when_it_is_tried_again(world, fake):
    fake.answers["coupon"] = lambda record: ("retry_after", 3600)
    world.publish([world.person("c1")])
    world.push()
    (row,) = world.log("coupon")

    assert "Next attempt from 2026-04-01 03:00 UTC." in explain_delivery(world.engine, row["idempotency_key"])


def test_an_unknown_delivery_is_said_in_words(world):
    with pytest.raises(PermanentError, match="There is no delivery 'd0'"):
        explain_delivery(world.engine, "d0")


def test_the_state_holds_no_payload_of_what_will_not_be_sent(world):
    world.publish([world.person("c1", consent=False)])
    world.push()

    with world.engine.begin() as transaction:
        count = transaction.execute(sa.text("SELECT count(*) FROM delivery_payloads")).scalar()
    assert count == 0
