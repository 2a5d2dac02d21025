"""The Dagster UI as an operator uses it, in headless Chromium: what is wrong, why, and what to press."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from calcom_pipeline import local
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from tests.support.dagster_ui import DagsterUi, Operator, browsing

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]
PORT = 3988
CHECK = "/assets/calcom/service_sync?view=checks&checkDetail=services_in_sync"
ASSETS = ("service_plan", "service_sync", "event_types", "bookings", "bookings_history", "slots", "webhooks")


@pytest.fixture(scope="module")
def environment_of_up(
    servers: local.Servers, sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Variables of one `up` for all tests here, in a folder of its own."""
    folder = tmp_path_factory.mktemp("ui")
    home, schema = folder / "dagster_home", f"ui_{uuid.uuid4().hex[:8]}"
    home.mkdir()
    (home / "dagster.yaml").write_text((Path(__file__).parents[2] / "dagster_home" / "dagster.yaml").read_text())
    sandbox.control.reset(account=True)
    variables = {
        "CALCOM_BASE_URL": sandbox.url,
        "CALCOM_API_KEY": sandbox.keys["owner"],
        "CALCOM_APPLY": "auto",
        "CALCOM_DATABASE_SCHEMA": schema,
        "CALCOM_DATA_DIR": str(folder / "data"),
        "CALCOM_RATE_LIMIT_PER_MINUTE": "100000",
        "CALCOM_FIRST_RETRY_SECONDS": "3600",  # nobody tries again before the operator does
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "DAGSTER_HOME": str(home),
        "DAGSTER_PG_URL": servers.dagster_pg_url,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield folder
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


@pytest.fixture(scope="module")
def container(environment_of_up: Path) -> Iterator[Container]:
    with ready_container(load_settings()) as opened:
        yield opened


@pytest.fixture(scope="module")
def ui(environment_of_up: Path, container: Container, sandbox: RunningSandbox) -> Iterator[DagsterUi]:
    """`calcom-pipeline up`, begun while Cal.com refuses to make event types."""
    container.services.store.insert({"name": "Massage", "slug": "massage", "duration_minutes": 60})
    sandbox.control.add_fault("error", "POST /v2/event-types", status=400, count=1000)
    command = [sys.executable, "-m", "calcom_pipeline.cli", "up", "--port", str(PORT)]
    with subprocess.Popen(command, env=dict(os.environ)) as up:
        served = DagsterUi(f"http://127.0.0.1:{PORT}")
        try:
            served.until_it_answers()
            yield served
        finally:
            up.send_signal(signal.SIGTERM)


@pytest.fixture
def operator(ui: DagsterUi, tmp_path: Path) -> Iterator[Operator]:
    """Screenshots go to CI's artifacts (SCREENSHOTS), else to pytest's folder."""
    with browsing(ui, Path(os.environ.get("SCREENSHOTS", tmp_path))) as somebody:
        yield somebody
        assert somebody.errors == []


def change(container: Container, statement: str, *values: object) -> None:
    """Somebody's SQL."""
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute(statement, values)


def observe(ui: DagsterUi, operator: Operator, asset: str) -> None:
    """Look at what is outside by its own button."""
    observations = "... on AssetNode { assetObservations(limit: 1) { runId } }"
    query = f'{{ node: assetNodeOrError(assetKey: {{path: ["calcom", "{asset}"]}}) {{ {observations} }} }}'
    before = ui.ask(query)["node"]
    operator.open(f"/assets/calcom/{asset}?view=events")
    operator.click(operator.page.get_by_role("button", name="Observe"))
    ui.until(lambda: ui.ask(query)["node"] != before, "it was observed")


def marked(page: Page) -> bool:
    """Whether the page marks a check that failed, which the pointer is on then; if not, it is loaded once more."""
    try:
        page.get_by_role("img", name="warning_outline").first.hover(timeout=30_000)
    except PlaywrightTimeout:
        page.reload()
        return False
    return True


def in_sync(ui: DagsterUi) -> bool | None:
    return ui.check_passed("service_sync", "services_in_sync")


def test_no_dialog_covers_the_first_thing_a_newcomer_sees(operator: Operator):
    operator.open()
    operator.see("bookings_mirror")
    assert operator.page.get_by_role("dialog").count() == 0
    operator.photograph("first")


def test_within_three_clicks_an_operator_finds_what_failed_and_why_and_retries_it_with_success(
    ui: DagsterUi, operator: Operator, sandbox: RunningSandbox
):
    ui.until(lambda: in_sync(ui) is False, "a failed service colours its check")
    ui.until_quiet()
    page = operator.page
    operator.open()
    operator.click(page.get_by_role("link", name="Catalog"))
    operator.click(page.get_by_role("link", name="service_sync"))
    ui.until(lambda: marked(page), "the failed check is marked")
    operator.click(page.get_by_role("link", name="services_in_sync"))
    operator.see("Massage (1)")
    operator.see("Cal.com answered 400")
    operator.see("calcom-pipeline resolve --retry 1")
    assert operator.clicks <= 3
    operator.photograph("failed")

    sandbox.control.clear_faults()
    operator.click(page.get_by_role("link", name="Retry it"))
    operator.see("Id of the service that failed or is parked")
    operator.photograph("launchpad")
    operator.launch("retry_service")
    operator.open(CHECK)
    operator.see("All services (1) agree with Cal.com")
    assert in_sync(ui) is True
    operator.photograph("green")


def test_a_conflict_is_resolved_by_the_button_of_its_side(
    ui: DagsterUi, operator: Operator, container: Container, sandbox: RunningSandbox
):
    service = container.services.store.insert({"name": "Ours", "slug": "two-sided", "duration_minutes": 30})

    def linked() -> Any:
        return next((x for x in container.services.store.links() if x.service_id == service and x.event_type_id), None)

    link = ui.until(linked, "the service was synced")
    ui.until_quiet()
    sandbox.control.mutate("update_event_type", id=link.event_type_id, set={"title": "Theirs"})
    change(container, "UPDATE services SET name = 'Ours, edited' WHERE id::text = %s", service)
    ui.until(lambda: in_sync(ui) is False, "a conflict colours the check")
    ui.until_quiet()
    operator.open(CHECK)
    operator.see("title: 'Ours, edited' here, 'Theirs' at Cal.com")
    operator.photograph("conflict")
    operator.click(operator.page.get_by_role("link", name="Take Cal.com's"))
    operator.launch("resolve_conflict")
    assert container.services.store.services([service])[0].name == "Theirs"
    ui.until(lambda: in_sync(ui), "the check is green again")


@pytest.mark.parametrize(("kind", "name"), [("schedule", "health_every_10_minutes"), ("sensor", "changed_bookings")])
def test_a_schedule_and_a_sensor_are_switched_off_and_on(ui: DagsterUi, operator: Operator, kind: str, name: str):
    operator.open("/automation")
    operator.click(operator.page.get_by_role("link", name=name))
    operator.page.wait_for_url(f"**/{kind}s/{name}")
    for running in (False, True):
        operator.click(operator.page.locator("label:has(input[type=checkbox])"))
        ui.until(lambda wanted=running: ui.is_running(kind, name) is wanted, f"{name} was switched", 60)
    operator.photograph(kind)


def test_everything_is_materialized_and_what_came_of_it_can_be_read(
    ui: DagsterUi, operator: Operator, container: Container
):
    insert, page = container.services.store.insert, operator.page
    insert({"name": "Brochure", "slug": "brochure", "duration_minutes": 30, "description": "x" * 120_000})
    insert({"name": "Nothing", "slug": "nothing", "duration_minutes": 0})
    ui.until(lambda: in_sync(ui) is False, "the sensor saw both")
    operator.open("/asset-groups")
    operator.click(page.get_by_role("button", name="Materialize all"))
    operator.click(page.get_by_role("button", name="All", exact=True))
    operator.click(page.get_by_role("button", name="Launch backfill"))
    assert ui.status_of_the_backfill() == "COMPLETED_SUCCESS"
    assert ui.materialized() == dict.fromkeys(ASSETS, True)

    operator.open("/runs")
    operator.see("calcom/cause: services changed")
    operator.photograph("runs")
    operator.open("/asset-groups")
    operator.see("outside")
    operator.photograph("lineage")
    operator.open(CHECK)
    operator.see("Cal.com answered 413")
    operator.see("its duration of 0 minutes is not between 1 and 1440")
    operator.open("/assets/calcom/service_plan?view=events")
    operator.see("its duration of 0 minutes is not between 1 and 1440")
    operator.photograph("plan")
    operator.open("/assets/calcom/bookings?view=checks&checkDetail=mirror_complete")
    operator.see("60 bookings are here, as many as Cal.com counts.")


@pytest.mark.parametrize(
    ("asset", "shows"),
    [
        ("slots", "Free starts by weekday and hour"),
        ("bookings", "Bookings of each day by status"),
        ("cal_com", "Calls a minute, and the limit"),
    ],
)
def test_within_three_clicks_heat_map_bookings_and_limiter_stand_in_place(
    ui: DagsterUi, operator: Operator, asset: str, shows: str
):
    """After everything was materialized."""
    page = operator.page
    if asset == "cal_com":
        observe(ui, operator, asset)
    operator.clicks = 0
    operator.open()
    operator.click(page.get_by_role("link", name="Catalog"))
    operator.click(page.get_by_role("link", name=f"calcom / {asset}"))
    operator.click(page.get_by_role("tab", name="Events"))
    page.get_by_role("img", name=shows).first.wait_for()
    assert operator.clicks <= 3
    assert page.get_by_role("dialog").count() == 0
    operator.photograph(f"{asset}-in-place")


@pytest.mark.parametrize(
    ("asset", "entry", "shows"),
    [
        ("slots", "free starts, event type by day", "Free starts by event type and day"),
        ("slots", "free starts by weekday and hour", "Free starts by weekday and hour"),
        ("bookings", "bookings by day and status", "Bookings of each day by status"),
        ("cal_com", "calls to Cal.com in the last hour", "Requests of each minute by lane, and the limit"),
    ],
)
def test_heat_map_and_limiter_open_at_full_width(ui: DagsterUi, operator: Operator, asset: str, entry: str, shows: str):
    """After everything was materialized; what is outside is looked at by its own button."""
    page = operator.page
    if asset == "cal_com":
        observe(ui, operator, asset)
    operator.open(f"/assets/calcom/{asset}?view=events")
    row = page.get_by_role("row").filter(has_text=entry)
    operator.click(row.get_by_text("[Show Markdown]"))
    page.get_by_role("dialog").get_by_role("img", name=shows).first.wait_for()
    operator.photograph(f"{asset}-{entry.partition(',')[0].replace(' ', '-')}")
