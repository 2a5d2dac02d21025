"""The planner's cost, measured by the bench's own situation: a tenth of the services are each kind of work."""

import pytest

from bench.planner import measured, peak_of, situation
from tests.faults.harness import machine


def test_planning_holds_memory_in_proportion_to_its_input():
    (small, pushes), (large, more_pushes) = peak_of(situation(500)), peak_of(situation(2_000))
    assert more_pushes["push"] == 4 * pushes["push"] > 0
    assert large / small < 4 * 1.5


@pytest.mark.proof
def test_proof_a_hundred_thousand_services_are_planned_within_three_seconds_of_cpu():
    figures = [measured(size) for size in (1_000, 10_000, 100_000)]
    told = ", ".join(f"{f.size:,}: {f.cpu_seconds:.2f} s, {f.peak_bytes / 2**20:.0f} MiB" for f in figures)
    print(f"\nplanning {told} ({machine()})")
    assert figures[-1].cpu_seconds < 3
    assert figures[-1].peak_bytes / figures[0].peak_bytes < 100 * 1.5
