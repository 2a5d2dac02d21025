"""Free starts, the days they are cached by, and the one query they are asked for with."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """A start that Cal.com lists, with seats where the event type has them.

    One without a seat left is listed too (seen on a real server). It is kept, so that a freed seat shows.
    """

    start: datetime
    seats_remaining: int | None = None
    seats_total: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether it may be booked."""
        return self.seats_remaining is None or self.seats_remaining > 0


@dataclass(frozen=True, slots=True)
class SlotKey:
    """What a cached day is stored under: one canonical query's zone and length, one local day of it."""

    event_type_id: int
    duration_minutes: int
    zone: str
    day: date

    def __str__(self) -> str:
        return f"{self.event_type_id}/{self.duration_minutes}/{self.zone}/{self.day.isoformat()}"


@dataclass(frozen=True, slots=True)
class SlotDay:
    """The starts that Cal.com lists for one local day; an empty day is a fact too."""

    key: SlotKey
    slots: tuple[Slot, ...]
    fetched_at: datetime

    @property
    def free(self) -> tuple[Slot, ...]:
        """Those that may be booked."""
        return tuple(slot for slot in self.slots if slot.is_free)


@dataclass(frozen=True, slots=True)
class SlotQuery:
    """The canonical query (docs/architecture.md): whole days in the schedule's zone, and that zone asked for.

    Another zone or another start yields other starts (captures 31), so nothing else is ever asked for.
    """

    event_type_id: int
    duration_minutes: int
    zone: str
    first_day: date
    last_day: date
    #: Only event types that offer several lengths may be asked for one (capture 02o).
    choose_duration: bool = False
