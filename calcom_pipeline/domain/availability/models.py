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
    #: Seconds by which the end is moved forward within its last minute, where no start lies. Cal.com answers an
    #: identical query from a 2 s cache of its own (fact sheet 11); another spelling gets the fresh answer.
    spelling: int = 0


@dataclass(frozen=True, slots=True)
class BookableType:
    """What a lookup must know of an event type. `zone` is its schedule's, which its days are cut in."""

    id: int
    zone: str
    duration_minutes: int
    duration_options: tuple[int, ...] = ()
    minimum_notice_minutes: int = 0
    slot_interval_minutes: int | None = None
    before_buffer_minutes: int = 0
    after_buffer_minutes: int = 0
    seats_per_slot: int | None = None

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths that may be booked, in minutes."""
        return self.duration_options or (self.duration_minutes,)

    def interval_minutes(self, duration_minutes: int) -> int:
        """The pace of its starts."""
        return self.slot_interval_minutes or duration_minutes


@dataclass(frozen=True, slots=True)
class CachedDay:
    """A day as the cache has it. `late_seconds` is how long its life is over; below 0 it is fresh."""

    day: SlotDay
    late_seconds: float

    @property
    def is_fresh(self) -> bool:
        """Whether it may be answered without asking anybody."""
        return self.late_seconds < 0
