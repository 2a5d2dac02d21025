"""How old the cache was is kept by hour: the worst of each, for a month."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.reports.cache_ages import PostgresCacheAges
from calcom_pipeline.adapters.postgres.reports.report import PostgresReportReads
from calcom_pipeline.app.reports.caches import look_at_ages
from calcom_pipeline.app.reports.models import HourOfCache
from calcom_pipeline.domain.availability.models import CachedDay, SlotDay, SlotKey

NOW = datetime(2026, 12, 1, 8, 20, tzinfo=UTC)
HOUR = NOW.replace(minute=0)


@dataclass
class FakeDays:
    """Days in a cache, each with its age and whether it is fresh."""

    ages: Mapping[SlotKey, tuple[float, bool]] = field(default_factory=dict)

    def read(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, CachedDay]:
        return {
            key: CachedDay(SlotDay(key, (), NOW - timedelta(seconds=age)), -1.0 if fresh else 1.0)
            for key in keys
            if (found := self.ages.get(key)) is not None
            for age, fresh in [found]
        }


@pytest.fixture
def keys(database: Database) -> list[SlotKey]:
    """Four days that are mirrored, the first of them over."""
    days = [date(2026, 11, 30) + timedelta(days=n) for n in range(4)]
    with database.transaction("Testing") as cursor:
        cursor.executemany(
            "INSERT INTO slots (event_type_id, duration_minutes, zone, day, starts, fetched_at) "
            "VALUES (7, 30, 'UTC', %s, '{}', %s)",
            [(day, NOW) for day in days],
        )
    return [SlotKey(7, 30, "UTC", day) for day in days]


def test_a_look_says_how_old_a_sample_is_and_leaves_out_what_is_over(database: Database, keys: list[SlotKey]):
    cache = FakeDays({keys[0]: (9000, False), keys[1]: (10, True), keys[2]: (400, False)})
    found = look_at_ages(PostgresCacheAges(database), cache, now=NOW)
    assert found is not None
    assert (found.sampled, found.fresh, found.median_seconds, found.oldest_seconds) == (3, 1, 205, 400)


def test_of_an_hour_the_worst_look_stands(database: Database, keys: list[SlotKey]):
    records = PostgresCacheAges(database)
    for age, at in ((10, NOW), (300, NOW + timedelta(minutes=10)), (20, NOW + timedelta(minutes=20))):
        cache = FakeDays(dict.fromkeys(keys[1:], (age - (at - NOW).total_seconds(), age < 300)))
        look_at_ages(records, cache, now=at)
    kept = PostgresReportReads(database).cache_ages(since=NOW - timedelta(days=60))
    assert kept == [HourOfCache(HOUR, 300, 300, 0.0)]


def test_of_an_empty_cache_nothing_is_kept(database: Database, keys: list[SlotKey]):
    assert look_at_ages(PostgresCacheAges(database), FakeDays(), now=NOW) is None
    assert PostgresReportReads(database).cache_ages(since=NOW - timedelta(days=60)) == []
