"""What comes by itself costs no more calls than the account's plan of them says, counted where they arrive."""

from collections.abc import Callable
from datetime import datetime

import dagster as dg
import pytest

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.account import Account
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.dagster_runs import run, sensor_named

pytestmark = pytest.mark.timeout(180)

JOBS = {
    "slots": "slots_refresh",
    "services": "services_sync",
    "bookings": "bookings_mirror",
    "bookings reread": "bookings_reread",
    "health": "health",
}
SENSORS = {"bookings look": "changed_bookings", "event types look": "event_type_drift"}


def calls(sandbox: RunningSandbox) -> int:
    return sum(sum(statuses.values()) for statuses in sandbox.control.counters()["endpoints"].values())


def test_a_run_and_a_look_cost_what_is_planned_for_them(instance, container: Container, sandbox: RunningSandbox):
    assert run(instance, "full_sync").success
    plan = container.maintenance.standing_calls
    assert plan.per_minute < container.settings.rate_limit_per_minute * container.settings.rate_standing_share
    cost: dict[str, int] = {}

    def counted(name: str, what: Callable[[], object]) -> None:
        before = calls(sandbox)
        what()
        cost[name] = calls(sandbox) - before

    for name, job in JOBS.items():
        counted(name, lambda job=job: run(instance, job))
    context = dg.build_sensor_context(instance=instance, cursor=utc_now().isoformat(), definitions=defs)
    for name, sensor in SENSORS.items():
        counted(name, lambda sensor=sensor: sensor_named(sensor)(context))
    planned = {name: plan.work(name).calls for name in cost}
    assert {name: number for name, number in cost.items() if number > planned[name]} == {}, planned


def test_a_schedule_whose_turn_it_is_not_says_why(instance, container: Container, monkeypatch: pytest.MonkeyPatch):
    """A share so small that this account has to be read less often."""
    assert run(instance, "event_types_sync").success
    monkeypatch.setenv("CALCOM_RATE_LIMIT_PER_MINUTE", "10")
    monkeypatch.setenv("CALCOM_RATE_BURST_REQUESTS", "1")
    monkeypatch.setenv("CALCOM_RATE_STANDING_SHARE", "0.05")
    schedule = defs.get_repository_def().get_schedule_def("slots_every_30_minutes")
    said: set[str] = set()
    asked = 0
    for hour in range(24):
        at = datetime.fromisoformat(f"2026-11-29T{hour:02d}:10:00+00:00")
        tick = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at))
        asked += len(tick.run_requests or [])
        said |= {tick.skip_message} if tick.skip_message else set()
    assert 0 < asked < 24
    assert len(said) == 1
    assert "instead of 30" in said.pop()


def test_another_account_comes_at_other_minutes_and_each_always_at_its_own():
    one = Account.from_environment()
    other = Account.further(one.at_load.model_copy(update={"account": "berlin"}))
    assert one.shift_minutes == Account.from_environment().shift_minutes
    assert one.shift_minutes != other.shift_minutes
    assert 0 <= other.shift_minutes < 60
