"""Free times as an operator sees them: when people can book, how fresh the cache is, how often wrong, what it costs."""

from collections.abc import Sequence
from datetime import datetime
from statistics import quantiles
from typing import Any

import dagster as dg

from calcom_pipeline.app.availability.ports import ShadowCounts
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.metadata import LIMITER_PICTURE, limiter_use, picture, plotter
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.settings import Settings

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PERCENTILES = (50, 90, 99)


def slot_pictures(container: Container, *, now: datetime) -> dict[str, Any]:
    """What there is to draw; without Redis nothing is told of the cache."""
    overview, settings, found = container.reports.overview, container.settings, dict[str, Any]()
    by_hour = overview.free_starts_by_hour()
    if by_hour:
        found["free starts by weekday and hour"] = hours_picture(by_hour, settings)
    try:
        keys = overview.slot_keys()
        cached = container.availability.cache.read(keys)
        ages = [(now - one.day.fetched_at).total_seconds() for one in cached.values() if one.is_fresh]
        found |= freshness(ages, len(keys), container.availability.shadow_book.lately(), settings)
    except CacheError as error:
        found["why nothing is told of the cache"] = str(error)
    calls = overview.calls_by_minute(since=now - LIMITER_PICTURE)
    return found | limiter_use(calls, settings, now=now)


def hours_picture(counts: Sequence[tuple[int, int, int]], settings: Settings) -> dg.MarkdownMetadataValue:
    """Rows: weekdays; columns: hours of the schedules' zones; darker means more free starts."""
    grid = [[0] * 24 for _ in _WEEKDAYS]
    for weekday, hour, free in counts:
        grid[weekday][hour] = free
    figure, axes = plotter(settings).subplots(figsize=(8, 2.5))
    image = axes.imshow(grid, aspect="auto", cmap="Greens", interpolation="nearest")
    axes.set_yticks(range(len(_WEEKDAYS)), _WEEKDAYS, fontsize=6)
    axes.set_xticks(range(24), [f"{hour:02d}" for hour in range(24)], fontsize=6)
    axes.set_xlabel("hour, local to the schedule", fontsize=6)
    figure.colorbar(image, ax=axes, label="free starts")
    return picture(figure)


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
        figure, axes = plotter(settings).subplots(figsize=(8, 2))
        axes.hist(ages, bins=30, range=(0, max(*ages, settings.slot_ttl_seconds)), color="tab:green")
        axes.axvline(settings.slot_ttl_seconds, color="tab:red", linewidth=1, label="end of life")
        axes.set_xlabel("age in seconds", fontsize=6)
        axes.set_ylabel("days", fontsize=6)
        axes.legend(fontsize=6)
        found["ages of fresh days"] = picture(figure)
    return found
