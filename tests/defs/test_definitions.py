"""The code location as Dagster sees it."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import dagster as dg
import pytest
import yaml

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.definitions import build_definitions, defs
from calcom_pipeline.defs.columns import TABLES
from calcom_pipeline.defs.services.assets import COUNTED_ACTIONS
from calcom_pipeline.domain.services.plans import ActionKind

CHECKOUT = Path(__file__).parents[2]


def test_the_code_location_loads_with_nothing_set_within_three_seconds_and_touches_no_server():
    program = "import resource, calcom_pipeline.definitions as d; d.defs.get_repository_def(); "
    program += "print(len(list(d.defs.assets)), resource.getrusage(resource.RUSAGE_SELF).ru_utime)"
    command, environment = [sys.executable, "-c", program], {"PATH": os.environ["PATH"]}
    loaded = subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/", check=False)
    assert loaded.returncode == 0, loaded.stderr
    assets, seconds = loaded.stdout.split()
    assert int(assets) > 0
    assert float(seconds) < 3, "of processor time: wall-clock time would tell of the machine's other work"


def test_no_sensor_is_due_just_when_the_daemon_comes_by():
    """Every 5 s, now a moment early and now late: whatever is due just then is passed by every other time."""
    distances = {each.name: each.minimum_interval_seconds for each in defs.get_repository_def().sensor_defs}
    assert len(distances) > 5
    assert {name for name, seconds in distances.items() if not seconds or seconds % 5 == 0} == set()


def test_a_plan_counts_every_kind_of_action_in_words():
    assert set(COUNTED_ACTIONS) == set(get_args(ActionKind))


def test_another_account_has_asset_keys_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CALCOM_ACCOUNT", "berlin")
    assert {key.path[0] for asset in build_definitions().assets or () for key in asset.keys} == {"berlin"}  # type: ignore[union-attr]


def test_every_entry_point_names_the_same_code_location():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]
    workspace = yaml.safe_load((CHECKOUT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    assert project["dagster"]["module_name"] == workspace["module_name"] == "calcom_pipeline.definitions"
    assert project["dg"]["project"]["code_location_target_module"] == workspace["module_name"]
    assert project["dg"]["project"]["code_location_name"] == workspace["location_name"]


SPECS = sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)  # workers collect the same order
OUTSIDE = {"services_table", "cal_com", "redis"}
#: What no table stands behind.


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.key.to_user_string())
def test_every_asset_tells_what_it_is_whose_it_is_and_of_what(spec: dg.AssetSpec):
    name = spec.key.path[-1]
    assert spec.owners
    assert spec.kinds
    assert spec.tags["account"] == "calcom"
    assert len(spec.description or "") > 80, "a sentence or two, for somebody who did not write it"
    assert spec.group_name in {"outside", "calcom", "services", "availability"}
    columns = {column.name: column.description for column in spec.metadata["dagster/column_schema"].columns}
    assert columns
    assert [column for column, about in columns.items() if not about] == []
    links = re.findall(r"\]\((/assets/[^)]+)\)", spec.description or "")
    assert links in ([f"/assets/calcom/{name}?view=events"], []), "it leads past its columns to its newest event"
    if name not in OUTSIDE:
        lineage = spec.metadata["dagster/column_lineage"]
        assert set(lineage.deps_by_column) <= columns.keys()
        assert lineage.deps_by_column
    if name not in {*OUTSIDE, "bookings_history"}:  # months are read when somebody asks for them
        assert spec.freshness_policy is not None
        assert spec.metadata["why it may be that old"]


def test_the_columns_that_lineage_speaks_of_are_there():
    columns = {
        spec.key: {column.name for column in spec.metadata["dagster/column_schema"].columns}
        for spec in SPECS
        if "dagster/column_schema" in spec.metadata
    }
    named = [
        dep
        for spec in SPECS
        if (lineage := spec.metadata.get("dagster/column_lineage"))
        for deps in lineage.deps_by_column.values()
        for dep in deps
    ]
    assert len(named) > 10
    assert [dep for dep in named if dep.column_name not in columns[dep.asset_key]] == []


def test_what_stands_outside_is_on_the_graph_at_its_ends():
    graph = defs.resolve_asset_graph()

    def named(keys: Iterable[dg.AssetKey]) -> set[str]:
        return {key.path[-1] for key in keys}

    def key(name: str) -> dg.AssetKey:
        return dg.AssetKey(["calcom", name])

    assert named(graph.external_asset_keys) == OUTSIDE
    assert named(graph.get(key("services_table")).child_keys) == {"service_plan"}
    assert named(graph.get(key("cal_com")).child_keys) >= {
        "service_plan",
        "event_types",
        "bookings",
        "slots",
        "webhooks",
    }
    assert named(graph.get(key("redis")).parent_keys) == {"slots"}
    assert all(asset.op.pool is not None for asset in defs.assets or [] if not named(asset.keys) & OUTSIDE)


#: Jobs that a person starts with a choice, and what the launchpad asks.
ASKED = {
    "services_sync": {"services", "writing"},
    "apply_plan": {"plan"},
    "retry_service": {"service", "writing"},
    "resolve_conflict": {"service", "take"},
}


@pytest.mark.parametrize("job", sorted(ASKED))
def test_the_launchpad_asks_for_two_fields_at_most_and_says_what_they_mean(job: str):
    mapping = defs.resolve_job_def(job).config_mapping
    assert mapping is not None
    fields = mapping.config_schema.config_type.fields  # type: ignore[union-attr]
    assert set(fields) == ASKED[job]
    assert all(field.description for field in fields.values())


@pytest.mark.parametrize("asset", ["service_plan", "service_sync", "bookings", "bookings_history", "slots"])
def test_every_choice_of_an_asset_is_described(asset: str):
    op = next(a.op for a in defs.assets or [] if a.key.path[-1] == asset)  # type: ignore[union-attr]
    fields = op.config_schema.config_type.fields  # type: ignore[union-attr]
    assert fields
    assert [name for name, field in fields.items() if not field.description] == []


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
