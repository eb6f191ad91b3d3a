"""Random orders through the SQL ledger and through the plain Python one: equal to the cent, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.settings import Settings
from tests.support.dbt_models import CompiledModels, memory_warehouse
from tests.support.raw_tables import a_channel, create_warehouse_tables, the_channels
from tests.unit.ledger.reference_ledger import Event, World, book

FIRST = datetime(2026, 3, 20)  # the American clocks have changed, the European ones do on the 29th
AS_OF = date(2026, 4, 5)

WORLD = World(
    as_of=AS_OF,
    channels={"pos": ("Asia/Shanghai", time(4)), "web": ("Europe/Berlin", time(0))},
    store_zones={"ny": "America/New_York"},
    products={
        "food": ("food/snack", Decimal("0.09")),
        "coat": ("wear/coat", Decimal("0.13")),
        "card": ("gift_card/100", None),
        "phone": ("top_up/mobile", Decimal("0.06")),
        "holder": ("gift_card_holders", None),
    },
    rates={
        "USD": {date(2026, 3, 1): Decimal("7.1234"), date(2026, 3, 28): Decimal("7.0501234567")},
        "JPY": {date(2026, 3, 10): Decimal("0.0478")},
        "EUR": {date(2026, 3, 27): Decimal("7.8")},
    },
)
CHANNELS = the_channels(
    a_channel("pos", business_day_cutoff=time(4)), a_channel("web", timezone="Europe/Berlin", online=True)
)


def money(limit: int, decimals: int = 4) -> st.SearchStrategy[Decimal]:
    scale = 10**decimals
    return st.integers(0, limit * scale).map(lambda units: Decimal(units) / scale)


moments = st.integers(0, 20 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))
tax_rates = st.sampled_from([None, *map(Decimal, ("0", "0.06", "0.09", "0.13", "0.19", "0.065"))])
currencies = st.sampled_from(["CNY", "CNY", "USD", "JPY", "EUR"])
prices = st.one_of(money(300, 2), money(300, 2), money(50, 4), money(9, 0), money(3_000_000_000, 2))

lines = st.fixed_dictionaries(
    {
        "sku": st.sampled_from(["food", "food", "coat", "card", "phone", "holder", "unheard"]),
        "quantity": st.one_of(
            st.integers(1, 6).map(Decimal), st.integers(1, 39_999).map(lambda n: Decimal(n) / 10_000)
        ),
        "unit_list_price": st.one_of(st.none(), prices),
        "unit_price": prices,
        "discount_amount": st.one_of(st.none(), st.just(Decimal(0)), money(20, 2)),
        "tax_rate": tax_rates,
        "is_gift": st.sampled_from([None, False, False, False, True]),
    }
)
refunds = st.fixed_dictionaries(
    {
        "refunded_at": moments,
        "amount": st.one_of(money(400, 2), money(5, 4)),
        "currency": st.one_of(st.none(), st.none(), st.none(), currencies),
        "lines": st.one_of(
            st.none(),
            st.lists(
                st.fixed_dictionaries(
                    {
                        "line_id": st.sampled_from(["1", "2", "3", "4", "elsewhere"]),
                        "quantity": st.one_of(st.none(), st.integers(1, 3).map(Decimal)),
                        "amount": st.one_of(money(200, 2), money(200, 2), money(3, 4)),
                    }
                ),
                max_size=3,
            ),
        ),
    }
)
orders = st.fixed_dictionaries(
    {
        "channel": st.sampled_from(["pos", "web"]),
        "store_id": st.sampled_from([None, "ny", "nowhere"]),
        "status": st.sampled_from(["paid", "paid", "completed", "partially_refunded", "pending", "cancelled"]),
        "placed_at": moments,
        "paid_at": st.one_of(st.none(), moments),
        "cancelled_at": moments,
        "currency": currencies,
        "discount_amount": st.one_of(st.none(), money(60, 2), money(9, 4)),
        "points": st.one_of(st.none(), st.none(), money(20, 2)),
        "is_test": st.sampled_from([None, None, None, None, True]),
        "lines": st.lists(lines, min_size=1, max_size=4),
        "refunds": st.lists(refunds, max_size=4),
    }
)


def rows_of(drawn: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    order_rows, refund_rows = [], []
    for number, draw in enumerate(drawn):
        order = {**draw, "order_id": f"o{number}"}
        points, own_refunds = order.pop("points"), order.pop("refunds")
        order["updated_at"] = order["placed_at"]
        order["paid_amount"] = Decimal(0)
        order["lines"] = [{**line, "line_id": str(place)} for place, line in enumerate(draw["lines"], start=1)]
        order["tenders"] = [{"type": "cash", "amount": Decimal(1)}]
        if points is not None:
            order["tenders"].append({"type": "points", "amount": points})
        order_rows.append(order)
        for place, refund in enumerate(own_refunds):
            refund_rows.append(
                {
                    **refund,
                    "channel": order["channel"],
                    "order_id": order["order_id"],
                    "refund_id": f"r{number}-{place}",
                    "updated_at": refund["refunded_at"],
                    "currency": refund["currency"] or order["currency"],
                }
            )
    return order_rows, refund_rows


def feeds_of(order_rows: list[dict[str, Any]], refund_rows: list[dict[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    return {
        "orders": order_rows,
        "refunds": refund_rows,
        "products": [
            {"sku": sku, "updated_at": FIRST, "name": sku, "category_path": path, "tax_rate": rate}
            for sku, (path, rate) in WORLD.products.items()
        ],
        "stores": [
            {"store_id": store_id, "updated_at": FIRST, "name": store_id, "timezone": zone}
            for store_id, zone in WORLD.store_zones.items()
        ],
        "fx_rates": [
            {"currency": currency, "date": day, "rate": rate}
            for currency, rates in WORLD.rates.items()
            for day, rate in rates.items()
        ],
    }


def figures(event: Event) -> tuple[Any, ...]:
    return (event.business_date, event.gross, event.net, event.gross_local, event.net_local)


@given(drawn=st.lists(orders, min_size=20, max_size=40))
@hypothesis_settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # one example is a whole build: shrinking would take minutes
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_every_event_of_random_orders_equals_the_reference_to_the_cent(
    drawn: list[dict[str, Any]], ledger_models: CompiledModels, settings: Settings
) -> None:
    order_rows, refund_rows = rows_of(drawn)
    expected = {
        event.key: figures(event)
        for order in order_rows
        for event in book(WORLD, order, [row for row in refund_rows if row["order_id"] == order["order_id"]])
    }
    with memory_warehouse() as connection:
        create_warehouse_tables(connection, settings, CHANNELS, AS_OF, feeds_of(order_rows, refund_rows))
        ledger_models.upstream_of("category_daily", "sales_daily").build(connection)
        found = {
            tuple(row[:5]): tuple(row[5:])
            for row in connection.execute(
                """
                SELECT channel, order_id, line_id, kind, refund_id,
                       business_date, gross_amount, net_amount, gross_amount_local, net_amount_local
                FROM marts.order_events
                WHERE kind != 'return' OR net_amount_local != 0
                """
            ).fetchall()
        }
        totals = connection.execute(
            """
            SELECT
                (SELECT coalesce(sum(net_amount), 0) FROM marts.order_events),
                (SELECT coalesce(sum(net_amount), 0) FROM marts.sales_daily),
                (SELECT coalesce(sum(net_amount_cohort), 0) FROM marts.sales_daily),
                (SELECT coalesce(sum(net_amount), 0) FROM marts.category_daily)
            """
        ).fetchone()
    expected = {key: value for key, value in expected.items() if key[3] != "return" or value[4]}
    assert found == expected
    assert totals is not None
    assert len(set(totals)) == 1
