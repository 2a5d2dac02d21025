"""Sensors read, compare, answer: a run per change, its key naming the cause; a failed read raises.

They open their own pipeline for one look: resources of a sensor would be opened even when there is nothing to see.
"""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from datetime import datetime, timedelta

import dagster as dg

from calcom_pipeline.app.bookings.change_probe import TOLERATED_AHEAD, newest_change
from calcom_pipeline.app.event_types.mirror import look_for_drift
from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs import jobs
from calcom_pipeline.defs.availability.invalidation import cache_invalidation
from calcom_pipeline.defs.naming import BOOKING_LOOK_SECONDS, EVENT_TYPE_LOOK_SECONDS, LOOK_SECONDS
from calcom_pipeline.domain.bookings.listing import MINE
from calcom_pipeline.domain.errors import CircuitOpen, RateLimited
from calcom_pipeline.settings import load_settings

_FEED_READER = "service_changes"  # what it has not dealt with is not deleted from the feed
_FIRST_LOOK_BACK = timedelta(minutes=5)
_CAUSES_NAMED = 20  # a tag is read by people; the feed holds all of them
_LONGEST_TAG = 250  # Dagster keeps no longer ones
_LOOK_DEADLINE_SECONDS = 30.0  # the daemon gives a tick 60 s


@dg.sensor(
    job=jobs.services_sync,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Services that somebody changed are planned and synced.",
)
def service_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The cursor is a position in the feed; it moves past our own writes without a run."""
    with ready_container(load_settings()) as container:
        batch = container.services.feed.settled_after(context.cursor, reader=_FEED_READER)
        idle = not batch.service_ids and not batch.everything
        held = container.services.feed.held_after(batch.cursor) if idle else None
    if idle:
        return dg.SensorResult(skip_reason=str(held or "No service changed since the last look"), cursor=batch.cursor)
    named = ", ".join(batch.service_ids[:_CAUSES_NAMED]) or "all, at the first look"
    return dg.SensorResult([_run(batch.key, f"services changed: {named}")], cursor=batch.cursor)


@dg.sensor(
    job=cache_invalidation,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Facts in the outbox are applied to the caches.",
)
def new_invalidations() -> dg.RunRequest | dg.SkipReason:
    """The key changes whenever a fact is added, tried or done, so each state of the outbox is handed over once.

    Once a minute: a run that died before it could touch a fact must not be the last one.
    """
    with ready_container(load_settings()) as container:
        backlog = container.availability.outbox.backlog()
    if not backlog.pending:
        return dg.SkipReason("The outbox is empty")
    if not backlog.due:
        return dg.SkipReason(f"{backlog.pending} facts in the outbox wait for their next attempt")
    return _run(f"{backlog.key}:{utc_now():%Y%m%dT%H%M}", f"{backlog.due} facts in the outbox")


@dg.sensor(
    job=jobs.bookings_mirror,
    minimum_interval_seconds=BOOKING_LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="One cheap question to Cal.com: has any booking changed?",
)
def changed_bookings(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The cursor is the newest change that was handed over; what Cal.com stamps late, the schedule finds."""
    now = utc_now()
    after = _look_back(context.cursor, now)
    with ready_container(load_settings()) as container:
        if context.cursor is None and container.bookings.mirror.state(MINE).full_done_at is None:
            first = _run(f"bookings:{now:%Y%m%dT%H%M%S}", "no booking was read yet")
            return dg.SensorResult([first], cursor=f"{now}")
        if (wait := container.subscriptions.no_look_yet(now)) is not None:
            return dg.SkipReason(f"No look yet; {wait}")
        newest = newest_change(container.calcom, after=after, now=now)
        container.subscriptions.sweep.looked(now)
    if newest is None:
        return dg.SkipReason(f"No booking changed since {after:%Y-%m-%d %H:%M:%S} UTC")
    named = newest.isoformat()
    return dg.SensorResult([_run(f"bookings:{named}", f"a booking changed at {named}")], cursor=named)


@dg.sensor(
    job=jobs.event_types_sync,
    minimum_interval_seconds=EVENT_TYPE_LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Event types that somebody changed at Cal.com: a listing per owner, compared with the mirror.",
)
def event_type_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The cursor names the difference that was handed over; it is forgotten once the mirror has followed."""
    with ready_container(load_settings()) as container:
        try:
            calcom, links = container.calcom.within(_LOOK_DEADLINE_SECONDS), container.services.store.links()
            drift = look_for_drift(calcom, container.event_types.mirror, links)
        except (RateLimited, CircuitOpen) as busy:
            return dg.SkipReason(f"Cal.com is not to be asked for another {busy.retry_after:.0f} s")
    if drift.owners and not drift.digest:
        return dg.SensorResult(skip_reason=f"The event types of {drift.owners} owners are as mirrored", cursor="")
    difference = drift.digest or "nothing-mirrored"
    if difference == context.cursor:
        return dg.SkipReason("The difference from the mirror was handed over already")
    named = ", ".join(map(str, drift.event_type_ids[:_CAUSES_NAMED]))
    cause = f"event types differ from the mirror: {named}" if named else "no event type is mirrored yet"
    # The same difference may come again later, so its name alone would be taken for a repetition.
    key = f"event-types:{difference}:{utc_now():%Y%m%dT%H%M%S}"
    return dg.SensorResult([_run(key, cause)], cursor=difference)


def _look_back(cursor: str | None, now: datetime) -> datetime:
    """Where the look for changes begins. A cursor further ahead of now than clocks differ would hide all until then."""
    after = datetime.fromisoformat(cursor) if cursor else None
    return after if after is not None and after <= now + TOLERATED_AHEAD else now - _FIRST_LOOK_BACK


def _run(key: str, cause: str) -> dg.RunRequest:
    """A run that tells people what it was started for; one of the same key is started once."""
    return dg.RunRequest(run_key=key, tags={"calcom/cause": cause[:_LONGEST_TAG]})


ALL = [service_changes, new_invalidations, changed_bookings, event_type_drift]
