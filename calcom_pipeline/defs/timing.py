"""What schedules and sensors of all rooms have in common."""

import dagster as dg

from calcom_pipeline.defs.account import Account

CAUSES_NAMED = 20  # a tag is read by people; the feed holds all of them
_LONGEST_TAG = 250  # Dagster keeps no longer ones


def running(account: Account, name: str, *, job: str, cron: str, why: str) -> dg.ScheduleDefinition:
    """A schedule of an account's job that runs out of the box, unless CALCOM_SCHEDULES is off; `cron` is in UTC."""
    runs = account.at_load.schedules
    return dg.ScheduleDefinition(
        name=account.named(name),
        job_name=account.named(job),
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED,
        description=why,
    )


def sensor_status(account: Account) -> dg.DefaultSensorStatus:
    """Whether an account's sensors look as soon as they are loaded (CALCOM_SENSORS)."""
    return dg.DefaultSensorStatus.RUNNING if account.at_load.sensors else dg.DefaultSensorStatus.STOPPED


def requested(key: str, cause: str) -> dg.RunRequest:
    """A run that tells people what it was started for; one of the same key is started once."""
    return dg.RunRequest(run_key=key, tags={"calcom/cause": cause[:_LONGEST_TAG]})
