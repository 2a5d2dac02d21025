"""What a job that runs in this process hands to whoever started it."""

import dagster as dg
import pytest

from calcom_pipeline.app.availability.refresh import SlotsReport
from calcom_pipeline.app.bookings.sync import BookingsSynced
from calcom_pipeline.app.calls import Spent
from calcom_pipeline.app.event_types.mirror import EventTypesReport
from calcom_pipeline.app.services.ports import StoredPlan
from calcom_pipeline.app.services.sync import LatestApplied
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.definitions import defs
from calcom_pipeline.defs.reports import hand_over, receiving
from calcom_pipeline.defs.runner import run_job
from calcom_pipeline.sandbox.testing import RunningSandbox

pytestmark = pytest.mark.timeout(180)


def unseen(done: int, total: int | None, what: str) -> None:
    """Nobody looks at the progress."""


def test_the_reports_of_the_steps_come_as_values(instance: dg.DagsterInstance, container: Container):
    container.services.store.insert({"name": "Massage", "slug": "massage", "duration_minutes": 30})
    result = run_job(defs, "full_sync", unseen)
    assert result.success, result.failures
    counts, reports = container.reports.overview.counts(), result.reports
    plan, applied = reports.of(StoredPlan), reports.of(LatestApplied)
    event_types, bookings, slots = reports.of(EventTypesReport), reports.of(BookingsSynced), reports.of(SlotsReport)
    assert plan
    assert plan.counts["create"] == 1
    assert applied
    assert applied.report
    assert applied.report.counts["done"] == 1
    assert event_types
    assert event_types.changes.added == counts.event_types
    assert bookings
    assert bookings.report.stored.changes.added == counts.bookings
    assert slots
    assert slots.slots == counts.slots
    told = sum(step["calls to Cal.com"] for step in result.steps.values())
    assert reports.calls == told > 0, "the labels in the UI say the same"


def test_a_step_that_failed_hands_nothing_over(
    instance: dg.DagsterInstance, container: Container, sandbox: RunningSandbox
):
    sandbox.control.add_fault("error", "GET /v2/bookings", status=400, count=100)
    result = run_job(defs, "bookings_mirror", unseen)
    assert not result.success
    assert result.reports.of(BookingsSynced) is None


def test_reports_reach_those_alone_who_wait_for_them():
    hand_over("nobody waits", Spent(1))
    with receiving() as outer:
        hand_over("first", Spent(2, refused=1))
        with receiving() as inner:
            hand_over("within", Spent(3))
        hand_over("second", Spent(4))
    assert (outer.reports, inner.reports) == (["first", "second"], ["within"])
    assert (outer.of(str), outer.calls, outer.refused) == ("second", 6, 1)
