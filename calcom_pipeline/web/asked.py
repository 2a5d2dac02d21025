"""What the HTTP API takes. The same declarations validate requests and make `/openapi.json`.

Names are Cal.com's where it has them. An unknown name is an error: it would be a filter that filters nothing.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from calcom_pipeline.domain.zones import canonical_zone

#: A quarter; booking pages ask for a month, and Cal.com takes seconds for years.
LONGEST_RANGE_DAYS = 92
MOST_EVENT_TYPES = 20
_BIGGEST_ID = 2**31 - 1  # Cal.com's ids are 32 bit
_FIRST_YEAR, _LAST_YEAR = 2000, 2100


def _instant(value: object) -> object:
    """An ISO 8601 instant; a day begins at midnight UTC, and a time without an offset is UTC, as at Cal.com."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("is no time such as 2026-12-01 or 2026-12-01T09:00:00Z") from None
    if isinstance(value, datetime):
        if not _FIRST_YEAR <= value.year < _LAST_YEAR:
            raise ValueError(f"is not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    raise ValueError("is no time")


def _last_instant(value: object) -> object:
    """The same; one that is exactly midnight UTC means the whole day, as at Cal.com (fact sheet 5.1)."""
    moment = _instant(value)
    if isinstance(moment, datetime) and moment.timetz() == time(tzinfo=UTC):
        return moment + timedelta(days=1, seconds=-1)
    return moment


def _known_zone(value: str) -> str:
    known = canonical_zone(value)
    if known is None:
        raise ValueError("is no IANA time zone, such as Europe/Berlin")
    return known


def _day(value: date) -> date:
    if not _FIRST_YEAR <= value.year < _LAST_YEAR:
        raise ValueError(f"is not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return value


def _listed(value: object) -> object:
    """`1,2` as a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_INSTANT_SCHEMA = {
    "type": "string",
    "anyOf": [{"format": "date-time"}, {"format": "date"}],
    "examples": ["2026-12-01T09:00:00Z", "2026-12-01"],
}
_Id = Annotated[int, Field(ge=1, le=_BIGGEST_ID)]
_Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema(_INSTANT_SCHEMA)]
_LastInstant = Annotated[datetime, BeforeValidator(_last_instant), WithJsonSchema(_INSTANT_SCHEMA)]
_Day = Annotated[date, AfterValidator(_day)]
_Minutes = Annotated[int, Field(ge=1, le=1440)]
_Zone = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]
_Ids = Annotated[list[_Id], BeforeValidator(_listed), Field(min_length=1, max_length=MOST_EVENT_TYPES)]
_TimeOfDay = Annotated[
    time, WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["09:00"]})
]


class Asked(BaseModel):
    """Root of what is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class UidPath(Asked):
    """What an address names."""

    uid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,255}$", description="Uid of the booking or of the hold.")


class SlotsQuery(Asked):
    """As Cal.com's `/v2/slots`."""

    eventTypeId: _Id = Field(description="Id of the event type.")
    start: _Instant = Field(description="First instant; a day begins at midnight UTC.")
    end: _LastInstant = Field(description="Last instant; one at midnight UTC means that whole day.")
    timeZone: _Zone = Field(default="UTC", description="Zone of the days and of the starts (IANA).")
    duration: _Minutes | None = Field(default=None, description="Minutes, where the event type has several lengths.")
    format: Literal["time", "range"] = Field(
        default="time", description="`range` adds `end` to each start; it needs `duration`."
    )

    def problems(self) -> list[str]:
        """What is wrong with the parameters together."""
        found: list[str] = []
        if self.end < self.start:
            found.append("end: is before start")
        elif self.end - self.start > timedelta(days=LONGEST_RANGE_DAYS):
            found.append(f"end: is more than {LONGEST_RANGE_DAYS} days after start")
        if self.format == "range" and self.duration is None:
            found.append("duration: is missing; format=range needs it")
        return found


class AvailabilityQuery(Asked):
    """Whole local days of the event type's schedule."""

    eventTypeId: _Id = Field(description="Id of the event type.")
    firstDay: _Day = Field(description="First day, local to the event type's schedule.")
    lastDay: _Day = Field(description="Last day, included.")
    duration: _Minutes | None = Field(default=None, description="Minutes, where the event type has several lengths.")

    def problems(self) -> list[str]:
        """What is wrong with the parameters together."""
        if self.lastDay < self.firstDay:
            return ["lastDay: is before firstDay"]
        if (self.lastDay - self.firstDay).days >= LONGEST_RANGE_DAYS:
            return [f"lastDay: more than {LONGEST_RANGE_DAYS} days are asked for"]
        return []


class AlternativesQuery(Asked):
    """Which starts are near."""

    eventTypeId: _Ids = Field(description="One or several event types, such as the same service by several hosts.")
    around: _Instant = Field(description="The wanted start.")
    count: int = Field(default=5, ge=1, le=100, description="At most so many starts.")
    duration: _Minutes | None = Field(default=None, description="Minutes, where the event types have several lengths.")
    weekdays: Annotated[list[Annotated[int, Field(ge=0, le=6)]], BeforeValidator(_listed)] = Field(
        default=[], max_length=7, description="Only these days of the week; 0 is Monday."
    )
    earliest: _TimeOfDay | None = Field(default=None, description="Not before, local to the schedule.")
    latest: _TimeOfDay | None = Field(default=None, description="Not after, local to the schedule.")
    withinDays: int = Field(default=14, ge=1, le=LONGEST_RANGE_DAYS, description="Days looked at on either side.")


class FirstFreeQuery(Asked):
    """Since when."""

    eventTypeId: _Ids = Field(description="One or several event types.")
    after: _Instant | None = Field(default=None, description="Not before. Default: now.")
    duration: _Minutes | None = Field(default=None, description="Minutes, where the event types have several lengths.")
    withinDays: int | None = Field(default=None, ge=1, le=366, description="Days looked at.")


class MonthQuery(Asked):
    """Which month."""

    eventTypeId: _Id = Field(description="Id of the event type.")
    year: int = Field(ge=_FIRST_YEAR, lt=_LAST_YEAR, description="Such as 2026.")
    month: int = Field(ge=1, le=12, description="1 to 12.")
    duration: _Minutes | None = Field(default=None, description="Minutes, where the event type has several lengths.")


class HoldBody(Asked):
    """As Cal.com's `/v2/slots/reservations`."""

    eventTypeId: _Id = Field(description="Id of the event type.")
    slotStart: _Instant = Field(description="The start to hold.")
    slotDuration: _Minutes | None = Field(default=None, description="Minutes, where there are several lengths.")
    reservationDuration: int | None = Field(default=None, ge=1, le=1440, description="Minutes that the hold lasts.")


class IncludeQuery(Asked):
    """How much is told of a booking."""

    include: Literal["attendees"] | None = Field(
        default=None, description="`attendees` adds who booked, title and location; else nobody is named."
    )


_Person = WithJsonSchema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 255},
            "email": {"type": "string", "format": "email"},
            "phoneNumber": {"type": "string"},
            "timeZone": {"type": "string"},
            "language": {"type": "string"},
        },
        "required": ["name"],
    }
)
_Guests = WithJsonSchema({"type": "array", "items": {"type": "string", "format": "email"}, "maxItems": 30})
_Positive = WithJsonSchema({"type": "integer", "minimum": 1})
_Object = WithJsonSchema({"type": "object"})


class BookingBody(BaseModel):
    """As Cal.com's `POST /v2/bookings`; flat names and `bookingFieldsResponses` are understood, too."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"required": ["eventTypeId", "start", "attendee"]})

    # Any: the rules are the facade's, which says all that is wrong at once, other spellings included.
    eventTypeId: Annotated[Any, _Positive] = Field(default=None, description="Id of the event type.")
    start: Annotated[Any, WithJsonSchema({"type": "string", "format": "date-time"})] = Field(
        default=None, description="When; without an offset it is meant in the attendee's zone."
    )
    attendee: Annotated[Any, _Person] = Field(
        default=None, description="Who books: a name, and an address or a phone number."
    )
    guests: Annotated[Any, _Guests] = None
    lengthInMinutes: Annotated[Any, _Positive] = None
    location: Annotated[Any, _Object] = None
    metadata: Annotated[Any, WithJsonSchema({"type": "object", "maxProperties": 49})] = None
    bookingFieldsResponses: Annotated[Any, _Object] = Field(
        default=None, description="Answers to the event type's own questions, by slug."
    )

    def details(self) -> dict[str, Any]:
        """What was sent, for the facade."""
        given = {name: getattr(self, name) for name in self.model_fields_set if name in type(self).model_fields}
        return {**given, **(self.model_extra or {})}


class MoveBody(Asked):
    """As Cal.com's `/reschedule`."""

    start: _Instant = Field(description="The new start.")
    reschedulingReason: str = Field(default="", max_length=1000, description="Told to the attendee.")


class CancelBody(Asked):
    """As Cal.com's `/cancel`."""

    cancellationReason: str = Field(default="", max_length=1000, description="Told to the attendee.")
    seatUid: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,255}$", description="Cancels this seat alone.")
