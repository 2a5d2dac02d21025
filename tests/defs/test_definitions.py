"""The code location as Dagster sees it."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.definitions import build_definitions, defs
from calcom_pipeline.defs.columns import TABLES

CHECKOUT = Path(__file__).parents[2]


def bare_python(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/", check=False)


def test_the_code_location_loads_with_nothing_set_and_touches_no_server():
    loaded = bare_python("import calcom_pipeline.definitions as d; print(len(list(d.defs.assets)))")
    assert loaded.returncode == 0, loaded.stderr
    assert int(loaded.stdout) > 0


def test_another_account_has_asset_keys_of_its_own():
    program = "import calcom_pipeline.definitions as d; print(*[k.path[0] for a in d.defs.assets for k in a.keys])"
    loaded = bare_python(program, CALCOM_ACCOUNT="berlin", CALCOM_ENV_FILE="")
    assert set(loaded.stdout.split()) == {"berlin"}


def test_every_entry_point_names_the_same_code_location():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]
    workspace = yaml.safe_load((CHECKOUT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    assert project["dagster"]["module_name"] == workspace["module_name"] == "calcom_pipeline.definitions"
    assert project["dg"]["project"]["code_location_target_module"] == workspace["module_name"]
    assert project["dg"]["project"]["code_location_name"] == workspace["location_name"]


@pytest.mark.parametrize("asset", list(defs.assets or []), ids=lambda a: a.key.to_user_string())
def test_every_asset_has_owner_kinds_description_group_and_pool(asset: dg.AssetsDefinition):
    (spec,) = asset.specs
    assert spec.owners
    assert spec.kinds
    assert spec.description
    assert spec.group_name in {"calcom", "services", "availability"}
    assert asset.op.pool is not None


@pytest.mark.parametrize("table", sorted(TABLES))
def test_the_columns_shown_in_the_ui_are_those_of_the_table(table: str, database: Database):
    with database.transaction("Testing") as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table,),
        )
        real = dict(cursor.fetchall())
    assert {name: kind for name, (kind, _) in TABLES[table].items()} == real


def test_every_job_resolves_and_every_schedule_has_one():
    repository = build_definitions().get_repository_def()
    for job in repository.get_all_jobs():
        assert job.nodes
    for schedule in repository.schedule_defs:
        assert repository.has_job(schedule.job_name)


def test_steps_run_under_the_executor_that_is_asked_for_and_stay_leased():
    """Celery's or Kubernetes's, on more machines than one; small jobs name their own."""
    repository = build_definitions(executor=dg.multiprocess_executor).get_repository_def()
    executors = {job.name: job.executor_def for job in repository.get_all_jobs()}
    assert executors["full_sync"].name == "multiprocess"
    assert executors["cache_invalidation"].name == "in_process"
    made = executors["full_sync"].executor_creation_fn
    assert made is not None
    assert made.__module__ == "calcom_pipeline.defs.maintenance.leases"


def test_one_resource_can_be_replaced_for_a_test():
    replaced = build_definitions(resource_overrides={"calcom": dg.ResourceDefinition.hardcoded_resource(7)})
    assert replaced.get_repository_def().get_top_level_resources()["calcom"] is not None
