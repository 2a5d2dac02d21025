"""Reading bookings from a Cal.com that blocks for as long again as its window: paced, without one 429, complete."""

import math
import time

import pytest

from calcom_pipeline.app.bookings.mirror import BookingsReport, pull_bookings
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from calcom_pipeline.settings import load_settings
from tests.faults.harness import machine

PAGE = 250


def at(sandbox: RunningSandbox, environment: dict[str, str], **limits: object) -> dict[str, str]:
    """Variables of this account, under limits of its own."""
    named = {f"CALCOM_{name.upper()}": str(value) for name, value in limits.items()}
    return {**environment, "CALCOM_BASE_URL": sandbox.url, "CALCOM_API_KEY": sandbox.keys["owner"], **named}


def mirrored(environment: dict[str, str]) -> tuple[BookingsReport, int, float]:
    """What one `sync bookings` reports, its calls, and how many seconds it took."""
    with ready_container(load_settings(environment)) as container:
        mirror, began = container.bookings.mirror, time.monotonic()
        report = pull_bookings(container.calcom, mirror, container.bookings.options, now=utc_now)
        return report, container.calcom.spent().calls, time.monotonic() - began


def test_more_pages_than_a_window_allows_are_read_without_one_refusal(environment: dict[str, str]):
    limit = 12
    with serve_sandbox("generated", bookings=300, limit=limit, window_seconds=1.2, block_seconds=1.2) as sandbox:
        limits = {"rate_limit_per_minute": limit, "rate_window_seconds": 1.2, "rate_block_seconds": 1.2}
        spared = {"rate_safety_requests": 1, "rate_reserve_requests": 1, "rate_burst_requests": 1}
        settings = at(sandbox, environment, **limits, **spared, booking_page_size=25, connect_timeout_seconds=0.2)
        report, calls, _ = mirrored(settings)
        counters = sandbox.control.counters()["keys"]["owner"]
    assert report.stored.changes.added == 300
    assert calls > limit
    assert counters.get("refused", 0) == 0
    assert counters["max_in_window"] <= limit


# --- at full size --------------------------------------------------------------------------------------------


@pytest.mark.proof
@pytest.mark.timeout(400)
@pytest.mark.parametrize("bookings", [20_000, 50_000])
def test_proof_the_real_limit_is_used_up_and_never_met(bookings: int, environment: dict[str, str]):
    """Where dlt fails on 50,000 bookings and Airbyte's CDK too; see bench/RESULTS.md."""
    with serve_sandbox("generated", bookings=bookings) as sandbox:  # 120 per 60 s, then 60 s nothing
        settings = at(sandbox, environment, rate_limit_per_minute=120, rate_burst_requests=6)
        report, calls, seconds = mirrored(settings)
        counters = sandbox.control.counters()["keys"]["owner"]
    allowed = 1.05 * calls * 0.5 + 5
    print(
        f"\n{bookings:,} bookings at 120 calls a minute: {calls} calls in {seconds:.1f} s (allowed {allowed:.1f} s), "
        f"{counters.get('refused', 0)} times 429, densest window {counters['max_in_window']} ({machine()})"
    )
    assert report.stored.changes.added == bookings
    assert counters.get("refused", 0) == 0
    assert counters["max_in_window"] <= 120
    # Each page begins with the last key of the one before, which one row has in this account.
    assert calls <= math.ceil((bookings + report.pages) / PAGE) + 3
    assert seconds <= allowed
