"""When people can book: slots in PostgreSQL for analysis, in Redis for the website."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.availability.ports import SlotCache, SlotMirror
from calcom_pipeline.app.availability.refresh import SlotOptions, SlotsReport, refresh_slots
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.availability.pictures import cache_metadata
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.freshness import SLOTS
from calcom_pipeline.defs.markdown import table
from calcom_pipeline.defs.metadata import Meter, change_metadata, see_also
from calcom_pipeline.defs.mirrored import mirrored
from calcom_pipeline.defs.pictures import cache_ages, free_by_hour, heat_map
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over
from calcom_pipeline.settings import Settings

_OF_EVENT_TYPES = {
    "event_type_id": ("event_types", "id"),
    "duration_minutes": ("event_types", "duration_options"),
    "zone": ("event_types", "schedule_zone"),
}


class SlotsConfig(dg.Config):
    """Which days are fetched."""

    days_ahead: int = Field(
        default=0, ge=0, le=365, description="How many days from today. 0: as CALCOM_SLOT_HORIZON_DAYS says."
    )
    fresh_too: bool = Field(
        default=False, description="Ask Cal.com again for what is fresh still: a call per event type and length."
    )

    def of(self, options: SlotOptions) -> SlotOptions:
        """These options, with what was chosen here."""
        return replace(
            options,
            horizon_days=self.days_ahead or options.horizon_days,
            fresh_for=timedelta() if self.fresh_too else options.fresh_for,
        )


def slots(
    context: dg.AssetExecutionContext,
    config: SlotsConfig,
    calcom: dg.ResourceParam[CalcomClient],
    event_type_mirror: dg.ResourceParam[EventTypeMirror],
    slot_mirror: dg.ResourceParam[SlotMirror],
    slot_cache: dg.ResourceParam[SlotCache],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """When people can book: the free starts of every bookable event type, a row for each local day of the coming weeks.

    The same days go to Redis, which websites read. A change of a booking or an event type clears the days it concerns.
    """
    meter = Meter(calcom)
    with dagster_failures("Refreshing slots"):
        report = refresh_slots(
            calcom,
            event_type_mirror,
            slot_mirror,
            slot_cache,
            now=utc_now(),
            options=config.of(container.availability.options),
            progress=progress_of(context),
        )
        pictures = _pictures(container)
    hand_over(report, meter.spent())
    metadata: dict[str, Any] = {
        "summary": _summary(report),
        **see_also(container.settings, "h-hours"),
        **pictures,
    }
    if report.cache_error:
        metadata["why not all days are in Redis"] = report.cache_error
        context.log.warning("%s days are not cached: %s", report.days - report.cached_days, report.cache_error)
    if report.failures:
        metadata["event types not read"] = table(("event type", "why"), report.failures.items())
    return dg.MaterializeResult(metadata={**metadata, **_numbers(report), **meter.metadata()})


def _summary(report: SlotsReport) -> str:
    failed = f" {len(report.failures)} event types could not be read." if report.failures else ""
    return (
        f"{report.slots} free starts on {report.days} days fetched; {report.fresh_queries} answers were fresh.{failed}"
    )


def _numbers(report: SlotsReport) -> dict[str, Any]:
    return {
        "days fetched": report.days,
        "queries": report.queries,
        "queries left out, still fresh": report.fresh_queries,
        "free starts": report.slots,
        "starts without a seat left": report.full,
        "days quarantined": report.quarantined,
        "cached values that could not be read": report.spoiled,
        "queries that suddenly had no start, asked twice": report.asked_again,
        "days in Redis": report.cached_days,
        **change_metadata(report.changes),
    }


def _pictures(container: Container) -> dict[str, Any]:
    """Where there is time, and how old that knowledge is."""
    now, settings, figures = utc_now(), container.settings, container.reports.figures
    free = container.reports.overview.free_starts_by_day()
    return {
        **free_by_hour(figures.free_starts_by_hour(now=now), settings),
        **({"free starts, event type by day": _by_day(free, settings)} if free else {}),
        **cache_ages(figures.slot_ages(now=now), settings),
        **cache_metadata(container, now=now),
    }


def _by_day(free: Sequence[Mapping[str, Any]], settings: Settings) -> dg.MarkdownMetadataValue:
    """Rows: event types; columns: days; stronger means more free starts."""
    import pandas as pd  # here, because it would be a fifth of the time that every run takes to start

    frame = pd.DataFrame(free)
    counts = frame.pivot_table(index="event type", columns="day", values="free", aggfunc="sum", fill_value=0)
    rows, columns = [str(name) for name in counts.index], [f"{day:%d %b}" for day in counts.columns]
    return heat_map(counts.to_numpy().tolist(), rows, columns, settings, what="Free starts by event type and day")


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The slots of an account."""
    return [
        mirrored(
            account,
            slots,
            freshness=SLOTS,
            after=("event_types", "cal_com"),
            lineage=_OF_EVENT_TYPES,
            group="availability",
            kinds=("calcom", "postgres", "redis"),
            pictures="heat map, age of the cache",
        )
    ]
