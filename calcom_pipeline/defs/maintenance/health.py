"""What is wrong now: all checks, and a look at what stands outside, apart from everything that reads or writes.

A check behind a read that fails is not run in that read's own job; here nothing stands before it.
"""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.timing import running

_CHECKED = ("service_plan", "service_sync", "event_types", "bookings", "slots", "webhooks", "cal_com")
_LOOKED_AT = ("services_table", "cal_com", "redis")


def jobs(account: Account) -> list[UnresolvedAssetJobDefinition]:
    """All checks of an account alone, and the same with the look outside."""
    checks = dg.AssetSelection.checks_for_assets(*(account.key(name) for name in _CHECKED))
    return [
        dg.define_asset_job(
            account.named("health"),
            selection=checks | account.selection(*_LOOKED_AT),
            description="What is wrong now: all checks alone, and a look at the services table, Cal.com's limit and "
            "Redis. Reads and writes nothing else, so it works while they fail. About 6 calls.",
        )
    ]


def schedules(account: Account) -> list[dg.ScheduleDefinition]:
    """Runs out of the box."""
    return [
        running(
            account,
            "health_every_10_minutes",
            job="health",
            cron="8-59/10 * * * *",  # between the reads, so that it looks at what they left
            why="All checks, also of what could not be read; about 6 calls.",
            work="health",
        )
    ]
