"""What runs services, and when."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.timing import running


def jobs(account: Account) -> list[UnresolvedAssetJobDefinition]:
    """Plan and apply, for an account."""
    return [
        dg.define_asset_job(
            account.named("services_sync"),
            selection=account.selection("service_plan", "service_sync"),
            description="Services that differ from their event types are planned and, where that is allowed, written.",
        )
    ]


def schedules(account: Account) -> list[dg.ScheduleDefinition]:
    """Run out of the box."""
    return [
        running(
            account,
            "services_every_15_minutes",
            job="services_sync",
            cron="3-59/15 * * * *",
            work="services",
            why="Finds what changed at Cal.com, and tries again what failed; sensors are faster for own changes.",
        )
    ]
