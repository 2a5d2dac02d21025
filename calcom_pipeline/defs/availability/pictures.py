"""The cached days as an operator sees them: how many are there, how old they are, how often wrong."""

from collections.abc import Sequence
from datetime import datetime
from statistics import quantiles
from typing import Any

from calcom_pipeline.app.availability.ports import ShadowCounts
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.pictures import cached_ages
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.settings import Settings

_PERCENTILES = (50, 90, 99)


def cache_metadata(container: Container, *, now: datetime) -> dict[str, Any]:
    """What there is to tell of the cache; without Redis, why nothing is."""
    try:
        keys = container.reports.overview.slot_keys()
        cached = container.availability.cache.read(keys)
        ages = [(now - one.day.fetched_at).total_seconds() for one in cached.values() if one.is_fresh]
        return freshness(ages, len(keys), container.availability.shadow_book.lately(), container.settings)
    except CacheError as error:
        return {"why nothing is told of the cache": str(error)}


def freshness(ages: Sequence[float], days: int, shadow: ShadowCounts, settings: Settings) -> dict[str, Any]:
    """The share of stored days that are fresh in Redis, their ages in seconds, and what shadow reads came to."""
    found: dict[str, Any] = {
        "days fresh in Redis": f"{len(ages)} of {days}" + (f", {100 * len(ages) / days:.0f}%" if days else ""),
        "wrong-slot rate": round(shadow.wrong_rate, 6),
        "starts compared by shadow reads": shadow.starts,
    }
    if len(ages) > 1:
        cuts = quantiles(ages, n=100, method="inclusive")
        found |= {f"age of fresh days, p{share}, seconds": round(cuts[share - 1], 1) for share in _PERCENTILES}
        found |= cached_ages(ages, settings)
    return found
