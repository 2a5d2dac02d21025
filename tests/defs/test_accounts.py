"""Several accounts in one code location: each with names, resources and tables of its own."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.definitions import build_definitions
from calcom_pipeline.defs.account import Account
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from calcom_pipeline.settings import Settings, load_settings
from tests.defs.test_loop import update
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
BERLIN_EVENT_TYPES = 3


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[RunningSandbox]:
    """Another Cal.com, with an account of another size."""
    with serve_sandbox(
        "generated", event_types=BERLIN_EVENT_TYPES, teams=0, bookings=12, seed=11, limit=1_000_000
    ) as running:
        yield running


@pytest.fixture
def berlin(
    environment: dict[str, str], elsewhere: RunningSandbox, schema_name: str, servers: local.Servers
) -> Iterator[Settings]:
    """Another name, another key at another server, another schema of the same database."""
    elsewhere.control.reset(account=True)
    schema = f"{schema_name}_berlin"
    yield load_settings(
        {
            **environment,
            "CALCOM_ACCOUNT": "berlin",
            "CALCOM_BASE_URL": elsewhere.url,
            "CALCOM_API_KEY": elsewhere.keys["owner"],
            "CALCOM_DATABASE_SCHEMA": schema,
        }
    )
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


@pytest.fixture
def both(in_environment: dict[str, str], berlin: Settings) -> dg.Definitions:
    return build_definitions([Account.from_environment(), Account.further(berlin)])


def named(settings: str, schema: str | None = None, **more: Any) -> Account:
    return Account.further(Settings(account=settings, database_schema=schema, **more))


def test_one_account_alone_has_the_plain_names_and_a_further_one_its_own(both: dg.Definitions):
    alone = build_definitions().get_repository_def()
    found = both.get_repository_def()

    def names(repository: dg.RepositoryDefinition) -> set[str]:
        jobs = {job.name for job in repository.get_all_jobs()}
        return jobs | {s.name for s in repository.sensor_defs} | {s.name for s in repository.schedule_defs}

    of_all = {"__ASSET_JOB", "dead_runs", "failed_runs"}
    assert names(found) == names(alone) | {f"berlin_{name}" for name in names(alone) - of_all}
    keys = {key.to_user_string() for key in alone.asset_graph.get_all_asset_keys()}
    berlins = {key.replace("calcom/", "berlin/") for key in keys}
    assert {key.to_user_string() for key in found.asset_graph.get_all_asset_keys()} == keys | berlins
    pools = {asset.key.path[0]: asset.op.pool for asset in both.assets or [] if isinstance(asset, dg.AssetsDefinition)}
    assert pools["calcom"] != pools["berlin"], "another key, another budget"


def test_every_job_of_an_account_touches_its_own_assets_and_resources_alone(both: dg.Definitions):
    for job in both.get_repository_def().get_all_jobs():
        if job.name == "__ASSET_JOB":
            continue
        of_berlin = job.name.startswith("berlin_")
        assert {key.path[0] for key in job.asset_layer.selected_asset_keys} <= {"berlin" if of_berlin else "calcom"}
        resources = {name for node in job.nodes for name in node.definition.required_resource_keys}
        assert {name.startswith("berlin_") for name in resources - {"io_manager"}} <= {of_berlin}, job.name


def test_each_materialises_into_its_own_schema(
    both: dg.Definitions, instance: dg.DagsterInstance, container: Container, berlin: Settings
):
    mine = both.resolve_job_def("full_sync").execute_in_process(instance=instance, run_config=QUIET)
    assert mine.success
    before = container.reports.overview.counts()
    assert before.event_types >= 8
    with ready_container(berlin) as other:
        assert other.reports.overview.counts().event_types == 0
        theirs = both.resolve_job_def("berlin_full_sync").execute_in_process(instance=instance, run_config=QUIET)
        assert theirs.success
        counts = other.reports.overview.counts()
    assert (counts.event_types, counts.bookings) == (BERLIN_EVENT_TYPES, 12)
    assert container.reports.overview.counts() == before, "nothing of the one went to the other"
    materialized = {e.asset_key.path[0] for e in theirs.get_asset_materialization_events() if e.asset_key}
    assert materialized == {"berlin"}


def test_a_sensor_looks_at_its_own_account(both: dg.Definitions, instance: dg.DagsterInstance, berlin: Settings):
    repository = both.get_repository_def()

    def asked(name: str, cursor: str | None) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=instance, definitions=both, cursor=cursor)
        answer = repository.get_sensor_def(name)(context)
        assert isinstance(answer, dg.SensorResult)
        return answer

    assert repository.get_sensor_def("berlin_service_changes").job_name == "berlin_services_sync"
    with ready_container(berlin) as other:
        service = other.services.store.insert({"name": "Massage", "slug": "massage", "duration_minutes": 30})
        here, there = asked("service_changes", None).cursor, asked("berlin_service_changes", None).cursor
        update(other, service, "Massage deluxe")
    answer = until(lambda: (a := asked("berlin_service_changes", there)).run_requests and a)
    (request,) = answer.run_requests
    assert request.tags["calcom/cause"] == f"services changed: {service}"
    assert not asked("service_changes", here).run_requests


def test_the_upkeep_of_the_instance_belongs_to_one_account(both: dg.Definitions):
    def ops(job: str) -> set[str]:
        return {node.name for node in both.resolve_job_def(job).nodes}

    assert ops("retention") == {"forget_old_records", "forget_old_runs"}
    assert ops("berlin_retention") == {"berlin_forget_old_records"}


@pytest.mark.parametrize(
    ("accounts", "said"),
    [
        ([named("berlin"), named("berlin", "sales")], "2 accounts are called berlin"),
        ([named("berlin"), named("paris", "berlin")], "The accounts berlin and paris have one schema, berlin"),
        ([Account.from_environment(), Account.from_environment()], "More than one account has plain names"),
    ],
)
def test_accounts_that_would_share_names_or_tables_are_refused(accounts: list[Account], said: str):
    with pytest.raises(ConfigurationError) as refused:
        build_definitions(accounts)
    assert any(said in problem for problem in refused.value.problems)


def test_one_schema_name_in_two_databases_is_no_clash():
    urls = ["postgresql://one/x", "postgresql://two/x"]
    accounts = [named(name, "sales", database_url=url) for name, url in zip(["berlin", "paris"], urls, strict=True)]
    assert build_definitions(accounts).get_repository_def().has_job("paris_full_sync")


def test_a_run_whose_settings_name_another_account_than_the_keys_fails(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    definitions = build_definitions()
    monkeypatch.setenv("CALCOM_ACCOUNT", "paris")
    job = definitions.resolve_job_def("bookings_mirror")
    result = job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)
    assert not result.success
    errors = [str(event.event_specific_data) for event in result.all_events if event.is_failure]
    assert any("loaded for the account calcom" in error for error in errors)


def test_every_field_of_a_resource_is_described():
    for name, resource in (build_definitions().resources or {}).items():
        if isinstance(resource, dg.ConfigurableResource):
            fields = type(resource).model_fields
            assert fields
            assert all(field.description for field in fields.values()), name
