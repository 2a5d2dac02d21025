"""The facade that application code imports: event types, bookings, availability, sync, health.

    from calcom_pipeline.service import CalcomService

    with CalcomService.open() as calcom:
        free = calcom.availability(2, first_day=date(2026, 12, 1), last_day=date(2026, 12, 7))
        calcom.book({"eventTypeId": 2, "start": free.slots[0].start, "name": "Ada", "email": "ada@example.org"})

Everything is delegated; nothing else lives here. Calls are made in the interactive lane, sync in its own. All instants
that come out are UTC; errors are those of `domain/errors.py`.
"""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from calcom_pipeline.app.availability.alternatives import alternatives
from calcom_pipeline.app.availability.fetching import Stores
from calcom_pipeline.app.availability.first_free import FirstFree, first_free
from calcom_pipeline.app.availability.free_days import FreeDays, LookedUpDays
from calcom_pipeline.app.availability.holds import Held, Holds, Released
from calcom_pipeline.app.availability.lookup import Availability, WarmTimes
from calcom_pipeline.app.availability.month import MonthView, month_view
from calcom_pipeline.app.bookings.commands import Appointment, Appointments
from calcom_pipeline.app.bookings.held import book_held
from calcom_pipeline.app.event_types.ports import Written
from calcom_pipeline.app.maintenance.health import Finding, examine
from calcom_pipeline.app.reports.models import AccountReport
from calcom_pipeline.app.services.apply import ApplyReport
from calcom_pipeline.app.services.planning import PlanRequest
from calcom_pipeline.app.services.sync import sync_services
from calcom_pipeline.bootstrap.container import Container, open_container
from calcom_pipeline.bootstrap.doctor import essentials
from calcom_pipeline.bootstrap.reports import report_of
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.finding import Alternatives
from calcom_pipeline.domain.availability.holds import Hold
from calcom_pipeline.domain.availability.questions import check_month, first_question, hold_start, nearest_question
from calcom_pipeline.domain.availability.questions import hold_uid as a_hold_uid
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.requests import BookingRules, booking_request, booking_uid, new_start, reason_text
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calcom_pipeline.adapters.redis.request_budget import RequestBudget

#: A person waits for these calls: they give up after so long, waiting for the rate limit included.
INTERACTIVE_SECONDS = 30.0


class CalcomService:
    """Cal.com for application code. One instance may be shared by threads."""

    def __init__(self, container: Container) -> None:
        self._container = container
        lane = container.calcom.in_lane("interactive")
        self._reads = lane.within(INTERACTIVE_SECONDS)
        # A write that is under way is waited for: giving up on it would only leave a doubt.
        self._writes = lane
        self._free_times = container.availability.free_times(
            lane.within(container.settings.slot_wait_seconds),
            self._stores,
            calcom_behind=container.calcom.in_lane("warm").within(container.settings.slot_wait_seconds),
        )

    @classmethod
    @contextmanager
    def open(cls, settings: Settings | None = None) -> "Generator[CalcomService]":
        """The service as the environment (or the given settings) says, open as long as the block.

        Raises:
            ConfigurationError: a setting is wrong or missing.
        """
        with open_container(settings or load_settings()) as container:
            yield cls(container)

    # --- event types -------------------------------------------------------------------------------------

    def list_event_types(self, *, team_id: int | None = None) -> Listed[EventType]:
        """All event types of the key's user, or of a team, as Cal.com lists them now; odd rows are `.unreadable`."""
        owner = Owner("user", 0) if team_id is None else Owner("team", team_id)
        return self._reads.list_owner(owner)

    def get_event_type(self, event_type_id: int, *, team_id: int | None = None) -> EventType:
        """One event type. Raises NotFound."""
        owner = None if team_id is None else Owner("team", team_id)
        return self._reads.get_event_type(event_type_id, owner=owner)

    def create_event_type(self, fields: Mapping[str, object], *, team_id: int | None = None) -> Written:
        """Create one, exactly once; `fields` by attribute of `EventType`. `ignored` names what Cal.com did not take."""
        owner = Owner("user", 0) if team_id is None else Owner("team", team_id)
        return self._writes.create_event_type(owner, fields)

    def update_event_type(
        self, event_type_id: int, changes: Mapping[str, object], *, team_id: int | None = None
    ) -> Written:
        """Change some fields. Reads the event type first, since managed parents are refused."""
        return self._writes.update_event_type(self.get_event_type(event_type_id, team_id=team_id), changes)

    def delete_event_type(self, event_type_id: int, *, team_id: int | None = None) -> None:
        """Delete one; its bookings stay, without an event type. Raises NotFound."""
        self._writes.delete_event_type(self.get_event_type(event_type_id, team_id=team_id))

    # --- bookings ----------------------------------------------------------------------------------------

    def book(self, details: Mapping[str, Any], *, key: str | None = None, hold_uid: str | None = None) -> Appointment:
        """Book, exactly once. `details` flat or with `responses`; `key` names the request, if it may come twice.

        A second call with the same key, event type and start finds the booking of the first, whatever became of that
        call. Of two such calls at the same moment, in any processes, the second waits for the first; only while
        PostgreSQL is away are these safe just where a time can be booked once (no seats, one host).

        `hold_uid`: the hold on this start, which is released once the booking is made.

        Raises:
            InvalidInput: everything that is wrong with the details; nothing was sent.
            Conflict: the time is taken.
            OutcomeUnknown: nobody knows yet; the next sync finds out. Or a call with the same key, which was waited for
                as long as one create may take, has not ended.
        """
        request = booking_request(details, self._rules(), key=key)
        if hold_uid is not None:
            return book_held(self._appointments, self._holds, request, hold_uid=a_hold_uid(hold_uid))
        return self._appointments.book(request)

    def get_booking(self, uid: str) -> Booking:
        """One booking. Raises NotFound."""
        return self._reads.get_booking(booking_uid(uid))

    def cancel(self, uid: str, *, reason: str = "", seat_uid: str | None = None) -> Appointment:
        """Cancel a booking, or one seat of it. Cal.com wants a reason from a host."""
        return self._appointments.cancel(booking_uid(uid), reason=reason_text(reason), seat_uid=seat_uid)

    def reschedule(
        self, uid: str, start: datetime | str, *, reason: str = "", time_zone: str | None = None
    ) -> Appointment:
        """Move a booking. A naive start is read in `time_zone`, else in the zone of the settings."""
        moment = new_start(start, self._rules(), zone=time_zone)
        return self._appointments.reschedule(booking_uid(uid), moment, reason=reason_text(reason))

    def confirm(self, uid: str) -> Appointment:
        """Accept a pending booking."""
        return self._appointments.confirm(booking_uid(uid))

    def decline(self, uid: str, *, reason: str = "") -> Appointment:
        """Reject a pending booking."""
        return self._appointments.decline(booking_uid(uid), reason=reason_text(reason))

    # --- availability ------------------------------------------------------------------------------------

    def availability(
        self, event_type_id: int, *, first_day: date, last_day: date, duration_minutes: int | None = None
    ) -> Availability:
        """Free starts of whole local days of the event type's schedule, from the cache where it has them.

        A start that has no seat left is not among them. Warm answers touch Redis alone.

        Raises:
            NotFound: no bookable event type of this id is mirrored.
            InvalidInput: the days or the length are none that can be asked for.
            TransientError: Cal.com cannot be asked, and no older days are there.
        """
        return self._free_times.days(event_type_id, first_day, last_day, duration_minutes)

    @asynccontextmanager
    async def warm_times(self) -> "AsyncGenerator[WarmTimes]":
        """For the running event loop, as long as the block: what is warm, of Redis alone."""
        async with self._container.availability.soon_looks() as looks:
            yield WarmTimes(self._free_times, looks.look)

    def request_budget(self) -> "AbstractAsyncContextManager[RequestBudget]":
        """For the running event loop, as long as the block: what callers of the HTTP API have left, in Redis."""
        return self._container.request_budget()

    def alternatives(
        self,
        event_type_ids: int | Sequence[int],
        *,
        around: datetime,
        count: int = 5,
        duration_minutes: int | None = None,
        weekdays: frozenset[int] | None = None,
        earliest: time | None = None,
        latest: time | None = None,
        within_days: int = 14,
    ) -> Alternatives:
        """The free starts nearest to `around`: of the same local day first, then outward; `around` too, if it is free.

        Of several event types a start comes once, of the one that is named first. `weekdays` (0 = Monday), `earliest`
        and `latest` (both inclusive; over midnight if that way round) are local to the event type's schedule.

        Raises:
            InvalidInput: everything that is wrong with the question.
            NotFound: one of the event types is not mirrored, or cannot be booked.
            TransientError: Cal.com cannot be asked, and no older days are there.
        """
        question = nearest_question(
            event_type_ids,
            around,
            now=utc_now(),
            count=count,
            duration_minutes=duration_minutes,
            weekdays=weekdays,
            earliest=earliest,
            latest=latest,
            within_days=within_days,
        )
        return alternatives(self._free_days, self._container.availability.near, question, clock=utc_now)

    def first_free(
        self,
        event_type_ids: int | Sequence[int],
        *,
        after: datetime | None = None,
        duration_minutes: int | None = None,
        within_days: int | None = None,
    ) -> FirstFree:
        """The first start that may be booked from `after` (or now) on, of one event type or any of several.

        `within_days` counts local days after that of `after`; None: as many as slots are kept for. Raises as
        `alternatives`.
        """
        now = utc_now()
        days = self._container.settings.slot_horizon_days if within_days is None else within_days
        question = first_question(event_type_ids, after, now=now, within_days=days, duration_minutes=duration_minutes)
        return first_free(self._free_days, question, now=now)

    def month(self, event_type_id: int, *, year: int, month: int, duration_minutes: int | None = None) -> MonthView:
        """How many free starts each day of a month has, in the event type's schedule. Raises as `alternatives`."""
        now = utc_now()
        check_month(year, month, now=now, duration_minutes=duration_minutes)
        return month_view(
            self._free_days, event_type_id, year=year, month=month, duration_minutes=duration_minutes, now=now
        )

    # --- holds -------------------------------------------------------------------------------------------

    def hold(
        self,
        event_type_id: int,
        start: datetime,
        *,
        minutes: int | None = None,
        duration_minutes: int | None = None,
    ) -> Held:
        """Hold a start while somebody fills in a form; it ends by itself after so many minutes (None: Cal.com's 5).

        Raises:
            InvalidInput: everything that is wrong; nothing was sent.
            NotFound: the event type is not mirrored, or cannot be booked.
            Conflict: the start is held or booked.
            OutcomeUnknown: the answer was lost. If it is held, that ends by itself; its time is told.
        """
        moment = hold_start(start, now=utc_now(), minutes=minutes, duration_minutes=duration_minutes)
        return self._holds.hold(event_type_id, moment, minutes=minutes, duration_minutes=duration_minutes)

    def move_hold(
        self, uid: str, start: datetime, *, minutes: int | None = None, duration_minutes: int | None = None
    ) -> Held:
        """Hold another start of the same event type instead. Raises as `hold`; NotFound when the hold is over."""
        moment = hold_start(start, now=utc_now(), minutes=minutes, duration_minutes=duration_minutes)
        return self._holds.move(a_hold_uid(uid), moment, minutes=minutes, duration_minutes=duration_minutes)

    def held(self, uid: str) -> Hold | None:
        """A hold while it lasts; None when it is unknown, released or over."""
        return self._holds.held(a_hold_uid(uid))

    def release(self, uid: str) -> Released:
        """End a hold, and let the days that it frees go; one that is over is no error."""
        return self._holds.release(a_hold_uid(uid))

    def seconds_until_available(self) -> float:
        """About how long a call made now would wait for the rate limit."""
        return self._reads.seconds_until_available()

    # --- sync --------------------------------------------------------------------------------------------

    def sync_services(self, service_ids: Sequence[str] | None = None) -> ApplyReport:
        """Make event types follow services, all or some: a result per service. Held actions wait for approval.

        Where CALCOM_APPLY is not auto, the plan is kept for review and the report holds no results.
        """
        container = self._container
        container.require_schema()
        group = container.services
        synced = sync_services(
            container.calcom,
            group.store,
            group.plans,
            PlanRequest("CalcomService.sync_services", container.event_types.teams, service_ids),
            plan_rules=group.plan_rules,
            apply_rules=group.apply_rules,
            may_write=group.apply_mode == "auto",
            now=utc_now,
        )
        return synced.report or ApplyReport(synced.plan.id)

    # --- health ------------------------------------------------------------------------------------------

    def health(self) -> list[Finding]:
        """PostgreSQL, Redis, the key, the limiter and the circuits, one finding each. Costs one call."""
        return examine(essentials(self._container))

    def report(self) -> AccountReport:
        """Everything about the account, of what is stored here: how each service stands, and what needs somebody."""
        return report_of(self._container, now=utc_now())

    # --- inside ------------------------------------------------------------------------------------------

    @property
    def _free_days(self) -> FreeDays:
        return LookedUpDays(self._free_times, self._container.availability.cache, now=utc_now)

    @property
    def _holds(self) -> Holds:
        container = self._container
        container.require_schema()
        group = container.availability
        return Holds(
            self._writes, container.event_types.mirror, group.outbox, group.cache, group.held_days, now=utc_now
        )

    @property
    def _appointments(self) -> Appointments:
        container = self._container
        container.require_schema()
        return Appointments(
            self._writes,
            container.bookings.in_doubt,
            container.bookings.key_locks,
            container.availability.outbox,
            container.availability.cache,
            now=utc_now,
            horizon=timedelta(days=container.settings.cached_slot_days),
        )

    def _stores(self) -> Stores:
        container = self._container
        container.require_schema()
        return Stores(container.event_types.mirror, container.availability.mirror)

    def _rules(self) -> BookingRules:
        settings = self._container.settings
        notice = timedelta(minutes=settings.minimum_notice_minutes)
        return BookingRules(now=utc_now(), default_zone=settings.default_time_zone, minimum_notice=notice)
