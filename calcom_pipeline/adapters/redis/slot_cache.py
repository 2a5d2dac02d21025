"""The days of free starts that a website reads.

Key and value are published, another language may read them. Key: `calcom:v1:{account}:slots:day:<event type id>:
<duration in minutes>:<zone>:<YYYY-MM-DD>`. Value: JSON `{"v": 1, "fetched_at": <ISO instant>, "slots": [...]}`, each
slot `[<unix seconds>]` or, with seats, `[<unix seconds>, <seats remaining>, <seats in total>]`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from calcom_pipeline.adapters.redis.connection import Client, redis_failures
from calcom_pipeline.domain.models import Slot, SlotDay, SlotKey

FORMAT_VERSION = 1


class RedisSlotCache:
    """Whole days, each for its lifetime: shorter for a day without slots, since one may be freed soon."""

    def __init__(self, client: Client, *, prefix: str, ttl_seconds: int, empty_ttl_seconds: int) -> None:
        self._client = client
        self._prefix = prefix
        self._ttl_seconds = ttl_seconds
        self._empty_ttl_seconds = empty_ttl_seconds

    def key(self, key: SlotKey) -> str:
        """The Redis key of a day."""
        return f"{self._prefix}slots:day:{key.event_type_id}:{key.duration_minutes}:{key.zone}:{key.day.isoformat()}"

    def store(self, days: Sequence[SlotDay]) -> int:
        """Keep whole days; how many were kept."""
        with redis_failures("Storing slots"):
            pipe = self._client.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType]  # redis-py types it loosely
            for day in days:
                seconds = self._ttl_seconds if day.slots else self._empty_ttl_seconds
                pipe.set(self.key(day.key), _packed(day), ex=seconds)
            return sum(map(bool, pipe.execute()))

    def get(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, SlotDay]:
        """The days that are there."""
        if not keys:
            return {}
        with redis_failures("Reading slots"):
            values: list[Any] = list(self._client.mget([self.key(k) for k in keys]))  # pyright: ignore[reportArgumentType]
        return {key: _unpacked(key, value) for key, value in zip(keys, values, strict=True) if value is not None}


def _packed(day: SlotDay) -> bytes:
    slots = [
        [int(slot.start.timestamp())]
        if slot.seats_total is None
        else [int(slot.start.timestamp()), slot.seats_remaining, slot.seats_total]
        for slot in day.slots
    ]
    return orjson.dumps({"v": FORMAT_VERSION, "fetched_at": day.fetched_at, "slots": slots})


def _unpacked(key: SlotKey, value: bytes) -> SlotDay:
    record = orjson.loads(value)
    slots = tuple(Slot(datetime.fromtimestamp(s[0], UTC), *s[1:]) for s in record["slots"])
    return SlotDay(key, slots, datetime.fromisoformat(record["fetched_at"]))
