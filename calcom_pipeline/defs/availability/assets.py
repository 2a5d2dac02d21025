"""When people can book: slots in PostgreSQL for analysis, in Redis for the website."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.availability.ports import SlotCache, SlotMirror
from calcom_pipeline.app.availability.refresh import refresh_slots
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.availability.pictures import slot_pictures
from calcom_pipeline.defs.columns import column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import Meter, change_metadata, picture, plotter, table
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over
from calcom_pipeline.settings import Settings


def slots(
    context: dg.AssetExecutionContext,
    calcom: dg.ResourceParam[CalcomClient],
    event_type_mirror: dg.ResourceParam[EventTypeMirror],
    slot_mirror: dg.ResourceParam[SlotMirror],
    slot_cache: dg.ResourceParam[SlotCache],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """Free starts of every bookable event type for the coming weeks: one row, and one cached day, per local day."""
    meter = Meter(calcom)
    with dagster_failures("Refreshing slots"):
        report = refresh_slots(
            calcom,
            event_type_mirror,
            slot_mirror,
            slot_cache,
            now=utc_now(),
            options=container.availability.options,
            progress=progress_of(context),
        )
        free = container.reports.overview.free_starts_by_day()
        pictures = slot_pictures(container, now=utc_now())
    hand_over(report, meter.spent())
    metadata = {
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
        **meter.metadata(),
        **pictures,
    }
    if report.cache_error:
        metadata["why not all days are in Redis"] = report.cache_error
        context.log.warning("%s days are not cached: %s", report.days - report.cached_days, report.cache_error)
    if report.failures:
        metadata["not read"] = table([{"event type": i, "reason": why} for i, why in report.failures.items()])
    if free:
        metadata["free starts, event type by day"] = _heat_map(free, container.settings)
    return dg.MaterializeResult(metadata=metadata)


def _heat_map(free: Sequence[Mapping[str, Any]], settings: Settings) -> dg.MarkdownMetadataValue:
    """Rows: event types; columns: days; darker means more free starts."""
    import pandas as pd  # here, because it would be a fifth of the time that every run takes to start

    frame = pd.DataFrame(free)
    counts = frame.pivot_table(index="event type", columns="day", values="free", aggfunc="sum", fill_value=0)
    figure, axes = plotter(settings).subplots(figsize=(11, 1.5 + 0.17 * len(counts)))
    image = axes.imshow(counts.to_numpy(), aspect="auto", cmap="Greens", interpolation="nearest")
    axes.set_yticks(range(len(counts)), [str(name) for name in counts.index], fontsize=6)
    axes.set_xticks(range(len(counts.columns)), [f"{day:%d %b}" for day in counts.columns], fontsize=6, rotation=90)
    figure.colorbar(image, ax=axes, label="free starts")
    return picture(figure)


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The slots of an account."""
    mirror = dg.asset(
        key_prefix=account.key_prefix,
        group_name="availability",
        kinds={"calcom", "postgres", "redis"},
        owners=OWNERS,
        pool=account.pool,
        deps=[account.key("event_types")],
        metadata=column_schema("slots"),
    )
    return [mirror(account.given_to(slots))]
