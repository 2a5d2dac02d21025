"""What the demo shows: drift that was found, what came of it, a booking, and its slot gone from the cache."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from calcom_pipeline.cli.console import Output

if TYPE_CHECKING:
    from calcom_pipeline.app.availability.lookup import Availability
    from calcom_pipeline.app.services.ports import StoredPlan
    from calcom_pipeline.app.services.summary import ApplySummary
    from calcom_pipeline.bootstrap.container import Container
    from calcom_pipeline.defs.reports import StepReports
    from calcom_pipeline.domain.event_types.models import EventType
    from calcom_pipeline.facade import CalcomService

_GUEST, _ADDRESS = "Ada Lovelace", "ada@example.org"
# Days ahead that are looked through for a free start; the first ones are past every minimum notice.
_FIRST_DAY, _DAYS = 2, 7


def show_drift(output: Output, container: "Container", reports: "StepReports") -> None:
    """What the plan of the run found to change, field by field."""
    from calcom_pipeline.app.services.summary import names_of, summarize
    from calcom_pipeline.cli.plan_lines import change_lines

    if (plan := _plan(reports)) is None:
        return
    summary = summarize(plan, names_of(container.services.store, plan))
    output.line(f"\nDrift found ({summary.sentence}):")
    output.lines(change_lines(summary.changes, width=output.width))


def show_outcome(output: Output, container: "Container", reports: "StepReports") -> "ApplySummary | None":
    """What was written, and who needs a person; None where the run did not get so far."""
    from calcom_pipeline.app.services.summary import names_of, summarize_apply
    from calcom_pipeline.app.services.sync import LatestApplied
    from calcom_pipeline.cli.plan_lines import group_lines

    plan, applied = _plan(reports), reports.of(LatestApplied)
    if plan is None or applied is None:
        return None
    from calcom_pipeline.app.services.apply import ApplyReport

    report = applied.report or ApplyReport(plan.id)
    summary = summarize_apply(plan, report, names_of(container.services.store, plan))
    output.line(f"\nPushed: {summary.sentence}.")
    output.lines(group_lines(summary.groups, width=output.width))
    return summary


def book_a_time(output: Output, container: "Container") -> dict[str, Any] | None:
    """Book the first free start of a type that takes one booking a time, and show that no cache offers it any more."""
    from calcom_pipeline.facade import CalcomService

    calcom = CalcomService(container)
    found = _free(container, calcom)
    if found is None:
        return None
    event_type, before = found
    start = before.slots[0].start
    made = calcom.book({"eventTypeId": event_type.id, "start": start, "name": _GUEST, "email": _ADDRESS})
    after = calcom.availability(event_type.id, first_day=start.date(), last_day=start.date())
    offered = [slot.start for slot in after.slots]
    output.line(f"\nBooked: {event_type.title}, {start:%a %d %b %H:%M} UTC, for {_GUEST} ({made.booking.uid})")
    output.line(f"  {made.cached_days_cleared} cached days went: those of every event type of the same host")
    there = "STILL offered" if start in offered else "gone"
    same_day = [slot for slot in before.slots if slot.start.date() == start.date()]
    output.line(
        f"  asked again, {start:%H:%M} is {there}: {len(same_day)} free starts that day before, {len(offered)} now"
    )
    return {
        "uid": made.booking.uid,
        "event_type_id": event_type.id,
        "start": start,
        "cached_days_cleared": made.cached_days_cleared,
        "offered_before": True,
        "offered_after": start in offered,
    }


def _free(container: "Container", calcom: "CalcomService") -> "tuple[EventType, Availability] | None":
    """An event type with free starts in the days ahead."""
    from calcom_pipeline.clock import utc_now

    first = utc_now().date() + timedelta(days=_FIRST_DAY)
    for event_type in container.event_types.mirror.bookable():
        plain = event_type.owner.kind == "user" and not event_type.hidden and event_type.seats_per_slot is None
        if not plain or event_type.recurring:
            continue
        found = calcom.availability(event_type.id, first_day=first, last_day=first + timedelta(days=_DAYS))
        if found.slots:
            return event_type, found
    return None


def _plan(reports: "StepReports") -> "StoredPlan | None":
    from calcom_pipeline.app.services.ports import StoredPlan

    return reports.of(StoredPlan)
