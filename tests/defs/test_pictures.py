"""Pictures in the metadata: what they are drawn from, and that they are pictures."""

import base64
from datetime import UTC, datetime, timedelta

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.adapters.postgres.overview import CallsOfMinute, PostgresOverview
from calcom_pipeline.defs.metadata import LIMITER_PICTURE, limiter_use

NOW = datetime(2026, 11, 25, 10, 30, 20, tzinfo=UTC)
PNG = b"\x89PNG"


def test_the_calls_of_a_minute_are_counted_by_lane_from_the_rows_of_the_calls(database: Database):
    with database.transaction("Testing") as cursor:
        for seconds_ago, lane in [(10, "sync"), (15, "sync"), (15, "warm"), (90, "sync"), (4000, "sync")]:
            cursor.execute(
                "INSERT INTO api_calls VALUES (%s, 'Reading', 'slots', 'GET', 200, 'ok', 5, 0, 1, %s, NULL)",
                (NOW - timedelta(seconds=seconds_ago), lane),
            )
    found = PostgresOverview(database).calls_by_minute(since=NOW - LIMITER_PICTURE)
    minute = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
    assert found == [
        CallsOfMinute(minute - timedelta(minutes=2), "sync", 1),
        CallsOfMinute(minute, "sync", 2),
        CallsOfMinute(minute, "warm", 1),
    ]


def test_the_use_of_the_limit_is_a_picture_and_without_calls_there_is_none():
    assert limiter_use([], limit=120, now=NOW) == {}
    minute = NOW.replace(second=0)
    (drawn,) = limiter_use(
        [CallsOfMinute(minute, "sync", 80), CallsOfMinute(minute, "warm", 30)], limit=120, now=NOW
    ).values()
    text = drawn.md_str or ""
    assert base64.b64decode(text.partition("base64,")[2].rstrip(")")).startswith(PNG)
