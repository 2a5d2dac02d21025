"""Keys and values of cached days in Redis, as docs/redis-keys.md publishes them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter

from calcom_pipeline.domain.availability.models import BookableType, Slot, SlotDay, SlotKey

FORMAT_VERSION = 2
#: Days of which the decoded form is kept in a process: those that everybody asks for, some 5 KB each.
_DECODED_DAYS = 2048
#: A month of quarters of an hour has 3,000 starts.
_STARTS = 16_384
_SEATS, _SEAT = {0, 2}, {int, type(None)}


class Names:
    """Redis keys below a prefix."""

    def __init__(self, prefix: str) -> None:
        self._slots = f"{prefix}slots:"
        #: When the epoch began, on which server, and that it settles; see `epoch.py`.
        self.epoch, self.process = f"{self._slots}epoch", f"{self._slots}process"
        self.settling_of_all = f"{self._slots}settling"

    def day(self, key: SlotKey) -> str:
        """A cached day."""
        return f"{self._slots}day:{key.event_type_id}:{key.duration_minutes}:{key.zone}:{key.day.isoformat()}"

    def generation(self, event_type_id: int) -> str:
        """Raised by every clearing."""
        return f"{self._slots}generation:{event_type_id}"

    def settling(self, event_type_id: int) -> str:
        """There for the settle time after a clearing."""
        return f"{self._slots}settling:{event_type_id}"

    def index(self, event_type_id: int) -> str:
        """The keys of an event type's days."""
        return f"{self._slots}index:{event_type_id}"

    def near(self, event_type_id: int) -> str:
        """The second layer: alternatives."""
        return f"{self._slots}near:{event_type_id}"

    def type(self, event_type_id: int) -> str:
        """What a lookup must know of an event type."""
        return f"{self._slots}type:{event_type_id}"

    def asked(self, day_number: int) -> str:
        """How often what was asked for on a day (days since 1970, UTC)."""
        return f"{self._slots}asked:{day_number}"

    def shadow(self, day_number: int) -> str:
        """What shadow reads came to on a day (days since 1970, UTC)."""
        return f"{self._slots}shadow:{day_number}"


def packed_day(day: SlotDay, *, fresh_until: float) -> bytes:
    """A day as it is stored; `fresh_until` in seconds since 1970."""
    slots = [
        [int(slot.start.timestamp())]
        if slot.seats_total is None
        else [int(slot.start.timestamp()), slot.seats_remaining, slot.seats_total]
        for slot in day.slots
    ]
    record = {"v": FORMAT_VERSION, "fetched_at": day.fetched_at, "fresh_until": int(fresh_until * 1000), "slots": slots}
    return orjson.dumps(record)


@lru_cache(maxsize=_DECODED_DAYS)
def unpacked_day(key: SlotKey, value: bytes) -> tuple[SlotDay, float] | None:
    """The day of a value and when its life ends (seconds since 1970); None when it is no value of this format.

    By hand: it is what a lookup spends most on after a change, and a model takes three times as long.
    """
    try:
        record = orjson.loads(value)
        fetched_at = datetime.fromisoformat(record["fetched_at"])
        fresh_until, starts = record["fresh_until"], record["slots"]
        if record["v"] != FORMAT_VERSION or fetched_at.tzinfo is None or type(fresh_until) is not int:
            return None
        slots = tuple(_slot(*start) for start in starts)
    except (ValueError, TypeError, LookupError, OverflowError, OSError):  # of JSON, of another shape, of the clock
        return None
    return SlotDay(key, slots, fetched_at), fresh_until / 1000


@lru_cache(maxsize=_STARTS, typed=True)
def _slot(start: int, *seats: int | None) -> Slot:
    """A start, with seats remaining and in total if there are any; the same ones are free in many event types.

    Raises TypeError for what is none.
    """
    if type(start) is not int or len(seats) not in _SEATS or not {type(one) for one in seats} <= _SEAT:
        raise TypeError
    return Slot(datetime.fromtimestamp(start, UTC), *seats)


def packed_type(event_type: BookableType) -> bytes:
    """An event type as it is stored."""
    return orjson.dumps({"v": FORMAT_VERSION, **asdict(event_type)})


@lru_cache(maxsize=_DECODED_DAYS)
def unpacked_type(value: bytes) -> BookableType | None:
    """The event type of a value; None when it is no value of this format."""
    try:
        record = _TYPE.validate_json(value)
    except ValueError:
        return None
    return BookableType(**record.model_dump(exclude={"v"}))


def members(values: Sequence[tuple[bytes, float]]) -> list[tuple[tuple[int, int], float]]:
    """Members of the counters of what was asked for, as (event type, duration); what cannot be read is left out."""
    found: list[tuple[tuple[int, int], float]] = []
    for member, count in values:
        event_type_id, _, minutes = member.partition(b":")
        if event_type_id.isdigit() and minutes.isdigit():
            found.append(((int(event_type_id), int(minutes)), count))
    return found


class _Type(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    v: Literal[2]
    id: int
    zone: str
    duration_minutes: int
    duration_options: tuple[int, ...]
    minimum_notice_minutes: int
    slot_interval_minutes: int | None
    before_buffer_minutes: int
    after_buffer_minutes: int
    seats_per_slot: int | None


_TYPE: TypeAdapter[Any] = TypeAdapter(_Type)
