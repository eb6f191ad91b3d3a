"""Everything the warehouse needs before identity and dbt: views over the lake, configuration, the run's records."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from pipelines.activation.experiments import load_experiments
from pipelines.activation.issued import load_issued_coupons
from pipelines.channels import Channels
from pipelines.feeds.ops import load_ops
from pipelines.feeds.views import create_raw_views
from pipelines.reference import load_reference
from pipelines.runs import load_runs
from pipelines.settings import Settings
from pipelines.warehouse import open_warehouse


def prepare_warehouse(settings: Settings, channels: Channels, engine: sa.Engine, as_of: date) -> None:
    """(Re)create the schemas raw, reference and ops; the same inputs give the same tables."""
    with open_warehouse(settings) as connection:
        load_reference(connection, settings, channels, as_of)
        create_raw_views(connection, settings, channels)
        load_ops(connection, settings, engine)
        load_runs(connection, engine)
        load_issued_coupons(connection, engine)
        load_experiments(connection, settings, engine)
