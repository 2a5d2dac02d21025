"""Schedules where there are many accounts: they come less often, and each comes."""

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


def schedules(accounts: int) -> list[dg.ScheduleDefinition]:
    definitions = of_account(replace(Account.from_environment(), accounts=accounts))
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


def moments_of(schedule: dg.ScheduleDefinition) -> list[datetime]:
    """At which it comes, on one day."""
    hours = str(schedule.cron_schedule).split(" ")[1]
    given = range(24) if hours == "*" else map(int, hours.split(","))
    return [NOW.replace(hour=hour, minute=minute) for hour in given for minute in minutes_of(schedule)]


def by_the_hour(accounts: int) -> list[dg.ScheduleDefinition]:
    """Those of many accounts that would come every hour if there was one."""
    nightly = {each.name for each in schedules(1) if is_nightly(str(each.cron_schedule))}
    return [each for each in schedules(accounts) if each.name not in nightly]


@pytest.mark.parametrize("accounts", [6, 20, ACCOUNTS, 100])
def test_all_of_many_accounts_together_start_so_many_runs_an_hour(container: Container, accounts: int):
    a_day = sum(len(moments_of(each)) for each in by_the_hour(accounts)) * accounts
    assert 0.5 * 240 < a_day / 24 <= 240


def test_each_schedule_of_many_accounts_comes_even_where_the_account_is_too_large_for_its_limit(
    container: Container, monkeypatch: pytest.MonkeyPatch
):
    """Two reasons to come less often leave some turns."""
    monkeypatch.setenv("CALCOM_RATE_LIMIT_PER_MINUTE", "10")
    monkeypatch.setenv("CALCOM_RATE_BURST_REQUESTS", "1")
    monkeypatch.setenv("CALCOM_RATE_STANDING_SHARE", "0.1")
    for schedule in by_the_hour(ACCOUNTS):
        moments = [at + timedelta(days=day) for day in range(5) for at in moments_of(schedule)]
        why = skips(schedule, moments)
        assert len(why) < len(moments), schedule.name
        assert all("instead of" in each for each in why)


def test_nightly_ones_come_however_many_accounts_there_are(container: Container):
    nightly = [each for each in schedules(ACCOUNTS) if each.name not in {one.name for one in by_the_hour(ACCOUNTS)}]
    assert len(nightly) == 2
    assert [skips(each, [NOW.replace(hour=3)]) for each in nightly] == [[], []]
