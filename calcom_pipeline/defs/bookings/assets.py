"""The mirror of bookings: everything the first time, afterwards what changes. `history` writes the same table."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast, get_args

import dagster as dg
from pydantic import Field

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.bookings.in_doubt import OutcomesReport
from calcom_pipeline.app.bookings.mirror import BookingOptions, BookingsReport, Mode
from calcom_pipeline.app.bookings.ports import BookingMirror
from calcom_pipeline.app.bookings.sync import sync_bookings
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.bookings.metadata import stored_metadata, unknown_fields
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.freshness import BOOKINGS
from calcom_pipeline.defs.metadata import Meter, see_also
from calcom_pipeline.defs.mirrored import mirrored
from calcom_pipeline.defs.pictures import bookings_by_day, bookings_by_month, sync_lags
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over
from calcom_pipeline.domain.bookings.positions import Forecast

Calcom = dg.ResourceParam[CalcomClient]

OF_EVENT_TYPES = {"event_type_id": ("event_types", "id"), "event_type_slug": ("event_types", "slug")}
_DAYS_SHOWN = timedelta(days=30)  # before and after now
_LAGS_SHOWN = timedelta(days=2)


class BookingsConfig(dg.Config):
    """How much is read."""

    mode: str = Field(
        default="changes",
        description="changes: since the watermark. full: everything anew. reread: what starts around now.",
        pattern=f"^({'|'.join(get_args(Mode))})$",
    )
    past_days: int = Field(
        default=0, ge=0, le=3650, description="reread: how far back. 0: as CALCOM_BOOKING_REREAD_PAST_DAYS says."
    )
    future_days: int = Field(
        default=0, ge=0, le=3650, description="reread: how far ahead. 0: as CALCOM_BOOKING_REREAD_FUTURE_DAYS says."
    )

    def of(self, options: BookingOptions) -> BookingOptions:
        """These options, with the window that was chosen here."""
        return replace(
            options,
            reread_past=timedelta(days=self.past_days) or options.reread_past,
            reread_future=timedelta(days=self.future_days) or options.reread_future,
        )


def bookings(
    context: dg.AssetExecutionContext,
    config: BookingsConfig,
    calcom: Calcom,
    booking_mirror: dg.ResourceParam[BookingMirror],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What was booked at Cal.com, one row a booking: all of it the first time, afterwards what changed since.

    Attendees are kept as CALCOM_ATTENDEE_POLICY says. A booking goes only when its deletion is proven.
    """
    meter = Meter(calcom)

    def announce(reason: str, cost: Forecast) -> None:
        context.log.info("Reading everything (%s): %s", reason, cost)

    with dagster_failures("Reading bookings"):
        synced = sync_bookings(
            calcom,
            booking_mirror,
            container.bookings.in_doubt,
            config.of(container.bookings.options),
            now=utc_now,
            mode=cast("Mode", config.mode),
            resume=context.retry_number > 0 or context.run.parent_run_id is not None,
            progress=progress_of(context),
            announce=announce,
        )
        report = synced.report
        months = container.bookings.overview.by_month() if report.full else []
        pictures = _pictures(container, utc_now())
    hand_over(synced, meter.spent())
    doubts = _outcome_metadata(synced.doubts)
    return dg.MaterializeResult(
        metadata={
            "summary": _summary(report),
            **see_also(container.settings, "h-bookings"),
            **pictures,
            **bookings_by_month(months, container.settings),
            **_metadata(report),
            **doubts,
            **meter.metadata(),
        }
    )


def _outcome_metadata(closed: OutcomesReport) -> dict[str, Any]:
    """Nothing, unless somebody booked through us and the answer was lost."""
    if closed == OutcomesReport():
        return {}
    counts = {"doubtful bookings found": closed.made, "never made": closed.never_made, "still open": closed.still_open}
    return {**counts, "could not be looked for": len(closed.failures)}


def _metadata(report: BookingsReport) -> dict[str, Any]:
    notes = "\n".join(f"- {note}" for note in report.notes)
    return {
        "rows read": report.read,
        "pages read": report.pages,
        "why everything was read": report.full or "it was not",
        "rows quarantined": report.quarantined,
        "watermark": report.watermark.isoformat() if report.watermark else "none yet",
        **stored_metadata(report.stored, report.proven),
        **({"dropped as too old": report.forgotten} if report.forgotten else {}),
        **unknown_fields(report.unknown_fields),
        **({"notes": dg.MetadataValue.md(notes)} if notes else {}),
    }


def _summary(report: BookingsReport) -> str:
    changes = report.stored.changes
    how = f"Everything was read ({report.full})" if report.full else "What changed was read"
    summary = f"{how}: {report.read} rows, {changes.added} new, {changes.changed} changed, {changes.gone} gone."
    return summary + (f" {report.quarantined} could not be read and are kept." if report.quarantined else "")


def _pictures(container: Container, now: datetime) -> dict[str, Any]:
    """Bookings around now by day, and how late changes came."""
    figures, settings = container.reports.figures, container.settings
    days = figures.bookings_by_day(since=now - _DAYS_SHOWN, before=now + _DAYS_SHOWN)
    lags = figures.sync_lags(since=now - _LAGS_SHOWN)
    return {**bookings_by_day(days, settings, now=now), **sync_lags(lags, settings)}


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The mirror of an account."""
    after = ("event_types", "cal_com")  # they tell private bookings of team members apart
    pictures = "bookings by day, sync lag"
    return [mirrored(account, bookings, freshness=BOOKINGS, after=after, lineage=OF_EVENT_TYPES, pictures=pictures)]
