"""The mirror of event types. Bookings have a file of their own."""

from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.event_types.mirror import EventTypesReport, pull_event_types
from calcom_pipeline.app.event_types.ports import EventTypeMirror
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.columns import shared_lineage
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.freshness import EVENT_TYPES
from calcom_pipeline.defs.metadata import Meter, change_metadata
from calcom_pipeline.defs.mirrored import mirrored
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over

Calcom = dg.ResourceParam[CalcomClient]


def event_types(
    context: dg.AssetExecutionContext,
    calcom: Calcom,
    event_type_mirror: dg.ResourceParam[EventTypeMirror],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What can be booked at Cal.com now: one row per event type of the key's user and its teams.

    An event type that is listed no more is kept until it is proven gone.
    """
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
    hand_over(report, meter.spent())
    return dg.MaterializeResult(
        metadata={
            "summary": _summary(report),
            **({"to know": "\n".join(report.notes)} if report.notes else {}),
            "dagster/row_count": report.event_types,
            "owners": report.owners,
            "event types missing and kept": report.missing,
            "rows quarantined": report.quarantined,
            "event types listed twice": report.repeated,
            **change_metadata(report.changes),
            **meter.metadata(),
        }
    )


def _summary(report: EventTypesReport) -> str:
    changes = report.changes
    summary = (
        f"{report.event_types} event types of {report.owners} owners; {changes.added} new, {changes.changed} changed"
    )
    return f"{summary}, {changes.gone} gone." + (f" {report.missing} are missing and kept." if report.missing else "")


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The mirror of an account."""
    after = ("service_sync", "cal_com")  # so that one run of the loop sees its own work
    return [mirrored(account, event_types, freshness=EVENT_TYPES, after=after, lineage=shared_lineage())]
