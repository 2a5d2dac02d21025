"""Dealing with deliveries of webhooks as an op, in a job of its own: their bookings are read again."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from dataclasses import asdict

import dagster as dg

from calcom_pipeline.app.webhooks.drain import drain
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.kept_open import look_container
from calcom_pipeline.defs.maintenance.leases import leased
from calcom_pipeline.defs.timing import look_distance, requested, sensor_status
from calcom_pipeline.domain.text import counted


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


def webhooks_drain(account: Account) -> dg.JobDefinition:
    """One op of an account."""
    drained = dg.op(
        name=account.named("drain_webhook_inbox"), out=dg.Out(int, description="Deliveries that are dealt with.")
    )(account.given_to(drain_webhook_inbox))

    @dg.job(
        name=account.named("webhooks_drain"),
        description="Bookings that deliveries of webhooks name are read again and mirrored.",
        executor_def=leased(dg.in_process_executor),
    )
    def job() -> None:
        drained()

    return job


def webhook_inbox(account: Account) -> dg.SensorDefinition:
    """Looks for deliveries of an account that nobody deals with."""

    @dg.sensor(
        name=account.named("webhook_inbox"),
        job_name=account.named("webhooks_drain"),
        minimum_interval_seconds=look_distance(account, account.at_load.look_seconds),
        default_status=sensor_status(account),
        description="Deliveries of webhooks whose bookings nobody has read again yet.",
    )
    def look() -> dg.RunRequest | dg.SkipReason:
        """The key changes whenever one comes in or was tried. Once a minute anyway: a run may die before it tries any.

        Where the receiver runs, it deals with them itself within a second, and there is nothing to see here.
        """
        now = utc_now()
        with look_container(account.settings()) as container:
            backlog = container.deliveries.inbox.backlog(now=now)
        if not backlog.open:
            return dg.SkipReason("The inbox of webhooks is empty")
        if not backlog.due:
            return dg.SkipReason(f"Deliveries that are being dealt with, or wait for another attempt: {backlog.open}")
        cause = f"{counted(backlog.due, 'delivery', 'deliveries')} of webhooks"
        return requested(f"webhooks:{backlog.key}:{now:%Y%m%dT%H%M}", cause)

    return look
