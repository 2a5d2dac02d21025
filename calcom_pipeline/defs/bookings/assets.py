"""The mirror of bookings, as two assets that write one table: what changes, and the history by month of creation."""

import warnings
from typing import Any, cast, get_args

import dagster as dg
from pydantic import Field

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.bookings.overview import MonthCount
from calcom_pipeline.app.bookings.backfill import backfill, forecast_backfill
from calcom_pipeline.app.bookings.deletions import Proven
from calcom_pipeline.app.bookings.in_doubt import OutcomesReport
from calcom_pipeline.app.bookings.mirror import BookingsReport, Mode
from calcom_pipeline.app.bookings.ports import BookingMirror, Stored
from calcom_pipeline.app.bookings.sync import sync_bookings
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.columns import column_schema
from calcom_pipeline.defs.event_types.assets import event_types
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import Meter, change_metadata, picture, plotter, table
from calcom_pipeline.defs.naming import HISTORY_FROM, OWNERS, POOL, PREFIX
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.domain.bookings.positions import Forecast, Month
from calcom_pipeline.domain.errors import TransientError

Calcom = dg.ResourceParam[CalcomClient]

# A year a run: what fails is tried again for that year alone, and a run is long enough to be worth its start.
_MONTHS_PER_RUN = 12
_A_YEAR_A_RUN = dg.BackfillPolicy.multi_run(max_partitions_per_run=_MONTHS_PER_RUN)
# Backfill policies are beta in the release we pin; the warning would stand above every command's output.
warnings.filterwarnings("ignore", message=".*backfill_policy", category=dg.BetaWarning)
MONTHS = dg.MonthlyPartitionsDefinition(start_date=f"{HISTORY_FROM}-01", end_offset=1)

_MONTH_COLUMNS = ["month", "status", "bookings"]
_MONTHS_SHOWN = 36


class BookingsConfig(dg.Config):
    """How much is read."""

    mode: str = Field(
        default="changes",
        description="changes: since the watermark. full: everything anew. reread: what starts around now.",
        pattern=f"^({'|'.join(get_args(Mode))})$",
    )


class HistoryConfig(dg.Config):
    """Which months are read."""

    again: bool = Field(default=False, description="Read months that are done once more.")


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
    doubts = _outcome_metadata(synced.doubts)
    return dg.MaterializeResult(metadata={**_metadata(report), **doubts, **_pictures(months), **meter.metadata()})


def _outcome_metadata(closed: OutcomesReport) -> dict[str, Any]:
    """Nothing, unless somebody booked through us and the answer was lost."""
    if closed == OutcomesReport():
        return {}
    told = {"doubtful bookings found": closed.made, "never made": closed.never_made, "still open": closed.still_open}
    return {**told, "could not be looked for": len(closed.failures)}


@dg.asset(
    key_prefix=PREFIX,
    group_name="calcom",
    kinds={"calcom", "postgres"},
    owners=OWNERS,
    pool=POOL,
    deps=[event_types],
    partitions_def=MONTHS,
    backfill_policy=_A_YEAR_A_RUN,
    metadata=column_schema("bookings"),
)
def bookings_history(
    context: dg.AssetExecutionContext,
    config: HistoryConfig,
    calcom: Calcom,
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What was booked in past months, by month of creation, into the same table as `bookings`."""
    meter, settings, group = Meter(calcom), container.settings, container.bookings
    months = sorted(Month.parse(key[: len("YYYY-MM")]) for key in context.partition_keys)
    with dagster_failures("Reading the history of bookings"):
        plan = forecast_backfill(
            calcom,
            group.new_mirror,
            months,
            group.options,
            most_workers=settings.backfill_workers,
            again=config.again,
            now=utc_now(),
        )
        context.log.info("Forecast: %s, %d months at once", plan.cost, plan.cost.workers)
        report = backfill(
            calcom,
            group.new_mirror,
            plan,
            group.options,
            now=utc_now,
            again=config.again,
            progress=progress_of(context),
        )
        if report.failures:
            raise TransientError("; ".join(f"{month}: {why}" for month, why in report.failures.items()))
    total = report.total
    read = [{"month": str(m.month), "read": m.read, "added": m.stored.changes.added} for m in report.months]
    return dg.MaterializeResult(
        metadata={
            "rows read": total.read,
            "pages": total.pages,
            "quarantined": total.quarantined,
            "months read before": len(plan.done),
            "months before the first booking": len(plan.empty),
            "forecast": str(plan.cost),
            **_stored(total.stored, report.proven),
            **_unknown(total.unknown_fields),
            **({"by month": table(read)} if read else {}),
            **meter.metadata(),
        }
    )


def _metadata(report: BookingsReport) -> dict[str, Any]:
    notes = "\n".join(f"- {note}" for note in report.notes)
    return {
        "rows read": report.read,
        "pages": report.pages,
        "why everything was read": report.full or "it was not",
        "quarantined": report.quarantined,
        "watermark": report.watermark.isoformat() if report.watermark else "none yet",
        **_stored(report.stored, report.proven),
        **({"dropped as too old": report.forgotten} if report.forgotten else {}),
        **_unknown(report.unknown_fields),
        **({"notes": dg.MetadataValue.md(notes)} if notes else {}),
    }


def _stored(stored: Stored, proven: Proven) -> dict[str, Any]:
    return {
        **change_metadata(stored.changes),
        "facts for caches": stored.facts,
        "no longer listed": stored.unlisted,
        "proven deleted": proven.gone,
        "out of scope": proven.out_of_scope,
        **({"not settled": f"{proven.open} or more: {proven.why_open}"} if proven.open else {}),
    }


def _unknown(fields: Any) -> dict[str, Any]:
    rows = [{"field": name, "bookings": count} for name, count in fields.items()]
    return {"fields we do not know": table(rows)} if rows else {}


def _pictures(months: list[MonthCount]) -> dict[str, Any]:
    """Bookings by month and status, as a picture; nothing for an empty mirror."""
    if not months:
        return {}
    import pandas as pd  # here, because it would be a fifth of the time that every run takes to start

    frame = pd.DataFrame([(f"{m.month:%Y-%m}", m.status, m.bookings) for m in months], columns=_MONTH_COLUMNS)
    counts = frame.pivot_table(index="month", columns="status", values="bookings", aggfunc="sum", fill_value=0)
    figure, axes = plotter().subplots(figsize=(8, 2.5))
    counts.tail(_MONTHS_SHOWN).plot.bar(stacked=True, width=0.9, ax=axes, xlabel="", ylabel="bookings", fontsize=6)
    return {"bookings by month of their start": picture(figure)}
