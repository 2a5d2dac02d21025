"""The mirror of bookings, as two assets that write one table: what changes, and the history by month of creation."""

from typing import Any, cast, get_args

import dagster as dg
from pydantic import Field

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.booking_ports import BookingMirror
from calcom_pipeline.defs.assets.mirrors import event_types
from calcom_pipeline.defs.columns import column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import Meter, change_metadata, table
from calcom_pipeline.defs.naming import OWNERS, POOL, PREFIX
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.sync.bookings import BookingsReport, Mode, pull_bookings
from calcom_pipeline.sync.outcomes import OutcomesReport, close_outcomes
from calcom_pipeline.wiring import Pipeline, utc_now

Calcom = dg.ResourceParam[CalcomClient]


class BookingsConfig(dg.Config):
    """How much is read."""

    mode: str = Field(
        default="changes",
        description="changes: since the watermark. full: everything anew. reread: what starts around now.",
        pattern=f"^({'|'.join(get_args(Mode))})$",
    )


@dg.asset(
    key_prefix=PREFIX,
    group_name="calcom",
    kinds={"calcom", "postgres"},
    owners=OWNERS,
    pool=POOL,
    deps=[event_types],  # they tell private bookings of team members apart
    metadata=column_schema("bookings"),
)
def bookings(
    context: dg.AssetExecutionContext,
    config: BookingsConfig,
    calcom: Calcom,
    booking_mirror: dg.ResourceParam[BookingMirror],
    pipeline: dg.ResourceParam[Pipeline],
) -> dg.MaterializeResult[Any]:
    """What was booked: everything the first time, afterwards what changed since the watermark."""
    meter = Meter(calcom)
    with dagster_failures("Reading bookings"):
        report = pull_bookings(
            calcom,
            booking_mirror,
            pipeline.booking_options,
            now=utc_now,
            mode=cast("Mode", config.mode),
            resume=context.retry_number > 0 or context.run.parent_run_id is not None,
            progress=progress_of(context),
        )
    with dagster_failures("Closing open outcomes"):
        closed = close_outcomes(calcom, pipeline.outcomes, now=utc_now())
    return dg.MaterializeResult(metadata={**_metadata(report), **_outcome_metadata(closed), **meter.metadata()})


def _outcome_metadata(closed: OutcomesReport) -> dict[str, Any]:
    """Nothing, unless somebody booked through us and the answer was lost."""
    if closed == OutcomesReport():
        return {}
    told = {"doubtful bookings found": closed.made, "never made": closed.never_made, "still open": closed.still_open}
    return {**told, "could not be looked for": len(closed.failures)}


def _metadata(report: BookingsReport) -> dict[str, Any]:
    unknown = [{"field": name, "bookings": rows} for name, rows in report.unknown_fields.items()]
    return {
        "rows read": report.read,
        "pages": report.pages,
        "why everything was read": report.full or "it was not",
        "quarantined": report.quarantined,
        "watermark": report.watermark.isoformat() if report.watermark else "none yet",
        **change_metadata(report.stored.changes),
        "facts for caches": report.stored.facts,
        "no longer listed": report.stored.unlisted,
        "proven deleted": report.proven.gone,
        "out of scope": report.proven.out_of_scope,
        **({"not settled": f"{report.proven.open} or more: {report.proven.why_open}"} if report.proven.open else {}),
        **({"fields we do not know": table(unknown)} if unknown else {}),
        **({"notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in report.notes))} if report.notes else {}),
    }
