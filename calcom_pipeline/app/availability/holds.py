"""Hold a start while somebody fills in a form, and let the cached days that this concerns follow at once.

A hold takes its time from every event type of the type's hosts, as a booking does, and gives it back by itself. So a
hold is two facts: one now, and one that is due when it ends; and what is cached of its days in between lives no longer
than the hold, wherever the outbox is not applied by a job. Cal.com's booking is not tied to a hold (fact sheet 5.2):
whoever books first has the start, so that it has to be booked and then released.

A hold is sent once. When its answer is lost it may stand at Cal.com under a uid that nobody knows: it harms nobody,
ends by itself, and is counted as held until then, so that no cached day shows its start as free in the meantime.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calcom_pipeline.app.availability.invalidate import clear, resolve
from calcom_pipeline.app.availability.ports import CacheClearer, HeldDays, HoldApi, HoldOutbox
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.domain.availability.changes import HELD, HOLD_MOVED, HOLD_OVER, HOLD_RELEASED, ChangeEvent, Why
from calcom_pipeline.domain.availability.holds import Hold
from calcom_pipeline.domain.errors import CacheError, CalcomError, NotFound, OutcomeUnknown, StoreError
from calcom_pipeline.domain.event_types.models import EventType

#: What Cal.com takes where nobody says how long (fact sheet 5.2).
DEFAULT_MINUTES = 5
# A day that is read again a moment too early would still show it taken.
_AFTERWARDS = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Held(Hold):
    """A hold that was made or moved, how many cached days went, and why any may still stand."""

    cached_days_cleared: int = 0
    cache_problem: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """What releasing did. `was_held` is False where the uid was unknown or the hold was over."""

    was_held: bool
    cached_days_cleared: int = 0
    cache_problem: str = ""


class Holds:
    """Holds of starts for application code."""

    def __init__(
        self,
        calcom: HoldApi,
        event_types: EventTypeMirror,
        outbox: HoldOutbox,
        cache: CacheClearer,
        held_days: HeldDays,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._calcom = calcom
        self._event_types = event_types
        self._outbox = outbox
        self._cache = cache
        self._held_days = held_days
        self._now = now

    def hold(
        self, event_type_id: int, start: datetime, *, minutes: int | None = None, duration_minutes: int | None = None
    ) -> Held:
        """Hold a start (UTC) for so many minutes, Cal.com's 5 where None.

        Raises:
            NotFound: no bookable event type of this id is mirrored, or Cal.com knows none.
            Conflict: the start is held or booked.
            OutcomeUnknown: the answer was lost. Nothing is sent again; if it is held, that ends by itself.
        """
        event_type = self._event_type(event_type_id)
        try:
            hold = self._calcom.hold_start(event_type_id, start, minutes=minutes, duration_minutes=duration_minutes)
        except CalcomError as error:
            if not error.exchange.in_doubt:
                raise
            length = timedelta(minutes=duration_minutes or event_type.duration_minutes)
            until = self._end(minutes)
            self._note(event_type, Hold("", event_type_id, start, start + length, until), until)
            raise _unknown(error, event_type_id, start, until) from error
        return _held(hold, *self._note(event_type, hold, self._end(minutes)))

    def move(
        self, uid: str, start: datetime, *, minutes: int | None = None, duration_minutes: int | None = None
    ) -> Held:
        """Hold another start of the same event type instead, for so many minutes from now; the uid stays.

        One that overlaps what is held is refused: a hold is in its own way (fact sheet 5.2).

        Raises:
            NotFound: the hold is unknown or over.
            Conflict: the start is held or booked; the hold stays as it was.
            CalcomError: with `exchange.in_doubt` where `held` has to tell what it holds now; both times count as held.
        """
        before = self.held(uid)
        if before is None:
            raise NotFound("Moving a hold: it is unknown, released or over")
        event_type = self._event_type(before.event_type_id)
        try:
            after = self._calcom.move_hold(before, start, minutes=minutes, duration_minutes=duration_minutes)
        except CalcomError as error:
            if error.exchange.in_doubt:
                until = self._end(minutes)
                length = timedelta(minutes=duration_minutes or event_type.duration_minutes)
                self._note(event_type, Hold(uid, event_type.id, start, start + length, until), until, before)
            raise
        return _held(after, *self._note(event_type, after, self._end(minutes), before))

    def held(self, uid: str) -> Hold | None:
        """The hold while it lasts; None when it is unknown, released or over."""
        return self._calcom.read_hold(uid)

    def release(self, uid: str) -> Released:
        """End a hold, and let the days that it frees go. One that is over already is no error."""
        hold = self._calcom.read_hold(uid)
        self._calcom.release_hold(uid)
        if hold is None:
            return Released(was_held=False)
        event_type = next((e for e in self._event_types.bookable() if e.id == hold.event_type_id), None)
        return Released(True, *self._cleared([_fact(event_type, hold, HOLD_RELEASED)]))

    def _end(self, minutes: int | None) -> datetime:
        """When what was held a moment ago is surely over, by our clock: Cal.com's may show another time."""
        return self._now() + timedelta(minutes=minutes or DEFAULT_MINUTES) + _AFTERWARDS

    def _note(self, event_type: EventType, hold: Hold, due: datetime, before: Hold | None = None) -> tuple[int, str]:
        """The facts of a hold, now and when it ends."""
        facts = [_fact(event_type, hold, HELD)]
        if before is not None:
            facts.append(_fact(event_type, before, HOLD_MOVED))
        return self._cleared(facts, ends=_fact(event_type, hold, HOLD_OVER), due=due)

    def _cleared(
        self, facts: Sequence[ChangeEvent], *, ends: ChangeEvent | None = None, due: datetime | None = None
    ) -> tuple[int, str]:
        """Cached days that went, and what is in the way; the hold itself is done, so nothing is raised."""
        try:
            if ends is not None and due is not None:
                self._outbox.add_later([ends], due=due)
            resolved = resolve(self._outbox, self._outbox.add(facts))
            if due is not None:
                # Before the days go: whoever fetches them in between keeps them no longer than the hold.
                self._held_days.note(resolved.affected, seconds=(due - self._now()).total_seconds())
            return clear(self._outbox, self._cache, resolved).keys, ""
        except (StoreError, CacheError) as error:
            return 0, str(error)

    def _event_type(self, event_type_id: int) -> EventType:
        found = next((e for e in self._event_types.bookable() if e.id == event_type_id), None)
        if found is None:
            raise NotFound(f"Event type {event_type_id} is not mirrored, or cannot be booked")
        return found


def _held(hold: Hold, cleared: int, problem: str) -> Held:
    return Held(hold.uid, hold.event_type_id, hold.start, hold.end, hold.until, cleared, problem)


def _fact(event_type: EventType | None, hold: Hold, why: Why) -> ChangeEvent:
    hosts = event_type.host_ids if event_type else ()
    return ChangeEvent("booking", why, hold.event_type_id, hosts, ((hold.start, hold.end),))


def _unknown(error: CalcomError, event_type_id: int, start: datetime, until: datetime) -> OutcomeUnknown:
    return OutcomeUnknown(
        "Holding a start: the answer was lost, so nobody can say whether it is held; if so, it is free again by itself "
        f"at {until:%Y-%m-%d %H:%M:%S} UTC",
        key=f"hold/{event_type_id}/{start.isoformat()}",
        exchange=error.exchange,
    )
