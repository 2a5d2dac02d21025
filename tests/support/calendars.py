"""Stateful stand-ins behind the ports of free times: Cal.com's slots, event types, the mirror, a clock."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey, SlotQuery
from calcom_pipeline.domain.errors import PipelineError, StoreError
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.zones import zone_of

ME = Owner("user", 101)


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    moment: datetime = datetime(2026, 12, 1, 8, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        return self.moment.timestamp()

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class Calendar:
    """Cal.com's slots: free at the same local hours every day, without those that are taken.

    An identical query is answered from memory for 2 s, as Cal.com does. A call waits for `gate` and fails with `error`.
    """

    clock: Clock
    hours: tuple[int, ...] = (9, 10, 14)
    taken: set[datetime] = field(default_factory=set[datetime])
    asked: list[SlotQuery] = field(default_factory=list[SlotQuery])
    error: PipelineError | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    meanwhile: Callable[[], Any] = lambda: None
    remembered: dict[SlotQuery, tuple[float, Listed[SlotDay]]] = field(default_factory=dict[Any, Any])

    def __post_init__(self) -> None:
        self.gate.set()

    def free_days(self, query: SlotQuery) -> Listed[SlotDay]:
        self.asked.append(query)
        asked_at = self.clock.now()
        found = self._answer(query)
        self.began.set()
        assert self.gate.wait(30)
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return Listed(tuple(replace(day, fetched_at=asked_at) for day in found))

    def starts(self, query: SlotQuery, day: date) -> list[datetime]:
        zone = zone_of(query.zone)
        at = [datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC) for hour in self.hours]
        return [start for start in at if start not in self.taken]

    def _answer(self, query: SlotQuery) -> Listed[SlotDay]:
        stored_at, known = self.remembered.get(query, (-10.0, None))
        if known is not None and self.clock.seconds() - stored_at < 2:
            return known
        days = [query.first_day + timedelta(n) for n in range((query.last_day - query.first_day).days + 1)]
        found = Listed(tuple(self._day(query, day) for day in days))
        self.remembered[query] = (self.clock.seconds(), found)
        return found

    def _day(self, query: SlotQuery, day: date) -> SlotDay:
        key = SlotKey(query.event_type_id, query.duration_minutes, query.zone, day)
        return SlotDay(key, tuple(Slot(start) for start in self.starts(query, day)), self.clock.now())


@dataclass
class Types:
    """Event types by id; counts how often it is asked."""

    known: dict[int, EventType]
    asked: int = 0

    def bookable_one(self, event_type_id: int) -> EventType | None:
        self.asked += 1
        return self.known.get(event_type_id)

    def bookable(self) -> list[EventType]:
        return list(self.known.values())


@dataclass
class Slots:
    """The mirror of days; away while `error` is set."""

    kept: dict[SlotKey, SlotDay] = field(default_factory=dict[SlotKey, SlotDay])
    error: StoreError | None = None

    def store(self, days: Listed[SlotDay]) -> Changes:
        if self.error is not None:
            raise self.error
        self.kept |= {day.key: day for day in days}
        return Changes()

    def days(self, query: SlotQuery) -> list[SlotDay]:
        if self.error is not None:
            raise self.error
        wanted = (query.event_type_id, query.duration_minutes, query.zone)
        return [
            day
            for key, day in sorted(self.kept.items(), key=lambda item: item[0].day)
            if (key.event_type_id, key.duration_minutes, key.zone) == wanted
            and query.first_day <= key.day <= query.last_day
        ]

    def prune(self, *, first_day: date, event_type_ids: Sequence[int]) -> int:
        del first_day, event_type_ids
        return 0
