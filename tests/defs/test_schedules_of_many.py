"""Schedules where there are many accounts: fewer turns, but each has some, and says why not at the others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.location import of_account
from calcom_pipeline.defs.timing import RUNS_PER_HOUR, is_nightly

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ACCOUNTS = 60
APART = 11  # 60 accounts of 41 runs an hour, 240 of which may be


def schedules(accounts: int) -> list[dg.ScheduleDefinition]:
    definitions = of_account(replace(Account.from_environment(), accounts=accounts), with_dagster=False)
    return [each for each in definitions.schedules or () if isinstance(each, dg.ScheduleDefinition)]


def minutes_of(schedule: dg.ScheduleDefinition) -> list[int]:
    return [int(minute) for minute in str(schedule.cron_schedule).split(" ")[0].split(",")]


def skips(schedule: dg.ScheduleDefinition, moments: list[datetime]) -> list[str]:
    """Why it started nothing, at those moments at which it did not."""
    found: list[str] = []
    for at in moments:
        tick = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at))
        if not tick.run_requests:
            found.append(str(tick.skip_message))
    return found


def test_an_account_starts_so_many_runs_an_hour(container: Container):
    hourly = [each for each in schedules(1) if not is_nightly(str(each.cron_schedule))]
    assert sum(len(minutes_of(each)) for each in hourly) == RUNS_PER_HOUR


def test_of_many_accounts_each_schedule_takes_its_turns_and_says_why_not_the_others(
    container: Container, monkeypatch: pytest.MonkeyPatch
):
    """Also where the account is too large for its share of the limit: two reasons together leave some turns."""
    monkeypatch.setenv("CALCOM_RATE_LIMIT_PER_MINUTE", "10")
    monkeypatch.setenv("CALCOM_RATE_BURST_REQUESTS", "1")
    monkeypatch.setenv("CALCOM_RATE_STANDING_SHARE", "0.1")
    for schedule in schedules(ACCOUNTS):
        if is_nightly(str(schedule.cron_schedule)):
            assert skips(schedule, [NOW.replace(hour=3)]) == []
            continue
        minutes = minutes_of(schedule)
        moments = [
            NOW + timedelta(hours=n // len(minutes), minutes=minutes[n % len(minutes)]) for n in range(5 * APART)
        ]
        why = skips(schedule, moments)
        assert 1 <= len(moments) - len(why) <= 5, schedule.name
        assert all("SCHEDULED_RUNS_PER_HOUR" in each or "instead of" in each for each in why)
