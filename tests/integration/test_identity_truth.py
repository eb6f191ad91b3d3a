"""Persons that identity finds against the truth of simulated retailers: exact links, corrections' hubs and linkage.

Recall is measured twice. Of the pairs that share a value of their own, directly or over others, nearly all must be
found. Of all pairs of memberships of one person many cannot be: one left a union id, the other a card number. Linkage
finds those whose names, birthdays and addresses are enough; the rest is a fact of the data.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from models.evaluate.clusters import ClusterQuality, cluster_quality
from pipelines.channels import load_channels
from pipelines.feeds.load import load_landing
from pipelines.identity import find_customers
from pipelines.prepare import prepare_warehouse
from pipelines.settings import load_settings
from pipelines.simulation import simulate
from pipelines.state import state
from pipelines.warehouse import open_warehouse, single_writer

pytestmark = pytest.mark.slow
AS_OF = date(2026, 6, 30)
FEEDS = ["members", "orders", "events", "points", "coupons", "reviews", "staff"]


def measure(folder: Path, seed: int) -> tuple[ClusterQuality, ClusterQuality]:
    """Quality of the customers against persons, and against what of each person any identifier ties together."""
    simulate(folder / "landing", folder / "truth", 5000, 180, seed, 8000, AS_OF)
    settings = load_settings(folder / "home", folder / "landing", folder / "landing" / "channels.yml", {})
    with single_writer(settings), state(settings) as engine:
        channels = load_channels(settings)
        load_landing(settings, channels, engine, "run", FEEDS)
        prepare_warehouse(settings, channels, engine, AS_OF)
        with open_warehouse(settings) as connection:
            find_customers(connection, settings)
            found = connection.execute(f"""
                select truth.person_id, truth.component, identities.customer_id
                from '{folder}/truth/persons.parquet' as truth
                inner join identity.identities as identities
                    on identities.kind = 'member' and identities.channel = truth.channel
                    and identities.identity = truth.member_id""").fetchnumpy()
    customers, persons, components = (
        np.unique(np.asarray(found[name]), return_inverse=True)[1] for name in ("customer_id", "person_id", "component")
    )
    return cluster_quality(customers, persons), cluster_quality(customers, components)


@pytest.mark.parametrize("seed", [3, 7])
def test_the_persons_of_a_simulated_retailer_are_found(tmp_path: Path, seed: int) -> None:
    of_persons, of_linkable = measure(tmp_path, seed)
    precision, recall = of_persons.precision, of_linkable.recall
    f1 = 2 * precision * recall / (precision + recall)
    print(f"precision {precision:.4f}, recall {recall:.4f} (F1 {f1:.4f}), of all pairs {of_persons.recall:.4f}")
    assert f1 >= 0.995
    assert precision >= 0.995
    assert of_persons.recall > of_linkable.pairs_true / of_persons.pairs_true + 0.05
