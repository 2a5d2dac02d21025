"""What comes by itself fits its share of the limit, for accounts of every size; where it would not, it is stretched."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.timing import least_distance, look_distance, shifted, thinned, turn_of, turns_apart
from calcom_pipeline.domain.maintenance.standing_calls import standing_calls
from calcom_pipeline.settings import Settings
from tests.support.standing import REAL, SANDBOX, SHARE, account, rules

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("looks", [REAL, SANDBOX], ids=["real account", "sandbox"])
@pytest.mark.parametrize("event_types", [0, 10, 100, 1_000, 10_000])
def test_all_schedules_sensors_and_warming_fit_half_the_limit(event_types: int, looks: tuple[float, float]):
    found = standing_calls(account(event_types), rules(looks))
    told = {work.name: (round(work.per_minute, 1), work.factor) for work in found.works}
    print(f"{event_types}: {found.per_minute:.1f} a minute, warming {found.warm_calls} a time, {told}")
    assert found.per_minute <= SHARE * 120
    assert found.warm_calls > 0
    assert all(work.factor == 1 for work in found.works if work.name != "slots"), "looks come first"


@pytest.mark.parametrize(("event_types", "minutes"), [(10, 30), (100, 30), (1_000, 90), (10_000, 600)])
def test_reading_all_free_times_is_stretched_as_far_as_it_has_to_be(event_types: int, minutes: int):
    found = standing_calls(account(event_types), rules(SANDBOX))
    slots = found.work("slots")
    assert slots.minutes * slots.factor == pytest.approx(minutes, rel=0.35)
    assert bool(found.stretched) == (minutes > 30)


@pytest.mark.parametrize("limit", [5, 20, 60, 120, 600])
@pytest.mark.parametrize("teams", [0, 3, 50, 500])
def test_no_account_is_too_large_and_no_limit_too_small(limit: int, teams: int):
    found = standing_calls(account(1_000, teams=teams), rules(SANDBOX, limit=limit))
    assert found.per_minute <= SHARE * limit + 0.01


def test_what_is_stretched_says_so_and_comes_each_so_many_times():
    found = standing_calls(account(1_000), rules())
    slots = found.work("slots")
    times = [NOW + n * timedelta(minutes=30) for n in range(4 * slots.factor)]
    due = [found.not_yet("slots", at) is None for at in times]
    assert due.count(True) == 4
    turns = [number for number, is_due in enumerate(due) if is_due]
    assert {b - a for a, b in pairwise(turns)} == {slots.factor}
    (why,) = [found.why(work) for work in found.stretched]
    assert f"every {30 * slots.factor} minutes instead of 30, since 1000 event types of 4 owners" in why


@pytest.mark.parametrize(
    ("cron", "minutes", "shifted_to"),
    [
        ("*/5 * * * *", 7, ",".join(str(m) for m in range(2, 60, 5)) + " * * * *"),
        ("3-59/15 * * * *", 0, "3,18,33,48 * * * *"),
        ("7,37 * * * *", 30, "7,37 * * * *"),
        ("7,37 * * * *", 5, "12,42 * * * *"),
        ("52 2 * * *", 20, "12 2 * * *"),
        ("41 3 * * 0", 19, "0 3 * * 0"),
    ],
)
def test_a_schedule_is_shifted_within_its_hour(cron: str, minutes: int, shifted_to: str):
    assert shifted(cron, minutes) == shifted_to


@pytest.mark.parametrize(("seconds", "said"), [(1, 1), (2, 1), (5, 4), (30, 29), (3600, 3599)])
def test_a_sensor_is_due_whenever_the_daemon_comes_by_after_its_seconds(seconds: int, said: int):
    """Which is every 5 s, and a moment early as often as late."""
    assert least_distance(seconds) == said


@pytest.mark.parametrize(
    ("accounts", "per_account", "seconds", "said"),
    [(1, 1.2, 5, 4), (4, 1.2, 5, 4), (10, 1.2, 5, 11), (100, 1.2, 5, 119), (100, 1.2, 300, 299), (100, 0, 5, 4)],
)
def test_an_account_is_looked_at_less_often_the_more_there_are(
    accounts: int, per_account: float, seconds: int, said: int
):
    """Unless its wish is longer anyway."""
    one_of_them = Account.further(Settings(look_seconds_per_account=per_account))
    assert look_distance(replace(one_of_them, accounts=accounts), seconds) == said


@pytest.mark.parametrize(("accounts", "seconds", "said"), [(1, 30, 29), (10, 30, 35), (10, 60, 59), (100, 30, 359)])
def test_a_sensor_that_nobody_waits_for_looks_half_as_often_where_there_are_many(
    accounts: int, seconds: int, said: int
):
    one_of_them = Account.further(Settings())
    assert look_distance(replace(one_of_them, accounts=accounts), seconds, unhurried=True) == said


@pytest.mark.parametrize(
    ("accounts", "most", "apart"), [(1, 240, 1), (5, 240, 1), (6, 240, 2), (100, 240, 18), (100, 10_000, 1), (1, 10, 5)]
)
def test_schedules_of_many_accounts_take_fewer_turns(accounts: int, most: int, apart: int):
    one_of_them = Account.further(Settings(scheduled_runs_per_hour=most))
    assert turns_apart(replace(one_of_them, accounts=accounts)) == apart


@pytest.mark.parametrize(
    ("cron", "apart", "first", "thinned_to"),
    [
        ("22 * * * *", 2, 1, "22 1,3,5,7,9,11,13,15,17,19,21,23 * * *"),
        ("22 * * * *", 18, 5, "22 5 * * *"),
        ("22 * * * *", 100, 30, "22 6 * * *"),
        ("7,37 * * * *", 2, 1, "37 * * * *"),
        ("7,37 * * * *", 18, 1, "37 0,9 * * *"),
        ("3,18,33,48 * * * *", 3, 0, "3 * * * *"),
        ("0,10,20,30,40,50 * * * *", 2, 1, "10,30,50 * * * *"),
        ("0,10,20,30,40,50 * * * *", 18, 8, "20 1,4,7,10,13,16,19,22 * * *"),
    ],
)
def test_a_schedule_of_one_of_many_comes_less_often(cron: str, apart: int, first: int, thinned_to: str):
    assert thinned(cron, apart, first=first) == thinned_to


MINUTES = st.sets(st.integers(0, 59), min_size=1).map(lambda own: ",".join(map(str, sorted(own))))


def turns_a_day(cron: str) -> int:
    minutes, hours = cron.split(" ")[:2]
    return len(minutes.split(",")) * (24 if hours == "*" else len(hours.split(",")))


@given(MINUTES, st.integers(1, 2000), st.integers(0, 59))
def test_it_comes_no_more_often_than_asked_and_once_a_day(minutes: str, apart: int, first: int):
    cron = f"{minutes} * * * *"
    assert 1 <= turns_a_day(thinned(cron, apart, first=first)) <= max(1, turns_a_day(cron) / apart)


@pytest.mark.parametrize("cron", ["7 * * * *", "2,7,12 * * * *", "0,59 * * * *", "37 0,9 * * *", "5,20 3,23 * * *"])
def test_turns_of_a_schedule_are_numbered_one_after_the_other(cron: str):
    own, hours = ({int(part) for part in field.split(",") if part != "*"} for field in cron.split(" ")[:2])
    minutes = [NOW + timedelta(minutes=n) for n in range(3 * 24 * 60)]
    turns = [turn_of(cron, at) for at in minutes if at.minute in own and (not hours or at.hour in hours)]
    assert [after - before for before, after in pairwise(turns)] == [1] * (len(turns) - 1)
