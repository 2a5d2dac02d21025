"""Lookups of free times over a test's own collaborators."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Any

import redis

from calcom_pipeline.adapters.redis.availability.days import Lifetimes, RedisSlotCache
from calcom_pipeline.adapters.redis.coalescing.errors import PipelineErrors
from calcom_pipeline.adapters.redis.coalescing.flights import FlightRules, Flights
from calcom_pipeline.app.availability.fetching import Stores
from calcom_pipeline.app.availability.lookup import FreeTimes, LookupRules
from calcom_pipeline.app.availability.ports import SlotApi

PREFIX = "calcom:v1:{a}:"


def long_there(client: redis.Redis, *prefixes: str) -> None:
    """An epoch that has settled, so that nothing that is fetched is provisional."""
    info: Any = client.info("server")
    for prefix in prefixes or (PREFIX, "calcom:v1:{calcom}:", "calcom:v1:{shop}:"):
        client.mset({f"{prefix}slots:epoch": 0, f"{prefix}slots:process": info["run_id"]})


class AtOnce:
    """An executor that does its work before it answers."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future


def slot_cache(client: redis.Redis, *, prefix: str = PREFIX, **changes: Any) -> RedisSlotCache:
    """Days in this Redis; `changes` are lifetimes, and the clock."""
    clock = {"clock": changes.pop("clock")} if "clock" in changes else {}
    return RedisSlotCache(client, prefix=prefix, lifetimes=replace(Lifetimes(), **changes), **clock)


def free_times(
    calcom: SlotApi,
    event_types: Any,
    mirror: Any,
    cache: RedisSlotCache,
    client: redis.Redis,
    *,
    now: Callable[[], datetime],
    rules: LookupRules | None = None,
    flight_rules: FlightRules | None = None,
    background: Any = None,
    shadow: Any = None,
) -> FreeTimes:
    """Free times whose refreshes are done before the answer, unless another executor is given."""
    return FreeTimes(
        calcom=calcom,
        cache=cache,
        sharing=Flights(client, prefix=PREFIX, codec=PipelineErrors(), rules=flight_rules),
        background=background or AtOnce(),
        stores=lambda: Stores(event_types, mirror),
        now=now,
        rules=rules,
        shadow=shadow,
    )
