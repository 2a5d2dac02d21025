"""What tests of the whole loop share: ticks of sensors, somebody else's edits, and what a sync came to."""

import time
from typing import Any

import dagster as dg

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.definitions import defs
from calcom_pipeline.sandbox.testing import RunningSandbox
from tests.support.dagster_runs import metadata, sensor_named
from tests.support.waiting import until

changed_bookings = sensor_named("changed_bookings")
event_type_drift = sensor_named("event_type_drift")
new_invalidations = sensor_named("new_invalidations")
service_changes = sensor_named("service_changes")


def ask(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """One tick; what a sensor returns in any of its ways, as a SensorResult."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
    answer = sensor(context) if sensor is not new_invalidations else sensor()
    if isinstance(answer, dg.SkipReason):
        return dg.SensorResult(skip_reason=answer, cursor=cursor)
    if isinstance(answer, dg.RunRequest):
        return dg.SensorResult([answer], cursor=cursor)
    return answer


def add_service(container: Container, name: str, slug: str, minutes: int = 30, **columns: Any) -> str:
    return container.services.store.insert({"name": name, "slug": slug, "duration_minutes": minutes, **columns})


def done_and_failed(result: dg.ExecuteInProcessResult) -> tuple[int, int]:
    """How many services were done and how many failed, as the UI shows it."""
    shown = metadata(result, "service_sync")
    return shown["services written"], shown["services failed"]


def writes(sandbox: RunningSandbox) -> int:
    """Requests that write, of everybody."""
    endpoints = sandbox.control.counters()["endpoints"]
    return sum(sum(s.values()) for name, s in endpoints.items() if name.split()[0] in ("POST", "PATCH", "DELETE"))


def update(container: Container, service_id: str, name: str) -> None:
    """Somebody else's UPDATE, not one of the pipeline's."""
    with container.require_schema().transaction("Testing") as cursor:
        cursor.execute("UPDATE services SET name = %s WHERE id::text = %s", (name, service_id))


def all_seen(instance: dg.DagsterInstance, container: Container, cursor: str | None = None) -> str | None:
    """The cursor of the sensor of services once it has nothing to hand over and nothing is held back.

    A transaction of another test that is still open holds back what was written after it began.
    """

    def seen() -> bool:
        nonlocal cursor
        answer = ask(service_changes, instance, cursor)
        cursor = answer.cursor
        return not answer.run_requests and container.services.feed.held_after(cursor) is None

    until(seen)
    return cursor


def settled(container: Container) -> None:
    """Waits until no clearing is so recent that what is fetched after it is kept for seconds alone."""
    types = [e.id for e in container.event_types.mirror.bookable()]
    while any(standing.settles_seconds for standing in container.availability.cache.generations(types).values()):
        time.sleep(0.05)
