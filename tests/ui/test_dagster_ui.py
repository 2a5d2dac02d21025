"""The Dagster UI as a person uses it, in headless Chromium: what it shows, and that "Materialize all" works."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright

from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.settings import load_settings
from tests.support.chromium import ARGUMENTS, CHROMIUM

pytestmark = [pytest.mark.ui, pytest.mark.timeout(400)]
PORT = 3988
ROOT = f"http://127.0.0.1:{PORT}"
RUN_SECONDS = 240
SETTLE_MILLISECONDS = 3000  # for a picture: the page still moves after its text is there
ASSETS = ("service_plan", "service_sync", "event_types", "bookings", "bookings_history", "slots", "webhooks")


@pytest.fixture
def ui(in_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`calcom-pipeline up`, and where screenshots go (CI's artifacts, or pytest's folder)."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text((Path(__file__).parents[2] / "dagster_home" / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "data"))
    with ready_container(load_settings()) as container:
        store = container.services.store
        store.insert({"name": "Massage", "slug": "massage", "duration_minutes": 60})
        store.insert({"name": "Brochure", "slug": "brochure", "duration_minutes": 30, "description": "x" * 120_000})
        store.insert({"name": "Nothing", "slug": "nothing", "duration_minutes": 0})
    command = [sys.executable, "-m", "calcom_pipeline.cli", "up", "--port", str(PORT)]
    with subprocess.Popen(command, env=dict(os.environ)) as up:
        until_it_answers()
        yield Path(os.environ.get("SCREENSHOTS", tmp_path))
        up.send_signal(signal.SIGTERM)


def until_it_answers() -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{ROOT}/server_info", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError("the UI did not come up")


def status_of_the_backfill() -> str:
    """Waits for its end. All assets at once are a backfill, since one of them has partitions."""
    query = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }"
    deadline = time.monotonic() + RUN_SECONDS
    status = "none"
    while time.monotonic() < deadline:
        answer = requests.post(f"{ROOT}/graphql", json={"query": query}, timeout=10).json()["data"]
        status = next((b["status"] for b in answer["partitionBackfillsOrError"]["results"]), "none")
        if status not in ("none", "REQUESTED", "IN_PROGRESS"):
            return status
        time.sleep(1)
    return status


def latest_materializations() -> dict[str, bool]:
    """Asset and whether it was ever materialized."""
    query = "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId } } }"
    nodes = requests.post(f"{ROOT}/graphql", json={"query": query}, timeout=10).json()["data"]["assetNodes"]
    return {node["assetKey"]["path"][-1]: bool(node["assetMaterializations"]) for node in nodes}


def failure_of_a_service() -> str:
    """When `service_sync` told of one; later runs have other things to tell."""
    query = """{ assetNodeOrError(assetKey: {path: ["calcom", "service_sync"]}) { ... on AssetNode {
        assetMaterializations(limit: 20) { timestamp metadataEntries { ... on TableMetadataEntry { table { records } } }
    } } } }"""
    answer = requests.post(f"{ROOT}/graphql", json={"query": query}, timeout=10).json()["data"]["assetNodeOrError"]
    return next(m["timestamp"] for m in answer["assetMaterializations"] if "413" in str(m["metadataEntries"]))


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        yield opened
        browser.close()


def test_everything_is_materialized_from_the_ui_and_its_story_can_be_read(ui: Path, page: Page):
    page.goto(f"{ROOT}/asset-groups")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    assert status_of_the_backfill() == "COMPLETED_SUCCESS"
    assert latest_materializations() == dict.fromkeys(ASSETS, True)
    page.goto(f"{ROOT}/runs")
    expect(page.get_by_text("Manually launched")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("calcom/cause: services changed").first).to_be_visible()
    page.screenshot(path=ui / "runs.png")

    seen = {
        f"service_sync?view=events&time={failure_of_a_service()}": "Cal.com answered 413",
        "event_types?view=overview": "calls to Cal.com in the last hour",
        "bookings?view=checks": "bookings_are_fresh",
        "bookings_history?view=partitions": "Materialized",
    }
    for address, text in seen.items():
        page.goto(f"{ROOT}/assets/calcom/{address}")
        expect(page.get_by_text(text).first).to_be_visible(timeout=30_000)
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        page.screenshot(path=ui / f"{address.partition('?')[0]}.png", full_page=True)
    page.goto(f"{ROOT}/assets/calcom/slots?view=events")
    expect(page.get_by_text("free starts, event type by day").first).to_be_visible(timeout=30_000)
    page.get_by_text("[Show Markdown]").first.click()
    expect(page.get_by_role("img", name="picture")).to_be_visible(timeout=30_000)
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=ui / "slots.png")
    page.goto(f"{ROOT}/asset-groups")
    expect(page.get_by_text("availability").first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=ui / "lineage.png")


def test_no_dialog_covers_the_first_thing_a_newcomer_sees(ui: Path, page: Page):
    page.goto(ROOT)
    expect(page.get_by_text("Overview").first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.screenshot(path=ui / "first.png")
