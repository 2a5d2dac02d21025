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

from calcom_pipeline.settings import load_settings
from calcom_pipeline.wiring import open_pipeline

pytestmark = [pytest.mark.ui, pytest.mark.timeout(400)]
CHROMIUM = "/usr/bin/chromium"
PORT = 3988
ROOT = f"http://127.0.0.1:{PORT}"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RUN_SECONDS = 180


@pytest.fixture
def ui(in_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`calcom-pipeline up`, and where screenshots go (CI's artifacts, or pytest's folder)."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text((Path(__file__).parents[2] / "dagster_home" / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("CALCOM_DATA_DIR", str(tmp_path / "data"))
    with open_pipeline(load_settings()) as pipeline:
        store = pipeline.service_store
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


def status_of_the_run_launched_by_hand() -> str:
    """Waits for its end; runs of sensors name their cause, this one has none."""
    query = "{ runsOrError { ... on Runs { results { status tags { key } } } } }"
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        runs = requests.post(f"{ROOT}/graphql", json={"query": query}, timeout=10).json()["data"]["runsOrError"]
        by_hand = [r for r in runs["results"] if "calcom/cause" not in {tag["key"] for tag in r["tags"]}]
        if by_hand and by_hand[0]["status"] in ("SUCCESS", "FAILURE", "CANCELED"):
            return by_hand[0]["status"]
        time.sleep(1)
    return "not ended"


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
    assert status_of_the_run_launched_by_hand() == "SUCCESS"
    page.goto(f"{ROOT}/runs")
    expect(page.get_by_text("Manually launched")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("calcom/cause: services changed").first).to_be_visible()
    page.screenshot(path=ui / "runs.png")

    page.goto(f"{ROOT}/assets/calcom/service_sync?view=overview")
    expect(page.get_by_text("service_sync").first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(3000)
    expect(page.get_by_text("service").first).to_be_visible()
    page.screenshot(path=ui / "service_sync.png")
    page.goto(f"{ROOT}/assets/calcom/slots?view=overview")
    page.wait_for_timeout(4000)
    page.screenshot(path=ui / "slots.png")
    page.goto(f"{ROOT}/asset-groups")
    page.wait_for_timeout(4000)
    page.screenshot(path=ui / "lineage.png")


def test_no_dialog_covers_the_first_thing_a_newcomer_sees(ui: Path, page: Page):
    page.goto(ROOT)
    page.wait_for_timeout(3000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.screenshot(path=ui / "first.png")
