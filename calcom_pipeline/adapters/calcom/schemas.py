"""Wire models of Cal.com's answers and how they become domain values. Bookings have theirs in `bookings/rows.py`.

Unknown fields are kept in `raw` and never fail. A field that we rely on and that is missing, mistyped or beyond what
our columns hold makes its row unreadable (`lists.py`); where one thing was asked for it is `ContractBroken`.
Facts: fact sheet section 4.2 (event types), 5.1 (slots), captures 01*.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, cast

from pydantic import Field, TypeAdapter

from calcom_pipeline.adapters.calcom.event_types.fields import EventTypeWire, read_event_type
from calcom_pipeline.adapters.calcom.lists import (
    HOLDS_NUL,
    Id,
    Wire,
    WrongRowError,
    checked,
    checked_row,
    holds_nul,
    listed,
)
from calcom_pipeline.domain.errors import ContractBroken, Exchange
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.listed import EVENT_TYPES_STREAM, SCHEDULES_STREAM, TEAMS_STREAM, WEBHOOKS_STREAM, Listed
from calcom_pipeline.domain.models import Profile, Schedule, Team
from calcom_pipeline.domain.text import content_hash
from calcom_pipeline.domain.webhooks.models import Webhook
from calcom_pipeline.domain.zones import canonical_zone


class _WireAccount(Wire):
    id: Id
    username: str | None = None
    timeZone: str
    defaultScheduleId: Id | None = None
    organizationId: Id | None = None


class _WireTeam(Wire):
    id: Id
    slug: str | None = None
    name: str
    timeZone: str = "Europe/London"


class _WireMembership(Wire):
    userId: Id
    role: str


class _WireSchedule(Wire):
    id: Id
    timeZone: str
    isDefault: bool


# More seats were booked than there are: Cal.com may say so with a number below zero.
_SlotSeats = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class WireSlot(Wire):
    """A start; seats where the event type has them."""

    start: str
    seatsRemaining: _SlotSeats | None = None
    seatsTotal: _SlotSeats | None = None


class _WireWebhook(Wire):
    id: str
    subscriberUrl: str
    triggers: list[str]
    active: bool
    secret: str | None = None
    version: str | None = None
    payloadTemplate: str | None = None


_EVENT_TYPE = TypeAdapter(EventTypeWire)
_ACCOUNT = TypeAdapter(_WireAccount)
_TEAM = TypeAdapter(_WireTeam)
_MEMBERSHIP = TypeAdapter(_WireMembership)
_SCHEDULE = TypeAdapter(_WireSchedule)
_WEBHOOK = TypeAdapter(_WireWebhook)


def event_types(content: bytes, exchange: Exchange, zones: "ScheduleZones | None") -> Listed[EventType]:
    """A listing of one owner. Without zones they are UTC, and there is no content hash, which covers them.

    Among its unreadable rows are those of the schedules that its zones come from.
    """
    found = listed(
        content,
        exchange,
        stream=EVENT_TYPES_STREAM,
        read=lambda row: _event_type(checked_row(_EVENT_TYPE, row), row, zones),
        key=lambda event_type: event_type.id,
    )
    return replace(found, unreadable=found.unreadable + zones.unreadable) if zones else found


def event_type(data: Any, exchange: Exchange, zones: "ScheduleZones | None" = None) -> EventType:
    """One event type, in either shape."""
    wire = checked(_EVENT_TYPE, data, exchange)
    if holds_nul(data):
        raise ContractBroken(f"{exchange.operation} answered an event type that {HOLDS_NUL}", exchange=exchange)
    return _event_type(wire, data, zones)


class ScheduleZones:
    """Which zone an event type's grid is asked for in: its own schedule's if readable, else its team's or user's.

    `look` finds a schedule that the list lacks, if it can be read: a list without it does not move a type to another
    zone. A zone that is none we know stays as it is spelled; asking for slots in it says so.
    """

    def __init__(
        self,
        schedules: Listed[Schedule],
        fallback: str,
        *,
        default_id: int | None = None,
        look: Callable[[int], Schedule | None] = lambda _: None,
    ) -> None:
        self._by_id = {schedule.id: schedule.time_zone for schedule in schedules}
        self._look = look
        self.unreadable = schedules.unreadable
        self._odd = {int(row.key): row.reason for row in schedules.unreadable if row.key.isdecimal()}
        by_name = next((s.time_zone for s in schedules if s.is_default), None)
        self._default_id = default_id if by_name is None else None
        self._default = by_name or fallback

    @classmethod
    def of_team(cls, schedules: Listed[Schedule], team: Team) -> "ScheduleZones":
        """A team's types fall back to the team's zone, whatever the reader's own default schedule says."""
        zones = cls(schedules, team.time_zone)
        zones._default, zones._default_id = team.time_zone, None
        zones.unreadable = ()  # reported with the personal listing
        return zones

    def of(self, schedule_id: int | None) -> str:
        """The zone, spelled as our rules do where they know it. Raises WrongRowError: its schedule is unreadable."""
        wanted = schedule_id if schedule_id is not None else self._default_id
        zone = self._default if wanted is None else self._zone(wanted)
        return canonical_zone(zone) or zone

    def _zone(self, schedule_id: int) -> str:
        if schedule_id in self._odd:
            raise WrongRowError(f"its schedule {schedule_id} cannot be read: {self._odd[schedule_id]}")
        if schedule_id not in self._by_id:
            found = self._look(schedule_id)
            self._by_id[schedule_id] = found.time_zone if found else self._default
        return self._by_id[schedule_id]


def _event_type(wire: EventTypeWire, raw: Mapping[str, Any], zones: ScheduleZones | None) -> EventType:
    if zones is None:
        return read_event_type(wire, raw, "UTC")
    read = read_event_type(wire, raw, zones.of(wire.scheduleId))
    return replace(read, content_hash=content_hash([read.content, list(read.host_ids), read.schedule_zone]))


def account(data: Any, exchange: Exchange) -> Profile:
    """The answer of /v2/me."""
    wire = checked(_ACCOUNT, data, exchange)
    return Profile(wire.id, wire.username, wire.timeZone, wire.defaultScheduleId, wire.organizationId)


def teams(content: bytes, exchange: Exchange) -> Listed[Team]:
    """The answer of /v2/teams."""

    def read(row: Any) -> Team:
        wire = checked_row(_TEAM, row)
        return Team(wire.id, wire.slug, wire.name, wire.timeZone)

    return listed(content, exchange, stream=TEAMS_STREAM, read=read, key=lambda team: team.id)


def role_of(user_id: int, data: Any, exchange: Exchange) -> str:
    """One user's role in the answer of /v2/teams/{id}/memberships (capture 01t).

    Empty when they are not in it, or not so that it can be read. What is wrong with other members' rows is nobody's
    business here.
    """
    if not isinstance(data, list):
        raise ContractBroken(f"{exchange.operation} answered no list", exchange=exchange)
    rows = [cast("dict[str, Any]", row) for row in cast("list[Any]", data) if isinstance(row, dict)]
    own = next((row for row in rows if row.get("userId") == user_id), None)
    try:
        return checked_row(_MEMBERSHIP, own).role if own is not None else ""
    except WrongRowError:
        return ""


def schedules(content: bytes, exchange: Exchange) -> Listed[Schedule]:
    """The answer of /v2/schedules."""
    return listed(
        content,
        exchange,
        stream=SCHEDULES_STREAM,
        read=lambda row: _schedule(checked_row(_SCHEDULE, row)),
        key=lambda s: s.id,
    )


def schedule(data: Any, exchange: Exchange) -> Schedule:
    """The answer of /v2/schedules/{id}."""
    return _schedule(checked(_SCHEDULE, data, exchange))


def _schedule(wire: _WireSchedule) -> Schedule:
    return Schedule(wire.id, wire.timeZone, wire.isDefault)


def webhooks(content: bytes, exchange: Exchange) -> Listed[Webhook]:
    """A listing of subscriptions. The secret is not kept of one that cannot be read."""
    return listed(
        content,
        exchange,
        stream=WEBHOOKS_STREAM,
        read=lambda row: _webhook(checked_row(_WEBHOOK, row)),
        key=lambda webhook: webhook.id,
        without=("secret",),
    )


def webhook(data: Any, exchange: Exchange) -> Webhook:
    """One subscription."""
    return _webhook(checked(_WEBHOOK, data, exchange))


def _webhook(wire: _WireWebhook) -> Webhook:
    return Webhook(
        wire.id, wire.subscriberUrl, tuple(wire.triggers), wire.active, wire.secret, wire.version, wire.payloadTemplate
    )
