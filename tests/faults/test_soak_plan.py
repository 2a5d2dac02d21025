"""The plan of a soak: the seed alone decides it, and it holds enough of everything."""

from collections import Counter

import pytest

from calcom_pipeline.sandbox.control.faults import PAGE_FAULTS, REQUEST_FAULTS, WEBHOOK_FAULTS, Faults
from tests.faults.soak_plan import BREATH_SECONDS, LEAST_EACH, LEAST_KILLS, LINES, SHARES, drawn, least


def test_a_seed_draws_the_same_soak_again_and_another_seed_another_one():
    assert drawn(7, 30) == drawn(7, 30)
    assert drawn(7, 30) != drawn(8, 30)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_full_soak_has_two_hundred_kills_and_every_fault_ten_times(seed: int):
    plan = drawn(seed, 30)
    kills = Counter(blow.what for blow in plan if blow.kind == "kill")
    others = Counter(blow.name for blow in plan if blow.kind != "kill")
    assert kills.keys() == SHARES.keys()
    assert kills.total() >= LEAST_KILLS
    wanted = {f"API: {kind}" for kind in (*REQUEST_FAULTS, *PAGE_FAULTS)}
    wanted |= {f"webhook: {kind}" for kind in WEBHOOK_FAULTS}
    wanted |= {f"{how}: {line}" for how in ("cut", "half-open") for line in LINES}
    assert others.keys() == wanted | {"clock: of our processes", "disk full: data and spool"}
    assert min(others.values()) >= LEAST_EACH


def test_a_short_soak_has_its_share_and_each_fault_at_least_once():
    plan = drawn(1, 3)
    assert least(3) == (20, 1)
    assert sum(blow.kind == "kill" for blow in plan) == 24
    assert {blow.name for blow in plan if blow.kind != "kill"} == {
        blow.name for blow in drawn(1, 30) if blow.kind != "kill"
    }


def test_without_a_disk_of_its_own_nothing_of_it_is_planned():
    assert not [blow for blow in drawn(1, 30, disk=False) if blow.kind == "disk full"]


def test_blows_come_in_order_and_leave_the_end_of_each_minute_alone():
    moments = [blow.at for blow in drawn(1, 5)]
    assert moments == sorted(moments)
    assert max(at % 60 for at in moments) < 60 - BREATH_SECONDS


def test_the_stand_in_takes_every_fault_of_the_plan():
    faults = Faults()
    for blow in drawn(1, 3):
        if blow.kind in ("API", "webhook"):
            faults.add({"kind": blow.what, **dict(blow.details)})
    assert len(faults.as_json()) == len(REQUEST_FAULTS) + len(PAGE_FAULTS) + len(WEBHOOK_FAULTS)
