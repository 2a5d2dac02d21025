"""What runs bookings, and when. Calls: 2 a read of changes."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.app.bookings.mirror import Mode
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.bookings.assets import BookingsConfig
from calcom_pipeline.defs.timing import running


def jobs(account: Account) -> list[UnresolvedAssetJobDefinition]:
    """One a kind of read, and the history."""
    mirror = account.selection("bookings")

    def how_much(mode: Mode) -> dg.ConfigMapping:
        """Whatever else a run is given stands beside it. A plain default costs 4 ms of a location's start per job."""
        op = account.key("bookings").to_python_identifier()
        default = dg.RunConfig(ops={op: BookingsConfig(mode=mode)}).to_config_dict()

        def completed(given: Mapping[str, Any]) -> Mapping[str, Any]:
            return {**default, **given}

        return dg.ConfigMapping(config_fn=completed, config_schema=dg.Permissive())

    return [
        dg.define_asset_job(
            account.named("bookings_mirror"),
            selection=mirror,
            description="Bookings that changed since the last read.",
        ),
        dg.define_asset_job(
            account.named("bookings_reread"),
            selection=mirror,
            config=how_much("reread"),
            description="Bookings around now once more: seats, absences and deletions move no timestamp.",
        ),
        dg.define_asset_job(
            account.named("bookings_full_read"),
            selection=mirror,
            config=how_much("full"),
            description="All bookings anew: finds every deletion, and whatever no timestamp announces.",
        ),
        dg.define_asset_job(
            account.named("bookings_backfill"),
            selection=account.selection("bookings_history"),
            description="The history of bookings by month of creation; launch a backfill over its partitions.",
        ),
    ]


def schedules(account: Account) -> list[dg.ScheduleDefinition]:
    """Run out of the box."""
    return [
        running(
            account,
            "bookings_every_5_minutes",
            job="bookings_mirror",
            cron="*/5 * * * *",
            work="bookings",
            why="Two calls while nothing changes; webhooks and sensors are faster, this one misses nothing.",
        ),
        running(
            account,
            "bookings_reread_hourly",
            job="bookings_reread",
            cron="22 * * * *",
            why="A call per 250 bookings around now; finds what moves no timestamp.",
        ),
        running(
            account,
            "bookings_full_read_weekly",
            job="bookings_full_read",
            cron="41 3 * * 0",
            why="A call per 250 bookings, behind everything else; finds every deletion.",
        ),
    ]
