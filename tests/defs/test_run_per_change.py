"""At least one run per change, none without one; what is handed over twice is done once.

A daemon that is killed between a request and its cursor asks its sensor again from the old cursor.
"""

import time
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.definitions import defs
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import load_settings
from calcom_pipeline.web.following import following_edits
from tests.support.dagster_runs import run, sensor_named
from tests.support.deliveries import SECRET, delivery_body, signature
from tests.support.loop import all_seen, done_and_failed
from tests.support.tables import fetch

pytestmark = pytest.mark.timeout(180)


def tick(instance: dg.DagsterInstance, name: str, cursor: str | None) -> tuple[list[dg.RunRequest], str | None]:
    """One look: what it asks for, and its next cursor."""
    sensor = sensor_named(name)
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
    answer: Any = sensor(context) if name not in ("webhook_inbox", "new_invalidations") else sensor()
    if isinstance(answer, dg.SensorResult):
        return list(answer.run_requests or []), answer.cursor
    return ([answer] if isinstance(answer, dg.RunRequest) else []), cursor


def writes(sandbox: RunningSandbox) -> int:
    endpoints = sandbox.control.counters()["endpoints"]
    return sum(sum(s.values()) for name, s in endpoints.items() if name.split()[0] in ("POST", "PATCH", "DELETE"))


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@pytest.fixture
def linked(instance: dg.DagsterInstance, container: Container) -> str | None:
    """One service, in sync; the cursor of the sensor of services."""
    container.services.store.insert({"name": "Massage", "slug": "massage", "duration_minutes": 60})
    assert run(instance, "services_sync").success
    return all_seen(instance, container)


@pytest.fixture
def settled(
    instance: dg.DagsterInstance, container: Container, linked: str | None, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str | None]:
    """Everything is in sync; the cursors of sensors that have nothing to do."""
    monkeypatch.setenv("CALCOM_WEBHOOK_SECRET", SECRET.decode())
    assert run(instance, "event_types_sync").success
    assert run(instance, "bookings_mirror").success
    assert run(instance, "cache_invalidation").success
    return {
        "service_changes": linked,
        "webhook_inbox": None,
        "event_type_drift": "",
        "changed_bookings": utc_now().isoformat(),
    }


def change_service(container: Container, _sandbox: RunningSandbox) -> None:
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute("UPDATE services SET name = 'Massage deluxe'")


def change_event_type(container: Container, sandbox: RunningSandbox) -> None:
    (link,) = container.services.store.links()
    sandbox.control.mutate("update_event_type", id=link.event_type_id, set={"title": "Theirs"})


def cancel_a_booking(container: Container, _sandbox: RunningSandbox) -> None:
    coming = container.calcom.page(BookingQuery(sort="start", after_start=utc_now(), take=100))
    accepted = next(b for b in coming.bookings if b.status == "accepted")
    container.calcom.cancel_booking(accepted.uid, reason="Testing")


def deliver(container: Container, _sandbox: RunningSandbox) -> None:
    (uid,) = fetch(container.database, "SELECT uid FROM bookings WHERE status = 'accepted' LIMIT 1")[0]
    container.deliveries.renew_secrets(container.settings.model_copy(update={"webhook_secret": _Secret()}))
    with container.deliveries.intake() as intake:
        raw = delivery_body(uid)
        intake.submit(intake.judge(raw, signature(raw))).result(20)  # type: ignore[arg-type]


class _Secret:
    def get_secret_value(self) -> str:
        return SECRET.decode()


#: Sensor, its job, what somebody does. The edit of a service comes last: it is written to Cal.com.
CHANGES: list[tuple[str, str, Callable[[Container, RunningSandbox], None]]] = [
    ("event_type_drift", "event_types_sync", change_event_type),
    ("changed_bookings", "bookings_mirror", cancel_a_booking),
    ("webhook_inbox", "webhooks_drain", deliver),
    ("service_changes", "services_sync", change_service),
]


def test_each_change_is_handed_over_at_least_once_and_repeats_are_no_ops(
    instance: dg.DagsterInstance, container: Container, sandbox: RunningSandbox, settled: dict[str, str | None]
):
    for sensor, job, change in CHANGES:
        assert tick(instance, sensor, settled[sensor])[0] == [], f"{sensor}: no run without a change"
        change(container, sandbox)
        handed_over_and_done(sensor, job, instance, container, sandbox, settled[sensor])


def handed_over_and_done(
    sensor: str,
    job: str,
    instance: dg.DagsterInstance,
    container: Container,
    sandbox: RunningSandbox,
    before: str | None,
) -> None:
    (first,), after = eventually(lambda: (found := tick(instance, sensor, before))[0] and found)
    (again,), _ = tick(instance, sensor, before)
    assert first.tags["calcom/cause"] == again.tags["calcom/cause"], f"{sensor}: a lost cursor loses no change"

    def state() -> tuple[object, ...]:
        bookings = fetch(container.database, "SELECT uid, status, payload_hash FROM bookings ORDER BY uid")
        return writes(sandbox), bookings, container.services.store.links()

    assert run(instance, job, tags=first.tags).success
    done = state()
    assert run(instance, job, tags=again.tags).success
    assert state() == done, f"{sensor}: what is done twice is done once"
    assert tick(instance, sensor, after)[0] == [], f"{sensor}: no run without a change"


def test_what_a_serving_process_wrote_at_once_has_a_run_of_its_own_that_writes_nothing(
    instance: dg.DagsterInstance,
    container: Container,
    sandbox: RunningSandbox,
    linked: str | None,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CALCOM_APPLY", "auto")
    with ready_container(load_settings()) as serving, following_edits(serving):
        known = "SELECT 1 FROM feed_readers WHERE reader = 'services_follower'"
        assert eventually(lambda: fetch(container.database, known))
        before = writes(sandbox)
        change_service(container, sandbox)
        assert eventually(lambda: writes(sandbox) > before)
    (request,), after = eventually(lambda: (f := tick(instance, "service_changes", linked))[0] and f)
    done = run(instance, "services_sync", tags=request.tags)
    assert done.success
    assert {each.asset_key.path[-1] for each in done.get_asset_materialization_events()} >= {"service_sync"}
    assert done_and_failed(done) == (0, 0)
    assert writes(sandbox) == before + 1
    assert tick(instance, "service_changes", after)[0] == []


def test_a_run_that_somebody_cancelled_is_made_up_for_by_the_schedules_next_one(
    instance: dg.DagsterInstance, container: Container, sandbox: RunningSandbox, linked: str | None
):
    change_service(container, sandbox)
    (request,), after = eventually(lambda: (f := tick(instance, "service_changes", linked))[0] and f)
    cancelled = instance.create_run_for_job(defs.resolve_job_def("services_sync"), tags=dict(request.tags))
    instance.report_run_canceled(cancelled)
    assert tick(instance, "service_changes", after)[0] == [], "it was handed over"
    assert run(instance, "services_sync").success  # services_every_15_minutes
    (link,) = container.services.store.links()
    assert container.calcom.get_event_type(link.event_type_id or 0).title == "Massage deluxe"
