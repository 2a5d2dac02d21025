"""What the HTTP API gives, as `/openapi.json` says it. Names are Cal.com's where it has them."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, Field

from calcom_pipeline.domain.availability.models import Slot


class SlotOut(BaseModel):
    """A start that may be booked."""

    start: str = Field(description="Local time with offset.", examples=["2026-12-01T09:00:00.000+01:00"])
    end: str | None = Field(default=None, description="With format=range.")
    seatsRemaining: int | None = None
    seatsTotal: int | None = None
    seatsBooked: int | None = None


class SlotsAnswer(BaseModel):
    """Days without a free start have no key."""

    status: Literal["success"]
    data: dict[str, list[SlotOut]]


class StartOut(BaseModel):
    """A start of one of several event types."""

    eventTypeId: int
    start: str = Field(json_schema_extra={"format": "date-time"})
    seatsRemaining: int | None = None


class AgedOut(BaseModel):
    """How old an answer is."""

    asOf: str | None = Field(description="When the oldest part was read.", json_schema_extra={"format": "date-time"})
    stale: bool = Field(description="Cal.com could not be asked; older knowledge had to do.")


class AvailabilityData(AgedOut):
    """Free starts in UTC."""

    slots: list[SlotOut]
    unread: list[date] = Field(description="Days of which nothing is known.")


class AlternativesData(AgedOut):
    """Nearest first."""

    starts: list[StartOut]


class FirstFreeData(AgedOut):
    """None where nothing is free."""

    start: StartOut | None


class DayOut(BaseModel):
    """A day's free starts, counted."""

    day: date
    free: int


class MonthData(AgedOut):
    """All days of the month that can be known."""

    days: list[DayOut]


class HoldData(BaseModel):
    """A start that is held."""

    reservationUid: str
    eventTypeId: int
    slotStart: str = Field(json_schema_extra={"format": "date-time"})
    slotEnd: str = Field(json_schema_extra={"format": "date-time"})
    slotDuration: int
    reservationUntil: str = Field(json_schema_extra={"format": "date-time"})


class AttendeeOut(BaseModel):
    """Who booked; only where it was asked for."""

    name: str | None
    email: str | None
    phoneNumber: str | None
    timeZone: str | None
    language: str | None


class BookingData(BaseModel):
    """A booking. Nobody is named unless `include=attendees` asked for it."""

    uid: str
    id: int
    status: Literal["accepted", "pending", "cancelled", "rejected", "awaiting_host"]
    start: str = Field(json_schema_extra={"format": "date-time"})
    end: str = Field(json_schema_extra={"format": "date-time"})
    duration: int
    eventTypeId: int | None
    rescheduledFromUid: str | None
    rescheduledToUid: str | None
    title: str | None = None
    location: str | None = None
    attendees: list[AttendeeOut] | None = None


class AvailabilityAnswer(BaseModel):
    """An answer."""

    status: Literal["success"]
    data: AvailabilityData


class AlternativesAnswer(BaseModel):
    """An answer."""

    status: Literal["success"]
    data: AlternativesData


class FirstFreeAnswer(BaseModel):
    """An answer."""

    status: Literal["success"]
    data: FirstFreeData


class MonthAnswer(BaseModel):
    """An answer."""

    status: Literal["success"]
    data: MonthData


class HoldAnswer(BaseModel):
    """An answer."""

    status: Literal["success"]
    data: HoldData | None


class DoneAnswer(BaseModel):
    """Done."""

    status: Literal["success"]


class BookingAnswer(BaseModel):
    """An answer."""

    status: Literal["success"]
    data: BookingData


class Problem(BaseModel):
    """RFC 9457. `error` repeats code and message where Cal.com's answers have them."""

    class Error(BaseModel):
        """As in Cal.com's answers."""

        code: str
        message: str

    type: str
    title: str
    status: int
    detail: str
    error: Error
    problems: list[str] = Field(default=[], description="All that is wrong, field by field.")
    retryAfter: int | None = Field(default=None, description="Seconds.")
    key: str | None = Field(default=None, description="Ask again with this Idempotency-Key.")


def seats_of(slot: Slot) -> dict[str, int]:
    """The seats of a start, as Cal.com names them."""
    if slot.seats_remaining is None:
        return {}
    seats = {"seatsRemaining": slot.seats_remaining}
    if slot.seats_total is not None:
        seats |= {"seatsTotal": slot.seats_total, "seatsBooked": slot.seats_total - slot.seats_remaining}
    return seats
