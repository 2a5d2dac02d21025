"""What processes of the harness do all day. Everything that a storm is to interrupt stands here."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from calcom_pipeline.adapters.calcom.transport.retries import RetryPatience
from calcom_pipeline.adapters.postgres.bookings.in_doubt import PostgresOutcomeStore
from calcom_pipeline.adapters.postgres.database import open_database
from calcom_pipeline.adapters.postgres.event_types.mirror import PostgresEventTypeMirror
from calcom_pipeline.adapters.postgres.locks import PostgresKeyLocks
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.adapters.redis.breaker import BreakerRules
from calcom_pipeline.app.bookings.in_doubt import book
from calcom_pipeline.app.calls import CallRecord
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.domain.bookings.requests import BookingRules, booking_request
from calcom_pipeline.domain.errors import (
    AnotherApply,
    CalcomError,
    CircuitOpen,
    OutcomeUnknown,
    RateLimited,
    StoreError,
)
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.services.plans import Brakes
from tests.faults.harness import SCHEMA, Desk

ME = Owner("user", 101)
#: How long the circuit of `tester` stays open; its requests may take as long as those of `QUICK`.
PROBED_OPEN_SECONDS = 0.3
#: Nothing is braked, and nothing waits long: edits and kills are what is tried here.
RECONCILING = PlanRules(
    Brakes(100, 1000, smallest_share=0), timedelta(hours=1), create_grace=timedelta(seconds=0.3), wait_seconds=20
)
APPLYING = ApplyRules(first_retry=timedelta(0), longest_retry=timedelta(0), attempts_before_parking=1000)


class _Waits:
    """An observer that keeps how long the last request waited for its turn."""

    def __init__(self) -> None:
        self.last: CallRecord | None = None

    def started(self, record: CallRecord) -> None:
        """Nothing yet."""

    def completed(self, record: CallRecord) -> None:
        self.last = record

    failed = completed


def reader(desk: Desk, lane: str = "sync") -> None:
    """One call after the other, for ever; no failure ends it."""
    waits = _Waits()
    with desk.calcom(observers=[waits]) as calcom:
        client = calcom.in_lane(lane)  # type: ignore[arg-type]  # a plain string travels to the process
        while True:
            try:
                client.me()
            except (RateLimited, CircuitOpen) as error:
                desk.tell("refused", lane=lane, kind=type(error).__name__)
                time.sleep(min(error.retry_after, 1.0))
            except CalcomError as error:
                desk.tell("failed", lane=lane, kind=type(error).__name__)
            else:
                desk.tell("ok", lane=lane, waited=waits.last.waited_seconds if waits.last else None)


def visitor(desk: Desk, lane: str, every_seconds: float) -> None:
    """A call now and then, as a website makes them."""
    waits = _Waits()
    with desk.calcom(observers=[waits]) as calcom:
        client = calcom.in_lane(lane)  # type: ignore[arg-type]  # a plain string travels to the process
        while True:
            time.sleep(every_seconds)
            _call(desk, client, waits, lane)


def party(desk: Desk, lane: str, guests: int) -> None:
    """Some calls at the same moment, once."""
    from concurrent.futures import ThreadPoolExecutor

    def one(_: int) -> None:
        waits = _Waits()
        with desk.calcom(observers=[waits]) as calcom:
            _call(desk, calcom.in_lane(lane), waits, "party")  # type: ignore[arg-type]  # as above

    with ThreadPoolExecutor(guests) as pool:
        list(pool.map(one, range(guests)))


def stranger(desk: Desk, every_seconds: float) -> None:
    """Somebody else with the same key, who has never heard of our limiter."""
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {desk.place.key}"
    due = time.monotonic()
    while True:
        status = session.get(desk.place.url + "/me", timeout=10).status_code
        desk.tell("stranger", status=status)
        due += every_seconds
        time.sleep(max(0.0, due - time.monotonic()))


def tester(desk: Desk) -> None:
    """Calls one endpoint group whose circuit opens soon and not for long, so that a probe is often under way."""
    rules = BreakerRules(failures=2, open_seconds=PROBED_OPEN_SECONDS, successes=2)
    with desk.calcom(breaker=rules, patience=RetryPatience(deadline_seconds=20, attempts=1)) as opened:
        calcom = opened.in_lane("interactive")
        while True:
            try:
                calcom.list_webhooks()
            except (RateLimited, CircuitOpen) as error:
                desk.tell("refused", lane="tester", kind=type(error).__name__)
                time.sleep(min(error.retry_after, PROBED_OPEN_SECONDS))
            except CalcomError as error:
                desk.tell("struck", lane="tester", kind=type(error).__name__)
            else:
                desk.tell("tested")


def mirrorer(desk: Desk) -> None:
    """Mirrors event types under the lock of applies, for ever: the limiter, a stream's lock and a session's lock."""
    with desk.database() as database, desk.calcom() as opened:
        calcom = opened.in_lane("interactive")
        plans, mirror = PostgresPlanStore(database), PostgresEventTypeMirror(database)
        while True:
            try:
                with plans.exclusive(wait_seconds=10):
                    desk.tell("locked")
                    pull_event_types(calcom, mirror, teams=TeamChoice(), now=lambda: datetime.now(UTC))
            except CalcomError as error:
                desk.tell("failed", lane="mirrorer", kind=type(error).__name__)
            except (StoreError, AnotherApply) as error:
                desk.tell("without_lock", kind=type(error).__name__)
                time.sleep(0.1)
            else:
                desk.tell("mirrored")


def _call(desk: Desk, client: Any, waits: _Waits, lane: str) -> None:
    try:
        client.me()
    except CalcomError as error:
        desk.tell("failed", lane=lane, kind=type(error).__name__)
    else:
        desk.tell("visit", lane=lane, waited=waits.last.waited_seconds if waits.last else None)


def event_type_maker(desk: Desk, count: int, options: dict[str, Any]) -> None:
    """Creates so many event types, each under a slug of its own; every result is told."""
    with desk.calcom(**options) as calcom:
        above = max(e.id for e in calcom.list_owner(ME))
        for number in range(count):
            slug = f"{desk.name}-{number}".replace("_", "-")
            fields = {"title": f"Made by {desk.name}", "slug": slug, "duration_minutes": 30, "hidden": True}
            try:
                written = calcom.create_event_type(ME, fields, above_id=above)
            except CalcomError as error:
                desk.tell("unmade", slug=slug, why=str(error), cause=str(error.__cause__))
            else:
                whole = written.ignored == () and written.event_type.hidden
                desk.tell("made", slug=slug, id=written.event_type.id, adopted=written.adopted, whole=whole)


def booker(desk: Desk, event_type_id: int, starts: list[str], options: dict[str, Any]) -> None:
    """Books these starts, one after the other; every result is told."""
    now = datetime.now(UTC)
    with desk.calcom(**options) as calcom:
        for start in starts:
            details = {"eventTypeId": event_type_id, "start": start, "name": "Carol", "timeZone": "Europe/Berlin"}
            wanted = booking_request(details | {"email": f"{desk.name}@example.org"}, BookingRules(now=now))
            try:
                booked = calcom.create_booking(wanted)
            except CalcomError as error:
                desk.tell("unbooked", start=start, kind=type(error).__name__, why=str(error), key=wanted.key)
            else:
                desk.tell("booked", start=start, uid=booked.booking.uid, adopted=booked.adopted)


def reconciler(desk: Desk) -> None:
    """Plans and applies, over and over; each step is told before it is taken, so that a kill is known by its place."""
    now = lambda: datetime.now(UTC)  # noqa: E731 - a clock
    with desk.calcom() as calcom, open_database(desk.place.database_url, schema=SCHEMA) as database:
        services, plans = PostgresServiceStore(database), PostgresPlanStore(database)
        while True:
            desk.tell("planning")
            request = PlanRequest(desk.name, TeamChoice())
            stored, plan = make_plan(calcom, services, plans, request, rules=RECONCILING, now=now)
            desk.tell("applying", actions=len(stored.actions))
            try:
                report = apply_plan(stored, calcom, services, plans, rules=APPLYING, now=now, approved=True)
            except AnotherApply:  # the lock of one that was killed a moment ago
                desk.tell("locked")
                continue
            desk.tell("applied", counts=report.counts, gap=report.gap_seconds, empty=plan.is_empty)
            for result in report.results:
                if result.outcome == "failed":
                    desk.tell("failed", service=result.service_id, why=result.message)


def undisturbed(desk: Desk) -> None:
    """The same under a name of its own: nobody is going to disturb this one."""
    reconciler(desk)


def doubtful_booker(desk: Desk, event_type_id: int, starts: list[str], options: dict[str, Any]) -> None:
    """Books what must never be sent twice, as the facade does: a doubt is written down for the next sync."""
    with desk.database() as database, desk.calcom(**options) as calcom:
        outcomes, locks = PostgresOutcomeStore(database), PostgresKeyLocks(database, wait_seconds=60)
        for start in starts:
            now = datetime.now(UTC)
            details = {"eventTypeId": event_type_id, "start": start, "name": "Carol", "timeZone": "Europe/Berlin"}
            wanted = booking_request(details | {"email": f"{desk.name}@example.org"}, BookingRules(now=now))
            try:
                book(calcom, outcomes, locks, wanted, now=now)
            except OutcomeUnknown as unknown:
                desk.tell("unknown", key=unknown.key)
            except CalcomError as error:
                desk.tell("unbooked", start=start, kind=type(error).__name__, why=str(error), key=wanted.key)
            else:
                desk.tell("booked", key=wanted.key)
