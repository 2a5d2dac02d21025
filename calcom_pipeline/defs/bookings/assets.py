"""The mirror of bookings: everything the first time, afterwards what changes. `history` writes the same table."""

from typing import Any, cast, get_args

import dagster as dg
from pydantic import Field

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.bookings.overview import MonthCount
from calcom_pipeline.app.bookings.in_doubt import OutcomesReport
from calcom_pipeline.app.bookings.mirror import BookingsReport, Mode
from calcom_pipeline.app.bookings.ports import BookingMirror
from calcom_pipeline.app.bookings.sync import sync_bookings
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.bookings.metadata import stored_metadata, unknown_fields
from calcom_pipeline.defs.columns import column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import Meter, picture, plotter
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over
from calcom_pipeline.domain.bookings.positions import Forecast
from calcom_pipeline.settings import Settings

Calcom = dg.ResourceParam[CalcomClient]

_MONTH_COLUMNS = ["month", "status", "bookings"]
_MONTHS_SHOWN = 36


class BookingsConfig(dg.Config):
    """How much is read."""

    mode: str = Field(
        default="changes",
        description="changes: since the watermark. full: everything anew. reread: what starts around now.",
        pattern=f"^({'|'.join(get_args(Mode))})$",
    )


def bookings(
    context: dg.AssetExecutionContext,
    config: BookingsConfig,
    calcom: Calcom,
    booking_mirror: dg.ResourceParam[BookingMirror],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What was booked: everything the first time, afterwards what changed since the watermark."""
    meter = Meter(calcom)

    def announce(reason: str, cost: Forecast) -> None:
        context.log.info("Reading everything (%s): %s", reason, cost)

    with dagster_failures("Reading bookings"):
        synced = sync_bookings(
            calcom,
            booking_mirror,
            container.bookings.in_doubt,
            container.bookings.options,
            now=utc_now,
            mode=cast("Mode", config.mode),
            resume=context.retry_number > 0 or context.run.parent_run_id is not None,
            progress=progress_of(context),
            announce=announce,
        )
        report = synced.report
        months = container.bookings.overview.by_month() if report.full else []
    hand_over(synced, meter.spent())
    doubts = _outcome_metadata(synced.doubts)
    return dg.MaterializeResult(
        metadata={**_metadata(report), **doubts, **_pictures(months, container.settings), **meter.metadata()}
    )


def _outcome_metadata(closed: OutcomesReport) -> dict[str, Any]:
    """Nothing, unless somebody booked through us and the answer was lost."""
    if closed == OutcomesReport():
        return {}
    told = {"doubtful bookings found": closed.made, "never made": closed.never_made, "still open": closed.still_open}
    return {**told, "could not be looked for": len(closed.failures)}


def _metadata(report: BookingsReport) -> dict[str, Any]:
    notes = "\n".join(f"- {note}" for note in report.notes)
    return {
        "rows read": report.read,
        "pages": report.pages,
        "why everything was read": report.full or "it was not",
        "quarantined": report.quarantined,
        "watermark": report.watermark.isoformat() if report.watermark else "none yet",
        **stored_metadata(report.stored, report.proven),
        **({"dropped as too old": report.forgotten} if report.forgotten else {}),
        **unknown_fields(report.unknown_fields),
        **({"notes": dg.MetadataValue.md(notes)} if notes else {}),
    }


def _pictures(months: list[MonthCount], settings: Settings) -> dict[str, Any]:
    """Bookings by month and status, as a picture; nothing for an empty mirror."""
    if not months:
        return {}
    import pandas as pd  # here, because it would be a fifth of the time that every run takes to start

    frame = pd.DataFrame([(f"{m.month:%Y-%m}", m.status, m.bookings) for m in months], columns=_MONTH_COLUMNS)
    counts = frame.pivot_table(index="month", columns="status", values="bookings", aggfunc="sum", fill_value=0)
    figure, axes = plotter(settings).subplots(figsize=(8, 2.5))
    counts.tail(_MONTHS_SHOWN).plot.bar(stacked=True, width=0.9, ax=axes, xlabel="", ylabel="bookings", fontsize=6)
    return {"bookings by month of their start": picture(figure)}


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The mirror of an account."""
    mirror = dg.asset(
        key_prefix=account.key_prefix,
        group_name="calcom",
        kinds={"calcom", "postgres"},
        owners=OWNERS,
        pool=account.pool,
        deps=[account.key("event_types")],  # they tell private bookings of team members apart
        metadata=column_schema("bookings"),
    )
    return [mirror(account.given_to(bookings))]
