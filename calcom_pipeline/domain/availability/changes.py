"""Facts of a change, and which cached days they concern.

A fact says what happened, not which keys to delete: hosts and event types may change until it is applied, so keys are
resolved then. A booking closes the overlapping times of every event type of its hosts (fact sheet 11), and of every
attendee who is a host somewhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NewType
from zoneinfo import ZoneInfo

from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.zones import UnknownZoneError, zone_of

ChangeKind = Literal["booking", "event_type", "schedule"]
Span = tuple[datetime, datetime]

#: Why a fact was left: all of them stand here, so that whoever reads facts can name them.
Why = NewType("Why", str)
BOOKINGS_CHANGED = Why("bookings changed at Cal.com")
#: They had changed already when they were first read: nobody knows who hosted them before.
CHANGED_BEFORE_READ = Why("bookings changed at Cal.com before they were read")
EVENT_TYPE_CHANGED = Why("changed at Cal.com")
EVENT_TYPE_GONE = Why("gone from Cal.com")
EVENT_TYPE_LEFT_OUT = Why("is not read any more")
SCHEDULE_CHANGED = Why("schedule changed at Cal.com")
SERVICE_CREATED = Why("created for a service")
HELD = Why("held")
HOLD_MOVED = Why("moved")
HOLD_RELEASED = Why("released")
HOLD_OVER = Why("hold over")


def service_written(kind: str) -> Why:
    """An action of this kind was done to an event type."""
    return Why(f"{kind} of a service")


def delivered(trigger: str) -> Why:
    """A webhook of this trigger came in."""
    return Why(f"webhook {trigger}")


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One change. `spans` are the old and new times (UTC) that became free or taken; none means: all of them."""

    kind: ChangeKind
    why: Why
    event_type_id: int | None = None
    user_ids: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()
    id: int = 0

    @property
    def concerns_all_hosts(self) -> bool:
        """Whether any host of its event type may have been the one, besides its users."""
        return self.why == CHANGED_BEFORE_READ


@dataclass(frozen=True, slots=True)
class AffectedDays:
    """Cached days of one event type that a fact concerns, in the zone its slots are kept in. No days: all of them."""

    event_type_id: int
    zone: str
    days: frozenset[date] | None


def affected_days(fact: ChangeEvent, event_types: Iterable[EventType]) -> list[AffectedDays]:
    """The days that may be wrong after a fact. `event_types` are those that the fact's users host, and its own."""
    concerned = list(event_types)
    own = next((e for e in concerned if e.id == fact.event_type_id), None)
    spans = [_with_buffers(span, own) for span in fact.spans]
    return [_affected(spans, event_type) for event_type in concerned]


def _with_buffers(span: Span, own: EventType | None) -> Span:
    """A booking's own buffers close times of other types too (captures 22)."""
    if own is None:
        return span
    before, after = timedelta(minutes=own.before_buffer_minutes), timedelta(minutes=own.after_buffer_minutes)
    return span[0] - before, span[1] + after


def _affected(spans: Sequence[Span], event_type: EventType) -> AffectedDays:
    zone = event_type.schedule_zone or "UTC"
    if not spans or "year" in event_type.limit_periods:
        return AffectedDays(event_type.id, zone, None)
    try:
        info = zone_of(zone)
    except UnknownZoneError:  # Cal.com's list of zones and ours differ: then any day may be meant
        return AffectedDays(event_type.id, zone, None)
    days = {day for span in spans for day in _days_of(span, event_type, info)}
    return AffectedDays(event_type.id, zone, frozenset(days))


def _days_of(span: Span, event_type: EventType, zone: ZoneInfo) -> Iterable[date]:
    """Local days with a start that the span could close: one that would still run, or be buffered, into it."""
    longest = max((event_type.duration_minutes, *event_type.duration_options))
    reach_before = timedelta(minutes=event_type.after_buffer_minutes + longest)
    reach_after = timedelta(minutes=event_type.before_buffer_minutes)
    first = (span[0] - reach_before).astimezone(zone).date()
    last = (span[1] + reach_after).astimezone(zone).date()
    first, last = _whole_periods(first, last, event_type.limit_periods)
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _whole_periods(first: date, last: date, periods: Iterable[str]) -> tuple[date, date]:
    """A full limit closes its whole period; weeks run from Monday to Sunday (captures 23c)."""
    if "month" in periods:
        first = first.replace(day=1)
        last = (last.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    if "week" in periods:
        first -= timedelta(days=first.weekday())
        last += timedelta(days=6 - last.weekday())
    return first, last
