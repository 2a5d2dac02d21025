"""The mirror of event types. Bookings have a file of their own."""

from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.event_types.mirror import pull_event_types
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.columns import column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import LIMITER_PICTURE, Meter, change_metadata, limiter_use, table
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over

Calcom = dg.ResourceParam[CalcomClient]


def event_types(
    context: dg.AssetExecutionContext,
    calcom: Calcom,
    event_type_mirror: dg.ResourceParam[EventTypeMirror],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What Cal.com offers now: one row per event type, unchanged ones left alone."""
    meter = Meter(calcom)
    with dagster_failures("Reading event types"):
        report = pull_event_types(
            calcom,
            event_type_mirror,
            teams=container.event_types.teams,
            rules=container.event_types.absence_rules,
            now=utc_now,
            progress=progress_of(context),
        )
        now = utc_now()
        calls = container.reports.overview.calls_by_minute(since=now - LIMITER_PICTURE)
    hand_over(report, meter.spent())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": report.event_types,
            "owners": report.owners,
            "missing and kept": report.missing,
            "quarantined": report.quarantined,
            "listed twice": report.repeated,
            **({"to know": table([{"note": note} for note in report.notes])} if report.notes else {}),
            **change_metadata(report.changes),
            **meter.metadata(),
            **limiter_use(calls, container.settings, now=now),
        }
    )


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The mirror of an account."""
    mirror = dg.asset(
        key_prefix=account.key_prefix,
        group_name="calcom",
        kinds={"calcom", "postgres"},
        owners=OWNERS,
        pool=account.pool,
        # Read after services were written, so that one run of the loop sees its own work.
        deps=[account.key("service_sync")],
        metadata=column_schema("event_types"),
    )
    return [mirror(account.given_to(event_types))]
