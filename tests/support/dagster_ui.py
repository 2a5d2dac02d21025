"""A running `calcom-pipeline up` as its UI sees it: what GraphQL tells, and a browser that keeps count."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Locator, Page, sync_playwright

from tests.support.chromium import ARGUMENTS, CHROMIUM

WIDE, NARROW = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
_SHOWN_MS = 120_000  # the first page of each kind loads a chunk of the UI, on a machine that does other work as well
_SETTLE_MS = 1500  # for a picture: the page still moves after its text is there
_RUN_SECONDS = 240


class DagsterUi:
    """The server: what it tells to whoever asks in GraphQL."""

    def __init__(self, root: str) -> None:
        self.root = root

    def ask(self, query: str) -> Any:
        """The data of an answer."""
        return requests.post(f"{self.root}/graphql", json={"query": query}, timeout=20).json()["data"]

    def until(self, look: Callable[[], Any], what: str, seconds: float = _RUN_SECONDS) -> Any:
        """Wait until it is so."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, f"did not happen in time: {what}"
            time.sleep(0.5)
        return found

    def until_it_answers(self) -> None:
        """The webserver and the code location are there."""

        def loaded() -> bool:
            try:
                return bool(self.ask("{ assetNodes { id } }")["assetNodes"])
            except (requests.RequestException, ValueError):
                return False

        self.until(loaded, "the UI came up", 120)

    def check_passed(self, asset: str, check: str) -> bool | None:
        """What its last evaluation came to; None before the first."""
        evaluation = "executionForLatestMaterialization { evaluation { success } }"
        checks = f"assetChecksOrError {{ ... on AssetChecks {{ checks {{ name {evaluation} }} }} }}"
        key = f'{{path: ["calcom", "{asset}"]}}'
        node = self.ask(f"{{ assetNodeOrError(assetKey: {key}) {{ ... on AssetNode {{ {checks} }} }} }}")
        found = node["assetNodeOrError"]["assetChecksOrError"]["checks"]
        last = next(each["executionForLatestMaterialization"] for each in found if each["name"] == check)
        return last["evaluation"]["success"] if last and last["evaluation"] else None

    def runs_of(self, job: str) -> list[str]:
        """States of a job's runs, newest first."""
        query = f'{{ runsOrError(filter: {{pipelineName: "{job}"}}) {{ ... on Runs {{ results {{ status }} }} }} }}'
        return [run["status"] for run in self.ask(query)["runsOrError"]["results"]]

    def until_quiet(self) -> None:
        """No run is under way: a check that is being run again shows nothing of the last time."""
        query = "{ runsOrError(filter: {statuses: [QUEUED, STARTING, STARTED]}) { ... on Runs { results { id } } } }"
        self.until(lambda: not self.ask(query)["runsOrError"]["results"], "all runs ended")

    def materialized(self) -> dict[str, bool]:
        """Assets that are made here, and whether each ever was."""
        query = "{ assetNodes { assetKey { path } isMaterializable assetMaterializations(limit: 1) { runId } } }"
        nodes = [node for node in self.ask(query)["assetNodes"] if node["isMaterializable"]]
        return {node["assetKey"]["path"][-1]: bool(node["assetMaterializations"]) for node in nodes}

    def status_of_the_backfill(self) -> str:
        """Waits for its end. All assets at once are a backfill, since one of them has partitions."""
        query = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }"

        def ended() -> str | None:
            found = [b["status"] for b in self.ask(query)["partitionBackfillsOrError"]["results"]]
            return found[0] if found and found[0] not in ("REQUESTED", "IN_PROGRESS") else None

        return self.until(ended, "the backfill ended")

    def is_running(self, kind: str, name: str) -> bool:
        """Whether a schedule or a sensor is switched on."""
        selector = (
            f'{{repositoryLocationName: "calcom_pipeline", repositoryName: "__repository__", {kind}Name: "{name}"}}'
        )
        state = f"... on {kind.capitalize()} {{ {kind}State {{ status }} }}"
        answer = self.ask(f"{{ {kind}OrError({kind}Selector: {selector}) {{ {state} }} }}")
        return answer[f"{kind}OrError"][f"{kind}State"]["status"] == "RUNNING"


class Operator:
    """Somebody with a browser: clicks are counted, errors of the console are kept, what is seen is photographed."""

    def __init__(self, page: Page, ui: DagsterUi, pictures: Path) -> None:
        self.page = page
        self.clicks = 0
        self.errors: list[str] = []
        self._ui = ui
        self._pictures = pictures
        page.set_default_timeout(_SHOWN_MS)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str = "/") -> None:
        """Type an address."""
        self.page.goto(self._ui.root + path)

    def click(self, what: Locator) -> None:
        """Once, on the first."""
        self.clicks += 1
        what.first.click()

    def see(self, text: str) -> None:
        """Wait for a text to stand there."""
        self.page.get_by_text(text).first.wait_for()

    def launch(self, job: str) -> None:
        """Press the launchpad's button, and wait for the run's success."""
        before = len(self._ui.runs_of(job))
        self.click(self.page.get_by_role("button", name="Launch Run"))
        self._ui.until(lambda: len(self._ui.runs_of(job)) > before, f"{job} was launched")
        ended = {"SUCCESS", "FAILURE", "CANCELED"}
        assert self._ui.until(lambda: (s := self._ui.runs_of(job)[0]) in ended and s, f"{job} ended") == "SUCCESS"

    def photograph(self, name: str) -> None:
        """At both widths, in both themes."""
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            for theme in ("light", "dark"):
                self.page.set_viewport_size(size)
                self.page.emulate_media(color_scheme=theme)
                self.page.wait_for_timeout(_SETTLE_MS)
                self.page.screenshot(path=self._pictures / f"{name}-{width}-{theme}.png")
        self.page.set_viewport_size(WIDE)
        self.page.emulate_media(color_scheme="light")


@contextmanager
def browsing(ui: DagsterUi, pictures: Path) -> Iterator[Operator]:
    """A browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield Operator(browser.new_page(viewport=WIDE), ui, pictures)
        browser.close()
