"""What runs about webhooks, and when."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.timing import running
from calcom_pipeline.defs.webhooks.inbox import webhooks_drain


def jobs(account: Account) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    """Subscriptions put right, and deliveries that are dealt with."""
    return [
        dg.define_asset_job(
            account.named("webhook_subscriptions"),
            selection=account.selection("webhooks"),
            description="One webhook subscription per scope, put right.",
        ),
        webhooks_drain(account),
    ]


def schedules(account: Account) -> list[dg.ScheduleDefinition]:
    """Runs out of the box; without CALCOM_WEBHOOK_URL it does nothing."""
    return [
        running(
            account,
            "webhooks_every_15_minutes",
            job="webhook_subscriptions",
            cron="11-59/15 * * * *",
            work="subscriptions",
            why="A call per subscription, CALCOM_WEBHOOK_SCOPES at most; none without CALCOM_WEBHOOK_URL.",
        ),
    ]
