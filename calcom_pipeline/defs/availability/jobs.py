"""What runs slots, and when. Calls: about 70 a refresh."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.availability.invalidation import cache_invalidation
from calcom_pipeline.defs.availability.warming import slots_warming
from calcom_pipeline.defs.timing import running


def jobs(account: Account) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    """Slots anew, and cached days that are outdated."""
    return [
        dg.define_asset_job(
            account.named("slots_refresh"),
            selection=account.selection("event_types", "slots"),
            description="Event types and their free starts.",
        ),
        cache_invalidation(account),
        slots_warming(account),
    ]


def schedules(account: Account) -> list[dg.ScheduleDefinition]:
    """Run out of the box."""
    return [
        running(
            account,
            "slots_every_30_minutes",
            job="slots_refresh",
            cron="7,37 * * * *",
            work="slots",
            why="One call per event type and length.",
        ),
        running(
            account,
            "slots_warming_every_5_minutes",
            job="slots_warming",
            cron="2-59/5 * * * *",
            why="A call per event type and length that is not fresh, at most CALCOM_SLOT_WARM_SHARE of the limit.",
        ),
    ]
