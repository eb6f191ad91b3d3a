"""What a killed run leaves in Dagster's own records does not keep the next one waiting."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from pipelines.assets.platform import WAREHOUSE_POOL
from pipelines.nightly import end_killed_runs, prepare_dagster_home
from pipelines.settings import Settings


def test_the_place_of_a_killed_run_in_the_pool_is_free_again(tmp_path: Path) -> None:
    home = prepare_dagster_home(Settings(home=tmp_path))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(WAREHOUSE_POOL)
        assert storage.claim_concurrency_slot(WAREHOUSE_POOL, "killed", "ingest").is_claimed
        assert not storage.claim_concurrency_slot(WAREHOUSE_POOL, "next", "ingest").is_claimed
        end_killed_runs(instance)
        assert storage.claim_concurrency_slot(WAREHOUSE_POOL, "after", "ingest").is_claimed


def test_a_killed_run_of_the_command_is_ended_and_one_of_dagster_s_own_is_left(tmp_path: Path) -> None:
    home = prepare_dagster_home(Settings(home=tmp_path))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for run_id, tags in (("killed", {"omnilake/started_by": "command"}), ("queued", {})):
            run = dg.DagsterRun(job_name="nightly", run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags)
            instance.add_run(run)
        end_killed_runs(instance)
        statuses = {run.run_id: run.status for run in instance.get_runs()}
    assert statuses == {"killed": dg.DagsterRunStatus.FAILURE, "queued": dg.DagsterRunStatus.STARTED}
