"""The Dagster definitions of one home folder; `omnilake run` and `omnilake dagster` use the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource

from pipelines.assets.checks import CHECKS
from pipelines.assets.connectors import pulled
from pipelines.assets.ingest import ingest
from pipelines.assets.jobs import build_automation, build_jobs
from pipelines.assets.marts import build_dbt_assets, customer_scores, recommendations, stock_health
from pipelines.assets.platform import Platform, RunOptions
from pipelines.assets.publishing import build_publishing_assets
from pipelines.assets.warehouse import prepare, resolve_identity
from pipelines.dbt import DBT_EXECUTABLE, ensure_manifest
from pipelines.settings import DBT_PROJECT, Settings, load_settings


def build_defs(settings: Settings, platform: Platform | None = None, **resources: Any) -> dg.Definitions:
    """All assets, checks, jobs, schedules and the sensor of the home folder that `settings` names.

    platform, resources: replacements, for tests and for callers that show progress.
    Raises ConfigurationError if channels.yml is wrong.
    """
    platform = platform or Platform(settings)
    dbt = build_dbt_assets(ensure_manifest(settings), settings.dbt_target)
    written = [recommendations.key, customer_scores.key, stock_health.key]
    marts = [*sorted(key for key in dbt.keys if key.path[0] == "marts"), *written]
    schedules, sensors = build_automation(platform.channels.timezone)
    given: Mapping[str, Any] = {
        "platform": platform,
        "options": RunOptions.configure_at_launch(),
        "dbt_cli": DbtCliResource(
            project_dir=str(DBT_PROJECT), profiles_dir=str(DBT_PROJECT), dbt_executable=str(DBT_EXECUTABLE)
        ),
    }
    return dg.Definitions(
        assets=[
            pulled,
            ingest,
            prepare,
            resolve_identity,
            dbt,
            recommendations,
            customer_scores,
            stock_health,
            *build_publishing_assets(marts),
        ],
        asset_checks=CHECKS,
        jobs=build_jobs(),
        schedules=schedules,
        sensors=sensors,
        resources={**given, **resources},
        loggers={"file": _file_logger(settings)},
        executor=dg.in_process_executor,
    )


def _file_logger(settings: Settings) -> dg.LoggerDefinition:
    """Dagster's log goes to a file of the home: the terminal belongs to progress and to the one line of a fault."""

    @dg.logger({}, description="Appends to HOME/logs/dagster.log")
    def file_logger(_context: dg.InitLoggerContext) -> logging.Logger:
        settings.logs.mkdir(parents=True, exist_ok=True)
        log = logging.Logger("omnilake.run", level=logging.INFO)
        handler = logging.FileHandler(settings.logs / "dagster.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        return log

    return file_logger


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev -m pipelines.definitions` loads: the home of the environment."""
    return build_defs(load_settings())
