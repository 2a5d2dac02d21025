"""What schedules and sensors of all rooms have in common."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import dagster as dg

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.kept_open import look_container

#: Runs that the schedules of an account start by themselves, those of nights left out.
RUNS_PER_HOUR = 41
CAUSES_NAMED = 20  # a tag is read by people; the feed holds all of them
_UNHURRIED = 2  # times as far apart
_MINUTES = 60  # of an hour
_DAY_HOURS = 24
_LONGEST_TAG = 250  # Dagster keeps no longer ones


def least_distance(seconds: int) -> int:
    """Between two ticks of a sensor that is to look every so many seconds, as Dagster wants it said.

    Dagster's daemon goes through its sensors every 5 s, and passes by what is a moment too early: of a distance of just
    5 s it would miss every other turn.
    """
    return max(1, seconds - 1)


def look_distance(account: Account, seconds: int, *, unhurried: bool = False) -> int:
    """The same for a sensor of an account: where there are many, each of them is looked at less often.

    `unhurried`: nobody waits for what it finds, so it comes half as often as others there.

    A tick costs some 30 ms of CPU wherever it finds nothing; `CALCOM_LOOK_SECONDS_PER_ACCOUNT` bounds what all cost.
    """
    apart = account.accounts * account.at_load.look_seconds_per_account
    return least_distance(max(seconds, math.ceil(apart * _UNHURRIED if unhurried else apart)))


def running(
    account: Account, name: str, *, job: str, cron: str, why: str, work: str | None = None
) -> dg.ScheduleDefinition:
    """A schedule of an account's job that runs out of the box, unless CALCOM_SCHEDULES is off; `cron` is in UTC.

    Its minutes are shifted by the account's own number, so that accounts and installations do not ask in step. `work`
    is its name among what asks Cal.com by itself: it comes less often where that would be too much. Of many accounts
    each comes less often: see `turns_apart`.
    """
    runs, shifted_cron = account.at_load.schedules, shifted(cron, account.shift_minutes)
    apart = 1 if is_nightly(shifted_cron) else turns_apart(account)
    cron_line = shifted_cron if apart == 1 else thinned(shifted_cron, apart, first=account.shift_minutes)
    common: dict[str, Any] = {
        "name": account.named(name),
        "job_name": account.named(job),
        "cron_schedule": cron_line,
        "default_status": dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED,
        "description": why,
    }
    if work is None:
        return dg.ScheduleDefinition(**common)

    def unless_too_much(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time
        with look_container(account.settings()) as container:
            standing = container.maintenance.standing_calls
            wait = standing.not_yet(work, at) if apart == 1 else standing.not_this(work, turn_of(cron_line, at), apart)
        return dg.SkipReason(wait) if wait else dg.RunRequest()

    return dg.ScheduleDefinition(**common, execution_fn=unless_too_much)


def turns_apart(account: Account) -> int:
    """How many turns apart two runs of one of its schedules are: where there are many accounts, more than one.

    A run costs a second of CPU even if it finds nothing, more where it is not forked (`code_server`).
    """
    wanted = account.accounts * RUNS_PER_HOUR
    return max(1, math.ceil(wanted / account.at_load.scheduled_runs_per_hour))


def thinned(cron: str, apart: int, *, first: int) -> str:
    """A schedule of every hour, at every so many of its turns at most: some of its minutes, or one in some hours.

    It comes once a day at least. `first` moves its turns, so that accounts do not come together.
    """
    own = _minutes_of(cron)
    if apart <= len(own):
        return f"{_listed(own[first % apart :: apart][: len(own) // apart])} * * * *"
    hours_apart = min(math.ceil(apart / len(own)), _DAY_HOURS)
    first_hour = first // len(own) % hours_apart
    hours = range(first_hour, _DAY_HOURS, hours_apart)[: _DAY_HOURS // hours_apart]
    return f"{own[first % len(own)]} {_listed(hours)} * * *"


def is_nightly(cron: str) -> bool:
    """Whether a schedule comes once a day, or less often."""
    return cron.split(" ")[1] != "*"


def turn_of(cron: str, at: datetime) -> int:
    """The number of a turn of a schedule that comes every day, one more than that of the turn before."""
    minutes, field = _minutes_of(cron), cron.split(" ")[1]
    hours = list(range(_DAY_HOURS)) if field == "*" else [int(hour) for hour in field.split(",")]
    before = sum(hour < at.hour for hour in hours) * len(minutes)
    return at.toordinal() * len(hours) * len(minutes) + before + sum(minute < at.minute for minute in minutes)


def _minutes_of(cron: str) -> list[int]:
    return [int(minute) for minute in cron.split(" ", maxsplit=1)[0].split(",")]


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def shifted(cron: str, minutes: int) -> str:
    """The same schedule later within its hour: its first field is minutes, of the forms 7, 7,37, */5 and 3-59/15."""
    field, rest = cron.split(" ", maxsplit=1)
    found = set[int]()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-59" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return f"{_listed(sorted((minute + minutes) % _MINUTES for minute in found))} {rest}"


def sensor_status(account: Account) -> dg.DefaultSensorStatus:
    """Whether an account's sensors look as soon as they are loaded (CALCOM_SENSORS)."""
    return dg.DefaultSensorStatus.RUNNING if account.at_load.sensors else dg.DefaultSensorStatus.STOPPED


def requested(key: str, cause: str) -> dg.RunRequest:
    """A run that tells people what it was started for; one of the same key is started once."""
    return dg.RunRequest(run_key=key, tags={"calcom/cause": cause[:_LONGEST_TAG]})
