"""The days of free starts that a website reads.

Key and value are published, another language may read them. Key: `calcom:v1:{account}:slots:day:<event type id>:
<duration in minutes>:<zone>:<YYYY-MM-DD>`. Value: JSON `{"v": 1, "fetched_at": <ISO instant>, "slots": [...]}`, each
slot `[<unix seconds>]` or, with seats, `[<unix seconds>, <seats remaining>, <seats in total>]`. One without a seat left
(0 or below) is not free: whoever reads the value leaves it out of what may be booked.

Beside them, per event type: `slots:generation:<id>`, raised by every clearing so that a fetch which began before it is
not stored after it; `slots:index:<id>`, the keys of its days; `slots:near:<id>`, the second layer (alternatives); and
`slots:held:<id>`, days with a held start, which live no longer than the hold.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from threading import Lock
from typing import Any, Literal, cast

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.app.availability.ports import CacheClearResult
from calcom_pipeline.domain.availability.changes import Stain
from calcom_pipeline.domain.availability.models import Slot, SlotDay, SlotKey
from calcom_pipeline.domain.errors import CacheError

FORMAT_VERSION = 1
DAYS, ALTERNATIVES = "days", "alternatives"
# The index outlives its days; a day stored meanwhile renews it.
_INDEX_SECONDS = 2 * 86_400


class RedisSlotCache:
    """Whole days, each for its lifetime: shorter for a day without a free start, since one may be freed soon."""

    def __init__(self, client: Client, *, prefix: str, ttl_seconds: int, empty_ttl_seconds: int) -> None:
        self._client = client
        self._prefix = prefix
        self._ttl_seconds = ttl_seconds
        self._empty_ttl_seconds = empty_ttl_seconds
        self._store_days = client.register_script(script("store_days"))
        self._clear_days = client.register_script(script("clear_days"))
        self._read_generations = client.register_script(script("read_generations"))
        self._lock = Lock()
        self._spoiled = 0

    def key(self, key: SlotKey) -> str:
        """The Redis key of a day."""
        return f"{self._prefix}slots:day:{key.event_type_id}:{key.duration_minutes}:{key.zone}:{key.day.isoformat()}"

    def generations(self, event_type_ids: Sequence[int]) -> Mapping[int, int]:
        """How often each event type was cleared; read before Cal.com is asked.

        One that is no number is put away for a number that was never there before, so that nothing fetched under an
        earlier one is stored.
        """
        if not event_type_ids:
            return {}
        with redis_failures("Reading slots"):
            found = self._read_generations(keys=[self._generation(i) for i in event_type_ids])
        values = [int(value) for value in cast("list[bytes]", found)]
        return dict(zip(event_type_ids, values, strict=True))

    def store(self, days: Sequence[SlotDay], *, generations: Mapping[int, int]) -> int:
        """Keep whole days for their lifetime, unless they were cleared since; how many were kept."""
        kept = 0
        with redis_failures("Storing slots"):
            for event_type_id, group in groupby(days, key=lambda day: day.key.event_type_id):
                members = list(group)
                keys = [
                    self._generation(event_type_id),
                    self._index(event_type_id),
                    *(self.key(d.key) for d in members),
                ]
                pairs = [part for d in members for part in (_packed(d), self._seconds(d))]
                kept += int(
                    self._store_days(keys=keys, args=[generations.get(event_type_id, 0), _INDEX_SECONDS, *pairs])  # pyright: ignore[reportArgumentType]
                )
        return kept

    def get(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, SlotDay]:
        """The days that are there; a value that cannot be read is not, and is counted."""
        if not keys:
            return {}
        with redis_failures("Reading slots"):
            values: list[Any] = list(self._client.mget([self.key(k) for k in keys]))  # pyright: ignore[reportArgumentType]
        days = {key: _unpacked(key, value) for key, value in zip(keys, values, strict=True) if value is not None}
        readable = {key: day for key, day in days.items() if day is not None}
        if len(readable) < len(days):
            with self._lock:
                self._spoiled += len(days) - len(readable)
        return readable

    def spoiled(self) -> int:
        """Values that could not be read and were taken for missing, since this cache was opened."""
        with self._lock:
            return self._spoiled

    def clear(self, stained: Sequence[Stain]) -> list[CacheClearResult]:
        """Clear both layers of the days that may be wrong; one layer's errors do not stop the other."""
        return [
            self._cleared(DAYS, stained, self._clear_one),
            self._cleared(ALTERNATIVES, stained, lambda s: int(self._client.delete(self._near(s.event_type_id)))),  # pyright: ignore[reportArgumentType]
        ]

    def _cleared(self, layer: str, stained: Sequence[Stain], clear_one: Callable[[Stain], int]) -> CacheClearResult:
        keys = 0
        for stain in stained:
            try:
                with redis_failures(f"Clearing {layer} of event type {stain.event_type_id}"):
                    keys += clear_one(stain)
            except CacheError as error:
                return CacheClearResult(layer, keys, (str(error),))
        return CacheClearResult(layer, keys)

    def _clear_one(self, stain: Stain) -> int:
        endings = sorted(f":{stain.zone}:{day.isoformat()}" for day in stain.days or ())
        if stain.days is not None and not endings:
            return 0
        keys = [self._generation(stain.event_type_id), self._index(stain.event_type_id)]
        return int(self._clear_days(keys=keys, args=endings))  # pyright: ignore[reportArgumentType]

    def _seconds(self, day: SlotDay) -> int:
        return self._ttl_seconds if day.free else self._empty_ttl_seconds

    def _generation(self, event_type_id: int) -> str:
        return f"{self._prefix}slots:generation:{event_type_id}"

    def _index(self, event_type_id: int) -> str:
        return f"{self._prefix}slots:index:{event_type_id}"

    def _near(self, event_type_id: int) -> str:
        return f"{self._prefix}slots:near:{event_type_id}"


def _packed(day: SlotDay) -> bytes:
    slots = [
        [int(slot.start.timestamp())]
        if slot.seats_total is None
        else [int(slot.start.timestamp()), slot.seats_remaining, slot.seats_total]
        for slot in day.slots
    ]
    return orjson.dumps({"v": FORMAT_VERSION, "fetched_at": day.fetched_at, "slots": slots})


def _unpacked(key: SlotKey, value: bytes) -> SlotDay | None:
    """The day of a value; None when it is none that this format has, whoever wrote it."""
    try:
        record = _DAY.validate_json(value)
        slots = tuple(Slot(datetime.fromtimestamp(s[0], UTC), *s[1:]) for s in record.slots)
    except (ValueError, OverflowError, OSError):  # pydantic's errors are the first; the others come from the clock
        return None
    return SlotDay(key, slots, record.fetched_at)


class _Day(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    v: Literal[1]
    fetched_at: AwareDatetime
    slots: list[tuple[int] | tuple[int, int | None, int | None]]


_DAY = TypeAdapter(_Day)
