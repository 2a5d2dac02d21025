"""Whatever is booked, moved and cancelled: every cached answer equals a live one, and other days stayed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
import redis
import requests

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.availability.invalidate import apply_outbox
from calcom_pipeline.app.availability.window import days_between, facts_for_lookup
from calcom_pipeline.app.bookings.sync import sync_bookings
from calcom_pipeline.app.event_types.mirror import TeamChoice, pull_event_types
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.availability.models import SlotKey
from calcom_pipeline.domain.errors import CalcomError
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox, serve_sandbox
from tests.support.given import settings_of
from tests.support.live_slots import live_starts

CONSULT, WORKSHOP, FLEX, CLASS, WEEKLY, ROUND_ROBIN, COLLECTIVE = 2, 3, 4, 6, 7, 8, 9
#: Type, and the length where it offers several.
TYPES = [(1, None), (CONSULT, None), (WORKSHOP, None), (FLEX, 15), (FLEX, 45), (CLASS, None), (WEEKLY, None)]
TYPES += [(ROUND_ROBIN, None), (COLLECTIVE, None)]
#: Full limits close their whole period.
LIMITED = {WORKSHOP}
#: Longer than anything provisional lives.
SETTLED_SECONDS = 10


Night = Literal["spring", "autumn"]


def days_around(night: Night, zone: str) -> tuple[date, date]:
    """Eleven days around the next change of clocks of that kind in a zone, two weeks ahead or more."""
    midday = datetime.combine(utc_now().date() + timedelta(14), time(12), ZoneInfo(zone))
    for n in range(400):
        one, other = midday + timedelta(n), midday + timedelta(n + 1)
        forward = (other.utcoffset() or timedelta()) - (one.utcoffset() or timedelta())
        if forward > timedelta() if night == "spring" else forward < timedelta():
            return one.date() - timedelta(3), one.date() + timedelta(7)
    raise AssertionError(f"{zone} never changes its clocks")


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    with serve_sandbox("captures") as sandbox:
        yield sandbox


@pytest.fixture
def container(
    served: RunningSandbox,
    servers: Any,
    schema_name: str,
    redis_url: str,
    database: Database,
    redis_client: redis.Redis,
) -> Iterator[Container]:
    del database, redis_client  # made and emptied
    served.control.reset(account=True)
    settings = settings_of(served, servers, schema_name, redis_url, apply="auto", read_timeout_seconds=15.0)
    with ready_container(settings) as opened:
        yield opened


@dataclass
class World:
    """A business with buffers, limits and a zone of its own, and what becomes of its bookings."""

    container: Container
    sandbox: RunningSandbox
    zone: str
    chance: random.Random
    night: Night = "spring"
    booked: list[str] = field(default_factory=list[str])
    #: Those that more than one host could take.
    shared: list[str] = field(default_factory=list[str])
    moments: list[datetime] = field(default_factory=list[datetime])
    done: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.service = CalcomService(self.container)
        self.days = days_around(self.night, self.zone)
        self.patch("/event-types/2", "2024-06-14", beforeEventBuffer=15, afterEventBuffer=30)
        self.patch("/event-types/3", "2024-06-14", bookingLimitsCount={"day": 1, "week": 2})
        self.sandbox.control.mutate("set_schedule", id=201, time_zone=self.zone)
        self.sync()
        self.kinds = {e.id: facts_for_lookup(e) for e in self.container.event_types.mirror.bookable()}

    def patch(self, path: str, version: str, **fields: Any) -> None:
        headers = {"Authorization": f"Bearer {self.sandbox.keys['alice']}", "cal-api-version": version}
        answer = requests.patch(self.sandbox.url + path, json=fields, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text

    def sync(self) -> None:
        """As another process does, whose client remembers nothing."""
        with ready_container(self.container.settings) as p:
            pull_event_types(p.calcom, p.event_types.mirror, teams=TeamChoice(), now=utc_now)
            sync_bookings(p.calcom, p.bookings.mirror, p.bookings.in_doubt, p.bookings.options, now=utc_now)
            while apply_outbox(p.availability.outbox, p.availability.cache, limit=500).facts:
                pass

    def check(self) -> None:
        for event_type_id, minutes in TYPES:
            found = self.service.availability(
                event_type_id, first_day=self.days[0], last_day=self.days[1], duration_minutes=minutes
            )
            truth = live_starts(
                self.sandbox,
                self.sandbox.keys["alice"],
                event_type_id,
                self.days,
                zone=self.kinds[event_type_id].zone,
                minutes=minutes,
            )
            assert {slot.start for slot in found.slots} == truth, (event_type_id, self.done)

    def change(self) -> list[datetime]:
        """One change at random; the instants it is about. Nothing where Cal.com refuses."""
        try:
            if self.shared and self.chance.random() < 0.3:
                return self.reassign(self.chance.choice(self.shared))
            if not self.booked or self.chance.random() < 0.5:
                return self.book()
            uid = self.booked.pop(self.chance.randrange(len(self.booked)))
            self.shared = [one for one in self.shared if one != uid]
            before = self.service.get_booking(uid).start
            if self.chance.random() < 0.5:
                self.done.append(f"cancel {uid} at {before}")
                self.service.cancel(uid, reason="ill")
                return [before]
            start = self.chance.choice(self.free(CONSULT))
            self.done.append(f"move {uid} from {before} to {start}")
            moved = self.service.reschedule(uid, start, reason="later").booking
        except CalcomError as error:
            self.done.append(str(error))
            return []
        self.booked.append(moved.uid)
        self.moments.append(moved.start)
        return [before, moved.start]

    def reassign(self, uid: str) -> list[datetime]:
        """Another host takes a booking, at Cal.com; the pipeline reads of it, and of all others for the first time."""
        self.sandbox.control.advance(1)  # what changes within a moment of its creation is not known to have changed
        headers = {"Authorization": f"Bearer {self.sandbox.keys['alice']}", "cal-api-version": "2024-08-13"}
        answer = requests.post(f"{self.sandbox.url}/bookings/{uid}/reassign", headers=headers, timeout=30)
        self.done.append(f"reassign {uid}: {answer.status_code}")
        self.sync()
        return self.moments

    def book(self) -> list[datetime]:
        event_type_id, minutes = self.chance.choice([one for one in TYPES if one[0] != WEEKLY])
        free = self.free(event_type_id, minutes)
        if not free:
            return []
        start = self.chance.choice(free)
        details: dict[str, Any] = {"eventTypeId": event_type_id, "start": start, "name": "Carol"}
        details["email"] = f"carol{len(self.done)}@example.org"
        if minutes:
            details["lengthInMinutes"] = minutes
        self.done.append(f"book {event_type_id} at {start}")
        made = self.service.book(details).booking
        self.moments.append(made.start)
        if event_type_id != CLASS:  # a seat is moved and cancelled by its own uid
            self.booked.append(made.uid)
        if event_type_id == ROUND_ROBIN:
            self.shared.append(made.uid)
        return [made.start]

    def free(self, event_type_id: int, minutes: int | None = None) -> list[datetime]:
        found = self.service.availability(
            event_type_id, first_day=self.days[0], last_day=self.days[1], duration_minutes=minutes
        )
        return [slot.start for slot in found.slots]

    def keys(self) -> list[SlotKey]:
        """The cached days of types whose days depend on no other day."""
        return [
            key
            for number, minutes in TYPES
            if number not in LIMITED
            for key in days_between(self.kinds[number], minutes or self.kinds[number].duration_minutes, *self.days)
        ]


PROOF = [pytest.mark.proof, pytest.mark.timeout(600)]
STORIES = [
    pytest.param(1, 4, "Europe/Berlin", "spring"),
    pytest.param(1, 4, "America/New_York", "autumn"),
    *(
        pytest.param(seed, 20, zone, night, marks=PROOF)
        for seed in range(2, 9)
        for zone in ("Europe/Berlin", "America/New_York")
        for night in ("spring", "autumn")
    ),
]


@pytest.mark.parametrize(("seed", "changes", "zone", "night"), STORIES)
@pytest.mark.timeout(300)
def test_every_cached_answer_equals_a_live_one_after_any_changes(
    container: Container, served: RunningSandbox, seed: int, changes: int, zone: str, night: Night
):
    world = World(container, served, zone, random.Random(seed), night)
    world.check()
    cache = container.availability.cache
    for _ in range(changes):
        # What was fetched while a clearing settled goes by itself.
        kept = {key for key, cached in cache.read(world.keys()).items() if cached.late_seconds < -SETTLED_SECONDS}
        about = world.change()
        gone = kept - set(cache.read(world.keys()))
        near = {
            (moment.astimezone(ZoneInfo(key.zone)) + timedelta(hours=hours)).date()
            for moment in about
            for key in gone
            for hours in (-2, 0, 2)  # the longest length and its buffers
        }
        assert {key.day for key in gone} <= near, world.done
        world.check()


@pytest.mark.parametrize("night", ["spring", pytest.param("autumn", marks=PROOF)])
def test_a_booking_that_another_host_takes_frees_the_first_one_and_takes_the_other(
    container: Container, served: RunningSandbox, night: Night
):
    world = World(container, served, "Europe/Berlin", random.Random(5), night)
    world.check()
    start = world.free(ROUND_ROBIN)[7]
    details = {"eventTypeId": ROUND_ROBIN, "start": start, "name": "Carol", "email": "carol@example.org"}
    uid = world.service.book(details).booking.uid
    world.check()
    before = set(world.free(CONSULT))
    world.reassign(uid)
    world.check()
    assert set(world.free(CONSULT)) != before, "the first host or the other one is busy now"


def test_bookings_made_behind_the_back_of_the_pipeline_are_right_once_they_were_read(
    container: Container, served: RunningSandbox
):
    world = World(container, served, "Europe/Berlin", random.Random(0))
    world.check()
    start = world.free(COLLECTIVE)[5]
    body = {
        "eventTypeId": COLLECTIVE,
        "start": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "attendee": {"name": "Dora", "email": "dora@example.org", "timeZone": "Europe/Berlin"},
    }
    headers = {"Authorization": f"Bearer {served.keys['alice']}", "cal-api-version": "2024-08-13"}
    made = requests.post(f"{served.url}/bookings", json=body, headers=headers, timeout=30)
    assert made.status_code == 201, made.text
    world.sync()
    world.check()
    world.patch("/event-types/1", "2024-06-14", afterEventBuffer=60)
    served.control.mutate("set_schedule", id=201, time_zone="Asia/Kolkata")
    world.sync()
    world.kinds = {e.id: facts_for_lookup(e) for e in container.event_types.mirror.bookable()}
    world.check()
