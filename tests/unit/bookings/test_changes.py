"""One question to Cal.com: has any booking changed since?"""

from datetime import timedelta

import pytest

from calcom_pipeline.app.bookings.change_probe import newest_change
from tests.support.booking_reads import filled, later
from tests.support.booking_world import FAR, MS, World


def look(world: World, **ago: float) -> object:
    return newest_change(world, after=world.now - timedelta(**ago), now=world.now)  # type: ignore[arg-type]


def test_nothing_changed():
    world = filled(5)
    with world.counted_calls() as calls:
        assert look(world, minutes=10) is None
    assert calls == ["page"]


def test_the_newest_of_several_changes_is_named():
    world = filled(5)
    for uid in ("u000003", "u000001", "u000004"):
        world.change(uid, title="another")
    assert look(world, minutes=10) == world.entries["u000004"].updated


def test_what_was_named_once_is_not_named_again():
    world = filled(5)
    world.change("u000002", title="another")
    newest = newest_change(world, after=world.now - timedelta(minutes=1), now=world.now)  # type: ignore[arg-type]
    assert newest is not None
    assert newest_change(world, after=newest, now=world.now) is None  # type: ignore[arg-type]
    world.change("u000002", silently=True, updated=newest + MS)
    assert newest_change(world, after=newest, now=world.now) == newest + MS  # type: ignore[arg-type]


@pytest.mark.parametrize(("ahead", "told"), [(timedelta(minutes=4), True), (timedelta(minutes=6), False)])
def test_a_stamp_in_the_future_is_believed_only_as_far_as_clocks_may_differ(ahead: timedelta, told: bool):
    world = filled(3)
    world.change("u000001", silently=True, updated=world.now + ahead)
    assert (look(world, minutes=10) is not None) is told


def test_the_year_9999_hides_no_later_change():
    world = filled(3)
    world.change("u000001", silently=True, updated=FAR)
    assert look(world, minutes=10) is None
    world.change("u000002", title="another")
    assert look(world, minutes=10) == world.entries["u000002"].updated


def test_rows_that_cannot_be_read_and_rows_without_a_stamp():
    world = filled(3)
    world.change("u000001", silently=True, updated=None)
    assert look(world, minutes=10) is None
    world.change("u000002", extra={"title": 7})
    assert look(world, minutes=10) == world.entries["u000002"].updated


def test_a_new_booking_is_a_change():
    world = filled(3)
    later(world)
    new = world.add()
    assert look(world, minutes=10) == new.updated
