"""What schedules and sensors of all rooms have in common."""

import math
from typing import Any

import dagster as dg

from calcom_pipeline.bootstrap.container import ready_container
from calcom_pipeline.defs.account import Account

CAUSES_NAMED = 20  # a tag is read by people; the feed holds all of them
_MINUTES = 60  # of an hour
_LONGEST_TAG = 250  # Dagster keeps no longer ones


def least_distance(seconds: int) -> int:
    """Between two ticks of a sensor that is to look every so many seconds, as Dagster wants it said.

    Dagster's daemon goes through its sensors every 5 s, and passes by what is a moment too early: of a distance of just
    5 s it would miss every other turn.
    """
    return max(1, seconds - 1)


def look_distance(account: Account, seconds: int) -> int:
    """The same for a sensor of an account: where there are many, each of them is looked at less often.

    A tick costs some 40 ms of CPU wherever it finds nothing; `CALCOM_LOOK_SECONDS_PER_ACCOUNT` bounds what all cost.
    """
    return least_distance(max(seconds, math.ceil(account.accounts * account.at_load.look_seconds_per_account)))


def running(
    account: Account, name: str, *, job: str, cron: str, why: str, work: str | None = None
) -> dg.ScheduleDefinition:
    """A schedule of an account's job that runs out of the box, unless CALCOM_SCHEDULES is off; `cron` is in UTC.

    Its minutes are shifted by the account's own number, so that accounts and installations do not ask in step. `work`
    is its name among what asks Cal.com by itself: it comes less often where that would be too much.
    """
    runs = account.at_load.schedules
    common: dict[str, Any] = {
        "name": account.named(name),
        "job_name": account.named(job),
        "cron_schedule": shifted(cron, account.shift_minutes),
        "default_status": dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED,
        "description": why,
    }
    if work is None:
        return dg.ScheduleDefinition(**common)

    def in_turn(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with ready_container(account.settings()) as container:
            wait = container.maintenance.standing_calls.not_yet(work, context.scheduled_execution_time)
        return dg.SkipReason(wait) if wait else dg.RunRequest()

    return dg.ScheduleDefinition(**common, execution_fn=in_turn)


def shifted(cron: str, minutes: int) -> str:
    """The same schedule later within its hour: its first field is minutes, of the forms 7, 7,37, */5 and 3-59/15."""
    field, rest = cron.split(" ", maxsplit=1)
    found = set[int]()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-59" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return ",".join(map(str, sorted((minute + minutes) % _MINUTES for minute in found))) + f" {rest}"


def sensor_status(account: Account) -> dg.DefaultSensorStatus:
    """Whether an account's sensors look as soon as they are loaded (CALCOM_SENSORS)."""
    return dg.DefaultSensorStatus.RUNNING if account.at_load.sensors else dg.DefaultSensorStatus.STOPPED


def requested(key: str, cause: str) -> dg.RunRequest:
    """A run that tells people what it was started for; one of the same key is started once."""
    return dg.RunRequest(run_key=key, tags={"calcom/cause": cause[:_LONGEST_TAG]})
