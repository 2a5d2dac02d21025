"""Pushing many services to a Cal.com that blocks: a call per push, a listing per batch, paced, without one 429."""

import math
import time
from dataclasses import dataclass
from typing import Any

import pytest

from bench.pushes import drift
from calcom_pipeline.app.services.apply import ApplyReport
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.sandbox.testing import serve_sandbox
from calcom_pipeline.settings import load_settings
from tests.faults.harness import machine
from tests.support.planning import apply_now, plan_now

BATCH = 10
#: Fewer than a minute's calls do not show that it is paced; three scopes show that each is listed by itself.
PUSHES = {"user": 101, "team": 24}


@dataclass(frozen=True)
class Pushed:
    """What applying cost, and what came of it."""

    report: ApplyReport
    owners: dict[str, int]
    calls: int
    seconds: float
    listings: int
    refused: int


def pushed(environment: dict[str, str], **account: Any) -> Pushed:
    with serve_sandbox("generated", bookings=0, **account) as sandbox:
        named = {"CALCOM_BASE_URL": sandbox.url, "CALCOM_API_KEY": sandbox.keys["owner"]}
        limits = {"CALCOM_RATE_LIMIT_PER_MINUTE": "120", "CALCOM_RATE_BURST_REQUESTS": "6"}
        with ready_container(load_settings({**environment, **named, **limits})) as container:
            owners = drift(container, PUSHES)
            stored = plan_now(container, "test")
            before, listed, began = (
                container.calcom.spent().calls,
                listings(sandbox.control.counters()),
                time.monotonic(),
            )
            report = apply_now(container, stored)
            seconds, calls = time.monotonic() - began, container.calcom.spent().calls - before
        counters = sandbox.control.counters()
        refused = counters["keys"]["owner"].get("refused", 0)
        return Pushed(report, owners, calls, seconds, listings(counters) - listed, refused)


def listings(counters: dict[str, Any]) -> int:
    asked: dict[str, int] = counters["keys"]["owner"]["endpoints"]
    return sum(number for name, number in asked.items() if name.startswith("GET ") and name.endswith("event-types"))


@pytest.mark.proof
@pytest.mark.timeout(400)
def test_proof_n_pushes_cost_n_calls_and_a_listing_per_batch_and_keep_the_pace(environment: dict[str, str]):
    found = pushed(environment, event_types=260, teams=2)
    number, batches = sum(found.owners.values()), sum(math.ceil(n / BATCH) for n in found.owners.values())
    allowed = 1.05 * found.calls * 0.5 + 5
    print(
        f"\n{number} pushes for {len(found.owners)} owners at 120 calls a minute: {found.calls} calls, "
        f"{batches} batches, {found.listings} listings, {found.seconds:.1f} s (allowed {allowed:.1f} s), "
        f"{found.refused} times 429, widest gap between a listing and its writes {found.report.gap_seconds:.1f} s "
        f"({machine()})"
    )
    assert len(found.owners) == 3
    assert found.report.counts == {"done": number}
    assert found.calls == number + batches
    assert found.listings == batches
    assert found.refused == 0
    assert found.seconds <= allowed
