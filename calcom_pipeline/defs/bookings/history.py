"""The history of bookings by month of creation, into the same table as `bookings`."""

import warnings
from typing import Any

import dagster as dg
from pydantic import Field

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.bookings.backfill import backfill, forecast_backfill
from calcom_pipeline.app.bookings.history import BackfillPlan, BackfillReport
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.bookings.assets import OF_EVENT_TYPES
from calcom_pipeline.defs.bookings.metadata import stored_metadata, unknown_fields
from calcom_pipeline.defs.columns import column_lineage, column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.markdown import table
from calcom_pipeline.defs.metadata import Meter
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over
from calcom_pipeline.domain.bookings.positions import Month
from calcom_pipeline.domain.errors import TransientError

# A year a run: what fails is tried again for that year alone, and a run is long enough to be worth its start.
_MONTHS_PER_RUN = 12
_A_YEAR_A_RUN = dg.BackfillPolicy.multi_run(max_partitions_per_run=_MONTHS_PER_RUN)


class HistoryConfig(dg.Config):
    """Which months are read."""

    again: bool = Field(default=False, description="Read months that are done once more.")


def bookings_history(
    context: dg.AssetExecutionContext,
    config: HistoryConfig,
    calcom: dg.ResourceParam[CalcomClient],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What was booked in past months, by month of creation, into the same table as `bookings`.

    Launch a backfill over the months that you want (job `bookings_backfill`); what was read before is left out.
    """
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
    hand_over(report, meter.spent())
    return dg.MaterializeResult(metadata={**_metadata(plan, report), **meter.metadata()})


def _metadata(plan: BackfillPlan, report: BackfillReport) -> dict[str, Any]:
    total = report.total
    read = [(m.month, m.read, m.stored.changes.added) for m in report.months]
    return {
        "summary": f"{len(read)} months read: {total.read} rows, {total.stored.changes.added} new.",
        **({"by month": table(("month", "rows read", "new"), read)} if read else {}),
        "rows read": total.read,
        "pages read": total.pages,
        "rows quarantined": total.quarantined,
        "months read before": len(plan.done),
        "months before the first booking": len(plan.empty),
        "forecast": str(plan.cost),
        **stored_metadata(total.stored, report.proven),
        **unknown_fields(total.unknown_fields),
    }


def months(account: Account) -> dg.MonthlyPartitionsDefinition:
    """The months that can be read, the running one included."""
    return dg.MonthlyPartitionsDefinition(start_date=f"{account.at_load.backfill_from}-01", end_offset=1)


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The history of an account."""
    # Backfill policies are beta in the release we pin; the warning would stand above every command's output.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        history = dg.asset(
            key_prefix=account.key_prefix,
            group_name="calcom",
            kinds={"calcom", "postgres"},
            owners=OWNERS,
            tags={"account": account.name, "made": "from_cal_com"},
            pool=account.pool,
            deps=[account.key("event_types"), account.key("cal_com")],
            partitions_def=months(account),
            backfill_policy=_A_YEAR_A_RUN,
            metadata={
                **column_schema("bookings"),
                **column_lineage(account.key, OF_EVENT_TYPES),
                "table": "bookings",
            },
        )
        return [history(account.given_to(bookings_history))]
