"""The days of free starts that a website reads, and what is known beside them; docs/redis-keys.md has the format.

A clearing raises a generation, so that a fetch which began before it is not stored after it, and lets the event type
settle for a while: what is fetched meanwhile is kept no longer than that.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any, cast

from calcom_pipeline.adapters.redis.availability.sights import Sight, Sights, cached_days
from calcom_pipeline.adapters.redis.availability.values import (
    Names,
    members,
    packed_day,
    packed_type,
)
from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.app.availability.ports import CacheClearResult, DaysLook, DaysSeen, Standing
from calcom_pipeline.domain.availability.changes import AffectedDays
from calcom_pipeline.domain.availability.models import BookableType, CachedDay, SlotDay, SlotKey
from calcom_pipeline.domain.errors import CacheError

DAYS, ALTERNATIVES = "days", "alternatives"
# The index outlives its days; a day stored meanwhile renews it.
_INDEX_SECONDS = 8 * 86_400
# Long, since a changed event type is cleared by its fact; not for ever, so that those that are gone leave.
_TYPE_SECONDS = 86_400
# Counts of what was asked for: yesterday's still tell what is hot this morning.
_ASKED_SECONDS = 3 * 86_400
_DAY_SECONDS = 86_400
# How many counts a process keeps before it hands them over, and for how long.
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds. `empty`: of a day that has no free start any more, until it was found so again.

    `stale`: how long past its life a day is kept, to be answered where Cal.com cannot be asked.
    """

    full: float = 300.0
    empty: float = 60.0
    stale: float = 3600.0
    settle: float = 3.0


class RedisSlotCache:
    """Whole days, each for its lifetime: shorter for a day whose last start is gone, since one may be freed soon."""

    def __init__(
        self, client: Client, *, prefix: str, lifetimes: Lifetimes | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._names = Names(prefix)
        self._lifetimes = lifetimes or Lifetimes()
        self._settle_ms = int(self._lifetimes.settle * 1000)
        self._clock = clock
        self._store_days = client.register_script(script("standing", "store_days"))
        self._clear_days = client.register_script(script("standing", "clear_days"))
        self._read_generations = client.register_script(script("standing", "read_generations"))
        self._store_type = client.register_script(script("standing", "store_type"))
        self._sights = Sights(self._names)
        self._lock = Lock()
        self._spoiled = 0
        self._asked: Counter[str] = Counter()
        self._flushed = time.monotonic()

    def key(self, key: SlotKey) -> str:
        """The Redis key of a day."""
        return self._names.day(key)

    # --- what is known before a fetch --------------------------------------------------------------------

    def generations(self, event_type_ids: Sequence[int]) -> Mapping[int, Standing]:
        """How often each event type was cleared, and whether that still settles; read before Cal.com is asked.

        A number that is none is put away for one that was never there before, so that nothing fetched under an earlier
        one is stored.
        """
        if not event_type_ids:
            return {}
        names = self._names
        keys = [name for i in event_type_ids for name in (names.generation(i), names.settling(i))]
        with redis_failures("Reading slots"):
            found = self._read_generations(keys=[names.epoch, names.settling_of_all, *keys], args=[self._settle_ms])
        standings = [Standing(int(value), ms / 1000) for value, ms in cast("list[tuple[bytes, int]]", found)]
        return dict(zip(event_type_ids, standings, strict=True))

    def store_type(self, event_type: BookableType, *, standing: Standing) -> bool:
        """Keep an event type, unless it was cleared since `standing` was read; whether it was kept."""
        keys = [self._names.generation(event_type.id), self._names.type(event_type.id), self._names.epoch]
        with redis_failures("Storing an event type"):
            return bool(self._store_type(keys=keys, args=[standing.number, packed_type(event_type), _TYPE_SECONDS]))

    # --- days --------------------------------------------------------------------------------------------

    def store(
        self,
        days: Sequence[SlotDay],
        *,
        generations: Mapping[int, Standing],
        at_most: Mapping[SlotKey, float] | None = None,
        still_empty: Collection[SlotKey] = (),
    ) -> int:
        """See the port. Days of `at_most` are not kept past that either."""
        kept = 0
        with redis_failures("Storing slots"):
            for event_type_id, group in groupby(days, key=lambda day: day.key.event_type_id):
                found = list(group)
                standing = generations.get(event_type_id, Standing())
                names = [self._names.generation(event_type_id), self._names.index(event_type_id), self._names.epoch]
                lives = [self._life(d, still_empty) for d in found]
                most = [(at_most or {}).get(d.key) for d in found]
                pairs = [p for each in zip(found, lives, most, strict=True) for p in self._valued(*each, standing)]
                keys = [*names, *(self.key(d.key) for d in found)]
                kept += int(self._store_days(keys=keys, args=[standing.number, _INDEX_SECONDS, *pairs]))  # pyright: ignore[reportArgumentType]
        return kept

    def look(self, looks: Sequence[DaysLook]) -> list[DaysSeen]:
        """See the port. MGET takes a key of another kind for missing. A value that cannot be read is counted."""
        sights = self.sights_of(looks)
        with redis_failures("Reading slots"):
            values = self._fetched([name for sight in sights for name in sight.names], self.count_commands())
        return self.seen(sights, values)

    def sights_of(self, looks: Sequence[DaysLook]) -> list[Sight]:
        """The keys that these looks take, one after the other."""
        return [self._sights.of(look) for look in looks]

    def seen(self, sights: Sequence[Sight], values: Sequence[bytes | None]) -> list[DaysSeen]:
        """What their values are."""
        now, at, found = self._clock(), 0, list[DaysSeen]()
        for sight in sights:
            seen, spoiled = sight.seen(values[at : at + len(sight.names)], now)
            found.append(seen)
            at += len(sight.names)
            if spoiled:
                self._note_spoiled(spoiled)
        return found

    def count(self, event_type_id: int, duration_minutes: int, times: int) -> None:
        """See the port: handed over with one of the next looks."""
        with self._lock:
            self._asked[f"{event_type_id}:{duration_minutes}"] += times

    def count_commands(self) -> list[tuple[str | int, ...]]:
        """What hands all counts over, when it is time for that; else nothing."""
        if time.monotonic() - self._flushed < _FLUSH_SECONDS:
            return []
        with self._lock:
            due, self._asked, self._flushed = self._asked, Counter(), time.monotonic()
        asked = self._names.asked(int(self._clock() // _DAY_SECONDS))
        commands: list[tuple[str | int, ...]] = [("ZINCRBY", asked, count, member) for member, count in due.items()]
        return [*commands, ("EXPIRE", asked, _ASKED_SECONDS)] if commands else []

    def read(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, CachedDay]:
        """The days that are there, fresh or past their life, in one round trip; a value that cannot be read is not."""
        return self._read(keys, notes_spoiled=False)

    def get(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, SlotDay]:
        """The fresh days that are there; a value that cannot be read is not, and is counted."""
        found = self._read(keys, notes_spoiled=True)
        return {key: cached.day for key, cached in found.items() if cached.is_fresh}

    def spoiled(self) -> int:
        """Values that could not be read and were taken for missing, since this cache was opened."""
        with self._lock:
            return self._spoiled

    def hottest(self, limit: int) -> list[tuple[tuple[int, int], float]]:
        """Event type and length that were asked for most today and yesterday (UTC), most first, with how often."""
        today = int(self._clock() // _DAY_SECONDS)
        names = [self._names.asked(today), self._names.asked(today - 1)]
        with redis_failures("Reading what was asked for"):
            found: Any = self._client.zunion(names, withscores=True)  # pyright: ignore[reportUnknownMemberType]
        return sorted(members(found), key=lambda one: (-one[1], one[0]))[:limit]

    # --- clearing ----------------------------------------------------------------------------------------

    def clear(self, affected: Sequence[AffectedDays]) -> list[CacheClearResult]:
        """Clear both layers of the days that may be wrong; one layer's errors do not stop the other."""
        return [
            self._cleared(DAYS, affected, self._clear_one),
            self._cleared(
                ALTERNATIVES, affected, lambda s: int(self._client.delete(self._names.near(s.event_type_id)))
            ),  # pyright: ignore[reportArgumentType]
        ]

    # --- inside ------------------------------------------------------------------------------------------

    def _read(self, keys: Sequence[SlotKey], *, notes_spoiled: bool) -> Mapping[SlotKey, CachedDay]:
        if not keys:
            return {}
        with redis_failures("Reading slots"):
            values = self._fetched([self.key(k) for k in keys])
        days, spoiled = cached_days(keys, values, self._clock())
        if notes_spoiled and spoiled:
            self._note_spoiled(spoiled)
        return days

    def _note_spoiled(self, number: int) -> None:
        with self._lock:
            self._spoiled += number

    def _cleared(
        self, layer: str, affected: Sequence[AffectedDays], clear_one: Callable[[AffectedDays], int]
    ) -> CacheClearResult:
        keys = 0
        for one in affected:
            try:
                with redis_failures(f"Clearing {layer} of event type {one.event_type_id}"):
                    keys += clear_one(one)
            except CacheError as error:
                return CacheClearResult(layer, keys, (str(error),))
        return CacheClearResult(layer, keys)

    def _clear_one(self, affected: AffectedDays) -> int:
        endings = sorted(f":{affected.zone}:{day.isoformat()}" for day in affected.days or ())
        if affected.days is not None and not endings:
            return 0
        number, names = affected.event_type_id, self._names
        keys = [names.generation(number), names.index(number), names.settling(number), names.type(number), names.epoch]
        args = [self._settle_ms, int(affected.days is None), *endings]
        return int(self._clear_days(keys=keys, args=args))  # pyright: ignore[reportArgumentType]

    def _life(self, day: SlotDay, still_empty: Collection[SlotKey]) -> float:
        return self._lifetimes.full if day.free or day.key in still_empty else self._lifetimes.empty

    def _valued(self, day: SlotDay, life: float, at_most: float | None, standing: Standing) -> tuple[bytes, int]:
        """A day's value, and how long Redis keeps it (ms)."""
        kept = self._lifetimes.stale
        if at_most is not None and at_most < life:
            life, kept = at_most, 0.0
        if standing.settles_seconds > 0:
            life, kept = min(life, standing.settles_seconds), 0.0
        return packed_day(day, fresh_until=self._clock() + life), max(1, int((life + kept) * 1000))

    def _fetched(self, names: list[str], counts: Sequence[tuple[str | int, ...]] = ()) -> list[bytes | None]:
        if not counts:
            return cast("list[bytes | None]", self._client.mget(names))
        pipeline: Any = self._client.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType]  # loosely typed
        pipeline.mget(names)
        for command in counts:
            pipeline.execute_command(*command)
        found: Any = pipeline.execute(raise_on_error=False)
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]  # a count that was not taken (a replica, a full server) costs nobody an answer
