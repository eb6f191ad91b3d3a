"""Warehouse to marts: the dbt project as assets, its data tests as asset checks, the models' output beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from pipelines.assets.platform import WAREHOUSE_POOL, Platform, RunOptions
from pipelines.customer_scores import score_customers
from pipelines.dbt import dbt_environment
from pipelines.recommendations import load_rules, write_recommendations
from pipelines.stock_health import write_stock_health
from pipelines.warehouse import open_warehouse


class Translator(DagsterDbtTranslator):
    """Groups are the dbt schemas: staging, intermediate, marts."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return dbt_resource_props.get("config", {}).get("schema") or super().get_group_name(dbt_resource_props)


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """dbt's lines belong to a file: the terminal shows the progress of the whole job."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as output, redirect_stdout(output):
        yield


def build_dbt_assets(manifest: Path, target_path: Path) -> dg.AssetsDefinition:
    """The dbt models of the manifest as one set of assets."""

    @dbt_assets(manifest=manifest, name="dbt", dagster_dbt_translator=Translator(), pool=WAREHOUSE_POOL)
    def dbt(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        options: RunOptions,
        dbt_cli: DbtCliResource,
    ) -> Iterator[Any]:
        # Unit tests speak of the code and not of tonight's data: the project's own tests run them.
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        if options.full_refresh:
            arguments.append("--full-refresh")
        with platform.step(), dbt_environment(platform.settings), _output_to(platform.settings.logs / "dbt.out"):
            platform.progress("dbt: building and testing the marts")
            yield from dbt_cli.cli(arguments, context=context, target_path=target_path).stream()

    return dbt


@dg.asset(
    key=["marts", "recommendations"],
    group_name="models",
    deps=[
        ["marts", name] for name in ("order_events", "customers", "customer_identities", "products", "stock", "stores")
    ],
    kinds={"duckdb", "scikitlearn"},
    pool=WAREHOUSE_POOL,
)
def recommendations(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
) -> dg.MaterializeResult:
    """What to show each customer next, with a reason. One row per (customer_id, rank)."""
    with platform.step():
        platform.progress("recommend: what to show every customer next")
        rules = load_rules(platform.settings)
        with open_warehouse(platform.settings) as connection:
            report = write_recommendations(
                connection, platform.engine, platform.as_of(options.as_of), platform.channels.language, rules,
                progress=platform.progress,
            )  # fmt: skip
    return dg.MaterializeResult(
        metadata={"dagster/row_count": report.rows, "version": report.version or "", "learned": report.words}
    )


@dg.asset(
    key=["marts", "customer_scores"],
    group_name="models",
    deps=[["marts", "orders"]],
    kinds={"duckdb", "scikitlearn"},
    pool=WAREHOUSE_POOL,
)
def customer_scores(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
) -> dg.MaterializeResult:
    """Value, chance of churn and next order of each customer. One row per customer_id with a qualified order."""
    with platform.step():
        platform.progress("scores: value, churn and next order of every customer")
        with open_warehouse(platform.settings) as connection:
            as_of = platform.as_of(options.as_of)
            report = score_customers(connection, platform.engine, as_of, platform.progress)
    return dg.MaterializeResult(metadata={"dagster/row_count": report.customers, "versions": list(report.words)})


@dg.asset(
    key=["marts", "stock_health"],
    group_name="models",
    deps=[["marts", name] for name in ("order_events", "orders", "products", "run_settings", "stock", "stores")],
    kinds={"duckdb", "scikitlearn"},
    pool=WAREHOUSE_POOL,
)
def stock_health(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform], options: RunOptions
) -> dg.MaterializeResult:
    """Stock against forecast demand, transfers and orders. One row per (store_id, sku)."""
    with platform.step():
        platform.progress("stock: forecasting two weeks of demand")
        with open_warehouse(platform.settings) as connection:
            report = write_stock_health(connection, platform.settings, platform.engine, platform.as_of(options.as_of))
        platform.progress(f"stock: {report.series:,} series; demand model: {report.words}")
    return dg.MaterializeResult(metadata={"dagster/row_count": report.rows, "series": report.series})
