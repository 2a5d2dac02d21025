"""Counts of shadow reads, by day, for all processes."""

import time
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from calcom_pipeline.adapters.redis.availability.values import Names
from calcom_pipeline.adapters.redis.connection import Client, redis_failures
from calcom_pipeline.app.availability.ports import ShadowCounts

_DAY_SECONDS = 86_400
_KEPT_SECONDS = 8 * _DAY_SECONDS


class RedisShadowBook:
    """A hash per day (UTC)."""

    def __init__(self, client: Client, *, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._names = Names(prefix)
        self._clock = clock

    def add(self, counts: ShadowCounts) -> None:
        """Add to today's."""
        name = self._names.shadow(self._today)
        with redis_failures("Counting a shadow read"):
            pipeline: Any = self._client.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType]  # loosely typed
            for field, number in asdict(counts).items():
                pipeline.hincrby(name, field, number)
            pipeline.expire(name, _KEPT_SECONDS)
            pipeline.execute()

    def lately(self) -> ShadowCounts:
        """Today's and yesterday's."""
        names = [field.name for field in fields(ShadowCounts)]
        totals = dict.fromkeys(names, 0)
        for day in (self._today, self._today - 1):
            with redis_failures("Reading shadow reads"):
                found: Any = self._client.hmget(self._names.shadow(day), names)
            for name, value in zip(names, found, strict=True):
                totals[name] += int(value or 0)
        return ShadowCounts(**totals)

    @property
    def _today(self) -> int:
        return int(self._clock() // _DAY_SECONDS)
