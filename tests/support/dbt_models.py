"""The dbt project in tests: run by dbt itself, or its compiled SQL run directly where dbt's seconds would add up."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult

from pipelines.dbt import dbt_environment
from pipelines.settings import DBT_PROJECT, Settings


def run_dbt(settings: Settings, *arguments: str) -> dbtRunnerResult:
    """One dbt command on the home's warehouse; the caller looks at `success`."""
    settings.lake.mkdir(parents=True, exist_ok=True)
    settings.tmp.mkdir(parents=True, exist_ok=True)
    with dbt_environment(settings), _released_warehouse():
        return dbtRunner().invoke(
            [
                "--quiet",
                "--no-use-colors",
                *arguments,
                "--project-dir", str(DBT_PROJECT),
                "--profiles-dir", str(DBT_PROJECT),
                "--target-path", str(settings.dbt_target),
            ]
        )  # fmt: skip


@contextmanager
def _released_warehouse() -> Iterator[None]:
    """The adapter keeps its connection for the life of the process; the tests open the file themselves."""
    try:
        yield
    finally:
        DuckDBConnectionManager.close_all_connections()
        gc.collect()


@dataclass(frozen=True, repr=False)
class CompiledModels:
    """SQL of the models, each after the ones it reads: (schema, name, materialized, sql); `parents` by name."""

    models: tuple[tuple[str, str, str, str], ...]
    parents: Mapping[str, frozenset[str]]

    def upstream_of(self, *names: str) -> CompiledModels:
        """Up to the last of the named models, in order."""
        last = max(position for position, (_, name, _, _) in enumerate(self.models) if name in names)
        return CompiledModels(self.models[: last + 1], self.parents)

    def only_for(self, *names: str) -> CompiledModels:
        """The named models and what they read, directly or not."""
        wanted: set[str] = set()
        waiting = set(names)
        while waiting:
            name = waiting.pop()
            wanted.add(name)
            waiting |= self.parents[name] - wanted
        return CompiledModels(tuple(model for model in self.models if model[1] in wanted), self.parents)

    def build(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make every model anew in the connection's database, which must be called `warehouse`."""
        for schema, name, materialized, sql in self.models:
            kind = "VIEW" if materialized == "view" else "TABLE"
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.execute(f"CREATE OR REPLACE {kind} {schema}.{name} AS {sql}")


def compile_models(settings: Settings, *select: str) -> CompiledModels:
    """Compile the models by dbt; they refer to a database called `warehouse`."""
    outcome = run_dbt(settings, "compile", "--select", *select)
    if not outcome.success:
        raise AssertionError(f"dbt compile failed: {outcome.exception or outcome.result}")
    manifest = json.loads((Path(settings.dbt_target) / "manifest.json").read_text())
    models = {
        key: node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node.get("compiled_code")
    }
    ordered: list[str] = []
    while len(ordered) < len(models):
        ordered += [
            key
            for key, node in models.items()
            if key not in ordered
            and all(parent in ordered or parent not in models for parent in node["depends_on"]["nodes"])
        ]
    return CompiledModels(
        tuple(
            (node["schema"], node["name"], node["config"]["materialized"], node["compiled_code"])
            for node in (models[key] for key in ordered)
        ),
        {
            node["name"]: frozenset(
                models[parent]["name"] for parent in node["depends_on"]["nodes"] if parent in models
            )
            for node in models.values()
        },
    )


@contextmanager
def memory_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database called `warehouse`, in memory."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET threads = 1")
    connection.execute("ATTACH ':memory:' AS warehouse")
    connection.execute("USE warehouse")
    try:
        yield connection
    finally:
        connection.close()
