"""Few bookings are read before what else comes by itself; a flood is not, nor what is more than allowed."""

from pathlib import Path

import pytest

from calcom_pipeline.adapters.delivery_spool import FileSpool
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.webhooks.drain import DrainRules, QuickReads, drain
from tests.support.booking_rows import row
from tests.support.deliveries import delivery_body
from tests.support.drain_world import RULES, FakeCalcom, World


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, FileSpool(tmp_path / "spool", most_bytes=1_000_000))


def drained(world: World, allowed: int, rules: DrainRules = RULES) -> FakeCalcom:
    """Drains, with so many quick reads allowed; what was read quickly."""
    soon, left = FakeCalcom(world.calcom.rows), [allowed]

    def take(wanted: int) -> bool:
        left[0] -= wanted
        return left[0] >= 0

    mirror = PostgresBookingMirror(world.database, people=world.people)
    quick = QuickReads(soon, take)
    drain(world.calcom, mirror, world.inbox, world.spool, now=world.clock, rules=rules, quick=quick)
    return soon


def come(world: World, number: int) -> list[str]:
    uids = [f"u{n}" for n in range(number)]
    world.calcom.rows |= {uid: row(uid) for uid in uids}
    world.comes(*(delivery_body(uid, n=n) for uid in uids for n in range(2)))
    return uids


@pytest.mark.parametrize("number", [1, RULES.few])
def test_a_few_are_read_quickly(world: World, number: int):
    uids = come(world, number)
    assert sorted(drained(world, 100).asked) == uids
    assert world.calcom.asked == []
    assert set(world.states()) == {(uid, "done") for uid in uids}


def test_a_flood_is_read_in_turn_but_for_what_is_left_at_its_end(world: World):
    """As 10,000 would: claim by claim, each with all about its bookings, so that the last may be of a few."""
    uids = come(world, 60)
    soon = drained(world, 100, DrainRules(batch=20))
    assert len(soon.asked) <= DrainRules().few
    assert sorted(soon.asked + world.calcom.asked) == sorted(uids)


def test_what_is_more_than_allowed_is_read_in_turn(world: World):
    uids = come(world, 4)
    soon = drained(world, 1)
    assert (len(soon.asked), len(world.calcom.asked)) == (1, 3)
    assert sorted(soon.asked + world.calcom.asked) == uids
