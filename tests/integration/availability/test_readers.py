"""The published keys and values, read by another language."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import redis

from calcom_pipeline.adapters.redis.availability.days import RedisSlotCache
from calcom_pipeline.app.availability.ports import Standing
from calcom_pipeline.domain.availability.models import BookableType, Slot, SlotDay, SlotKey
from tests.support.free_times import slot_cache

ROOT = Path(__file__).parents[3]
READER = ROOT / "docs" / "readers" / "free-times.mjs"
NODE = shutil.which("node")
TALK = BookableType(7, "Europe/Berlin", 30, (15, 30), minimum_notice_minutes=120)

pytestmark = pytest.mark.skipif(NODE is None, reason="the reader is JavaScript, and Node.js is not installed")


@pytest.fixture
def cache(redis_client: redis.Redis) -> RedisSlotCache:
    return slot_cache(redis_client, prefix="calcom:v1:{shop}:")


@pytest.fixture
def read(redis_url: str) -> Callable[..., Any]:
    address = urlsplit(redis_url)
    database = parse_qs(address.query).get("db", [address.path.strip("/") or "0"])[0]
    where = f"{address.path}#{database}" if address.scheme == "unix" else f"{address.netloc}/{database}"

    def run(*arguments: object) -> Any:
        command = [NODE or "", str(READER), where, "shop", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_the_reader_in_javascript_finds_what_may_be_booked(cache: RedisSlotCache, read: Callable[..., Any]):
    day = datetime.now(ZoneInfo(TALK.zone)).date() + timedelta(days=3)
    noon = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
    seated = (Slot(noon, 0, 3), Slot(noon + timedelta(hours=1), 1, 3), Slot(noon + timedelta(hours=2)))
    days = [SlotDay(key(day), seated, noon), SlotDay(key(day + timedelta(1)), (), noon)]
    assert read(7, day, day) is None, "unknown: ask the pipeline"
    cache.store_type(TALK, standing=Standing())
    cache.store(days, generations={})
    found = read(7, day - timedelta(days=30), day + timedelta(days=2), 30)
    free = [slot.start.isoformat(timespec="milliseconds").replace("+00:00", "Z") for slot in seated[1:]]
    assert found["starts"] == free
    assert found["late"] == []
    assert found["missing"][-1] == (day + timedelta(days=2)).isoformat()
    assert len(found["missing"]) == 3 + 1, "from today on, without the two that are there"


def test_the_reader_applies_notice_and_tells_what_is_past_its_life(
    redis_client: redis.Redis, cache: RedisSlotCache, read: Callable[..., Any]
):
    now = datetime.now(UTC)
    today = now.astimezone(ZoneInfo(TALK.zone)).date()
    cache.store_type(TALK, standing=Standing())
    soon = SlotDay(key(today), (Slot(now + timedelta(minutes=119)), Slot(now + timedelta(minutes=122))), now)
    late = slot_cache(redis_client, prefix="calcom:v1:{shop}:", clock=lambda: now.timestamp() - 400)
    late.store([soon], generations={})
    found = read(7, today, today)
    assert len(found["starts"]) == 1
    assert (found["late"], found["missing"]) == ([today.isoformat()], [])


def key(day: date) -> SlotKey:
    return SlotKey(7, 30, TALK.zone, day)


def test_the_document_shows_a_day_and_an_event_type_as_they_are_stored(
    cache: RedisSlotCache, redis_client: redis.Redis
):
    text = (ROOT / "docs" / "redis-keys.md").read_text()
    shown = [json.loads(block) for block in _blocks(text)]
    cache.store_type(TALK, standing=Standing())
    cache.store([SlotDay(key(date(2026, 12, 1)), (Slot(datetime.now(UTC)),), datetime.now(UTC))], generations={})
    stored = [
        json.loads(redis_client.get(name) or b"")  # pyright: ignore[reportArgumentType]
        for name in ("calcom:v1:{shop}:slots:type:7", "calcom:v1:{shop}:slots:day:7:30:Europe/Berlin:2026-12-01")
    ]
    assert [list(one) for one in shown] == [list(one) for one in stored]
    assert [one["v"] for one in shown] == [2, 2]


def _blocks(text: str) -> list[str]:
    lines = text.splitlines()
    blocks: list[str] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("    {"):
            blocks.append(line)
        elif line.startswith("    ") and before.startswith("    ") and blocks:
            blocks[-1] += line
    return blocks
