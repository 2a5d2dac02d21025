"""Dealing with deliveries of webhooks as an op, in a job of its own: their bookings are read again."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from dataclasses import asdict

import dagster as dg

from calcom_pipeline.app.webhooks.drain import drain
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.maintenance.leases import leased


@dg.op(out=dg.Out(int, description="Deliveries that are dealt with."))
def drain_webhook_inbox(context: dg.OpExecutionContext, container: dg.ResourceParam[Container]) -> int:
    """Deliveries that are due; one that waits for Cal.com stays open."""
    group = container.deliveries
    with dagster_failures("Dealing with deliveries"):
        report = drain(
            container.calcom.in_lane("sync"),
            container.bookings.mirror,
            group.inbox,
            group.spool,
            now=utc_now,
            rules=group.drain_rules,
        )
    context.add_output_metadata({name.replace("_", " "): value for name, value in asdict(report).items()})
    return report.settled


@dg.job(
    description="Bookings that deliveries of webhooks name are read again and mirrored.",
    executor_def=leased(dg.in_process_executor),
)
def webhooks_drain() -> None:
    """One op."""
    drain_webhook_inbox()
