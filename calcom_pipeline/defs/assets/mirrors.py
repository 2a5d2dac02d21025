"""The mirrors of Cal.com: event types and bookings."""

from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.defs.assets.services import service_sync
from calcom_pipeline.defs.columns import column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import Meter, change_metadata
from calcom_pipeline.defs.naming import OWNERS, POOL, PREFIX
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.ports import BookingMirror, EventTypeMirror
from calcom_pipeline.sync.bookings import pull_bookings
from calcom_pipeline.sync.event_types import pull_event_types
from calcom_pipeline.wiring import Pipeline, utc_now

Calcom = dg.ResourceParam[CalcomClient]


@dg.asset(
    key_prefix=PREFIX,
    group_name="calcom",
    kinds={"calcom", "postgres"},
    owners=OWNERS,
    pool=POOL,
    deps=[service_sync],  # read after services were written, so that one run of the loop sees its own work
    metadata=column_schema("event_types"),
)
def event_types(
    context: dg.AssetExecutionContext,
    calcom: Calcom,
    event_type_mirror: dg.ResourceParam[EventTypeMirror],
    pipeline: dg.ResourceParam[Pipeline],
) -> dg.MaterializeResult[Any]:
    """What Cal.com offers now: one row per event type, unchanged ones left alone."""
    meter = Meter(calcom)
    with dagster_failures("Reading event types"):
        report = pull_event_types(
            calcom, event_type_mirror, teams=pipeline.teams, now=utc_now, progress=progress_of(context)
        )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": report.event_types,
            "owners": report.owners,
            **change_metadata(report.changes),
            **meter.metadata(),
        }
    )


@dg.asset(
    key_prefix=PREFIX,
    group_name="calcom",
    kinds={"calcom", "postgres"},
    owners=OWNERS,
    pool=POOL,
    metadata=column_schema("bookings"),
)
def bookings(
    context: dg.AssetExecutionContext,
    calcom: Calcom,
    booking_mirror: dg.ResourceParam[BookingMirror],
    pipeline: dg.ResourceParam[Pipeline],
) -> dg.MaterializeResult[Any]:
    """What was booked: everything the first time, afterwards what changed since the watermark."""
    meter, settings = Meter(calcom), pipeline.settings
    with dagster_failures("Reading bookings"):
        report = pull_bookings(
            calcom,
            booking_mirror,
            page_size=settings.booking_page_size,
            overlap=pipeline.booking_overlap,
            progress=progress_of(context),
        )
    watermark = report.watermark.isoformat() if report.watermark else "none yet"
    return dg.MaterializeResult(
        metadata={
            "rows read": report.read,
            "pages": report.pages,
            "complete read": report.full,
            "quarantined": report.quarantined,
            "watermark": watermark,
            **change_metadata(report.changes),
            **meter.metadata(),
        }
    )
