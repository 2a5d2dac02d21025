"""Wire models of Cal.com's answers and how they become domain values. Booking rows are in `booking_rows.py`.

Unknown fields are kept in `raw` and never fail; a missing or mistyped field that we rely on is `ContractBroken`.
Facts: fact sheet section 4.2 (event types), 5.1 (slots), captures 01*.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.errors import ContractBroken, Exchange
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.models import Account, Schedule, Team
from calcom_pipeline.domain.text import content_hash
from calcom_pipeline.domain.webhooks.models import Webhook

T = TypeVar("T")

_LIMIT_FIELDS = ("bookingLimitsCount", "bookingLimitsDuration")
_LIMIT_PERIODS = ("day", "week", "month", "year")


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)


class _Host(_Wire):
    userId: int


class _User(_Wire):
    id: int


class WireEventType(_Wire):
    """An event type in the personal or the team shape of version 2024-06-14."""

    id: int
    lengthInMinutes: int
    title: str
    slug: str
    description: str | None = ""
    lengthInMinutesOptions: list[int] = Field(default_factory=list[int])
    hidden: bool
    scheduleId: int | None = None
    schedulingType: str | None = None
    parentEventTypeId: int | None = None
    slotInterval: int | None = None
    minimumBookingNotice: int
    beforeEventBuffer: int
    afterEventBuffer: int
    seats: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    confirmationPolicy: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    recurrence: Mapping[str, Any] | None = None
    price: int = 0
    currency: str = "usd"
    ownerId: int | None = None
    teamId: int | None = None
    users: list[_User] = Field(default_factory=list[_User])
    hosts: list[_Host] = Field(default_factory=list[_Host])
    assignAllTeamMembers: bool = False


class _WireAccount(_Wire):
    id: int
    username: str | None = None
    timeZone: str
    defaultScheduleId: int | None = None
    organizationId: int | None = None


class _WireTeam(_Wire):
    id: int
    slug: str | None = None
    name: str
    timeZone: str = "Europe/London"


class _WireMembership(_Wire):
    userId: int
    role: str


class _WireSchedule(_Wire):
    id: int
    timeZone: str
    isDefault: bool


class _WireSlot(_Wire):
    start: str
    seatsRemaining: int | None = None
    seatsTotal: int | None = None


class _WireWebhook(_Wire):
    id: str
    subscriberUrl: str
    triggers: list[str]
    active: bool
    secret: str | None = None


_EVENT_TYPES = TypeAdapter(list[WireEventType])
_EVENT_TYPE = TypeAdapter(WireEventType)
_ACCOUNT = TypeAdapter(_WireAccount)
_TEAMS = TypeAdapter(list[_WireTeam])
_MEMBERSHIPS = TypeAdapter(list[_WireMembership])
_SCHEDULES = TypeAdapter(list[_WireSchedule])
_SLOTS = TypeAdapter(dict[date, list[_WireSlot]])
_WEBHOOK = TypeAdapter(_WireWebhook)
_WEBHOOKS = TypeAdapter(list[_WireWebhook])


def checked(adapter: TypeAdapter[T], data: Any, exchange: Exchange) -> T:
    """Validate, or raise `ContractBroken` that names the first fields that are wrong and never their values."""
    try:
        return adapter.validate_python(data, strict=None)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors(include_input=False)]
        raise ContractBroken(
            f"{exchange.operation} answered another shape than the API promises ({'; '.join(wrong[:3])})",
            exchange=exchange,
            advice="Check the cal-api-version header of this endpoint group and CALCOM_BASE_URL.",
        ) from None


def event_types(data: Any, exchange: Exchange, zones: "ScheduleZones | None") -> list[EventType]:
    """A listing of one owner. Without zones they are UTC, and there is no content hash, which covers them."""
    rows = checked(_EVENT_TYPES, data, exchange)
    return [_event_type(wire, raw, zones) for wire, raw in zip(rows, data, strict=True)]


def event_type(data: Any, exchange: Exchange, zones: "ScheduleZones | None" = None) -> EventType:
    """One event type, in either shape."""
    return _event_type(checked(_EVENT_TYPE, data, exchange), data, zones)


class ScheduleZones:
    """Which zone an event type's grid is asked for in: its own schedule's if readable, else its team's or user's."""

    def __init__(self, schedules: Iterable[Schedule], fallback: str) -> None:
        by_id = {schedule.id: schedule.time_zone for schedule in schedules}
        default = next((s.time_zone for s in schedules if s.is_default), fallback)
        self._by_id = by_id
        self._default = default

    @classmethod
    def of_team(cls, schedules: Iterable[Schedule], team: Team) -> "ScheduleZones":
        """A team's types fall back to the team's zone, whatever the reader's own default schedule says."""
        zones = cls(schedules, team.time_zone)
        zones._default = team.time_zone
        return zones

    def of(self, schedule_id: int | None) -> str:
        """The IANA zone."""
        return self._by_id.get(schedule_id, self._default) if schedule_id is not None else self._default


def _event_type(wire: WireEventType, raw: Mapping[str, Any], zones: ScheduleZones | None) -> EventType:
    owner = Owner("team", wire.teamId) if wire.teamId is not None else Owner("user", wire.ownerId or 0)
    host_ids = {host.userId for host in wire.hosts} or {user.id for user in wire.users}
    read = EventType(
        id=wire.id,
        owner=owner,
        slug=wire.slug,
        title=wire.title,
        description=wire.description or "",
        duration_minutes=wire.lengthInMinutes,
        duration_options=tuple(wire.lengthInMinutesOptions),
        hidden=wire.hidden,
        schedule_id=wire.scheduleId,
        schedule_zone=zones.of(wire.scheduleId) if zones else "UTC",
        scheduling_type=wire.schedulingType,
        parent_id=wire.parentEventTypeId,
        slot_interval_minutes=wire.slotInterval,
        minimum_notice_minutes=wire.minimumBookingNotice,
        before_buffer_minutes=wire.beforeEventBuffer,
        after_buffer_minutes=wire.afterEventBuffer,
        seats_per_slot=wire.seats.get("seatsPerTimeSlot"),
        requires_confirmation=bool(wire.confirmationPolicy) and not wire.confirmationPolicy.get("disabled"),
        recurring=wire.recurrence is not None,
        price_minor=wire.price,
        currency=wire.currency,
        host_ids=tuple(sorted(host_ids)),
        assign_all_team_members=wire.assignAllTeamMembers,
        limit_periods=tuple(p for p in _LIMIT_PERIODS if any(p in (raw.get(f) or {}) for f in _LIMIT_FIELDS)),
        raw=raw,
    )
    if zones is None:
        return read
    return replace(read, content_hash=content_hash([read.content, list(read.host_ids), read.schedule_zone]))


def account(data: Any, exchange: Exchange) -> Account:
    """The answer of /v2/me."""
    wire = checked(_ACCOUNT, data, exchange)
    return Account(wire.id, wire.username, wire.timeZone, wire.defaultScheduleId, wire.organizationId)


def teams(data: Any, exchange: Exchange) -> list[Team]:
    """The answer of /v2/teams."""
    return [Team(t.id, t.slug, t.name, t.timeZone) for t in checked(_TEAMS, data, exchange)]


def role_of(user_id: int, data: Any, exchange: Exchange) -> str:
    """One user's role in the answer of /v2/teams/{id}/memberships; empty when they are not in it (capture 01t)."""
    members = checked(_MEMBERSHIPS, data, exchange)
    return next((m.role for m in members if m.userId == user_id), "")


def schedules(data: Any, exchange: Exchange) -> list[Schedule]:
    """The answer of /v2/schedules."""
    return [Schedule(s.id, s.timeZone, s.isDefault) for s in checked(_SCHEDULES, data, exchange)]


def slot_days(data: Any, query: SlotQuery, fetched_at: datetime, exchange: Exchange) -> list[SlotDay]:
    """The answer of /v2/slots as whole days: a day without slots has no key there (fact sheet 5.1), but a row here."""
    by_day = checked(_SLOTS, data, exchange)
    zone = ZoneInfo(query.zone)
    days: list[SlotDay] = []
    for offset in range((query.last_day - query.first_day).days + 1):
        day = query.first_day + timedelta(days=offset)
        key = SlotKey(query.event_type_id, query.duration_minutes, query.zone, day)
        days.append(SlotDay(key, _slots(by_day.get(day, ()), zone, day, exchange), fetched_at))
    return days


def _slots(wires: Sequence[_WireSlot], zone: ZoneInfo, day: date, exchange: Exchange) -> tuple[Slot, ...]:
    slots: list[Slot] = []
    for wire in wires:
        start = datetime.fromisoformat(wire.start)
        if start.tzinfo is None or start.astimezone(zone).date() != day:
            raise ContractBroken(f"{exchange.operation} put a start under another day than its own", exchange=exchange)
        slots.append(Slot(start.astimezone(UTC), wire.seatsRemaining, wire.seatsTotal))
    return tuple(slots)


def webhooks(data: Any, exchange: Exchange) -> list[Webhook]:
    """A listing of subscriptions."""
    return [_webhook(wire) for wire in checked(_WEBHOOKS, data, exchange)]


def webhook(data: Any, exchange: Exchange) -> Webhook:
    """One subscription."""
    return _webhook(checked(_WEBHOOK, data, exchange))


def _webhook(wire: _WireWebhook) -> Webhook:
    return Webhook(wire.id, wire.subscriberUrl, tuple(wire.triggers), wire.active, wire.secret)
