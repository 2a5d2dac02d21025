"""A million bookings: how fast they are there, and how fast one raw client takes them off in pages of 250."""

import time

import pytest

from bench.sandbox_paging import PAGE, UNLIMITED, WALKS, RawClient, measure
from calcom_pipeline.sandbox.testing import serve_sandbox

_MILLION = 1_000_000
_START_SECONDS = 10.0
_PAGES_PER_SECOND = 300
_TRIES = 3  # of a walk: the best counts, since the machine may be busy with other things


def test_the_raw_client_of_the_measurement_meets_every_row():
    with serve_sandbox("generated", bookings=1_000, limit=UNLIMITED, in_thread=True) as running:
        client = RawClient(running.url, running.keys["owner"])
        bodies = [bytes(client.get(f"take={PAGE}&skip={skip}&sortCreated=asc")) for skip in range(0, 1_000, PAGE)]
        client.close()
    assert sum(body.count(b'"icsUid"') for body in bodies) == int(
        bodies[0].partition(b'"totalItems":')[2].split(b",")[0]
    )


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_a_million_bookings_start_in_ten_seconds_and_page_at_300_a_second():
    began = time.perf_counter()
    with serve_sandbox("generated", bookings=_MILLION, limit=UNLIMITED) as running:
        started = time.perf_counter() - began
        print(f"\n{_MILLION:,} bookings answer after {started:.1f} s")
        best = {}
        for walk in WALKS:
            found = max((measure(running, walk, 600) for _ in range(_TRIES)), key=lambda one: one.pages_per_second)
            best[walk] = found
            print(
                f"{walk:>15}: {found.pages_per_second:6.0f} pages/s of {PAGE}, {found.bytes_per_row:,.0f} bytes a row"
            )
    assert started <= _START_SECONDS
    assert all(found.pages_per_second > _PAGES_PER_SECOND for found in best.values())
    assert all(1_200 < found.bytes_per_row < 1_900 for found in best.values())
