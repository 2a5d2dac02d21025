"""What schedules and sensors of all rooms have in common."""

import dagster as dg

from calcom_pipeline.defs.account import Account

CAUSES_NAMED = 20  # a tag is read by people; the feed holds all of them
_LONGEST_TAG = 250  # Dagster keeps no longer ones


def running(account: Account, name: str, *, job: str, cron: str, why: str) -> dg.ScheduleDefinition:
    """A schedule of an account's job that runs out of the box; `cron` is read in UTC."""
    return dg.ScheduleDefinition(
        name=account.named(name),
        job_name=account.named(job),
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=why,
    )


def requested(key: str, cause: str) -> dg.RunRequest:
    """A run that tells people what it was started for; one of the same key is started once."""
    return dg.RunRequest(run_key=key, tags={"calcom/cause": cause[:_LONGEST_TAG]})
