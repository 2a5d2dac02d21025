"""Reading a world of bookings in small pages, and what the mirror must hold afterwards."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from calcom_pipeline.app.bookings.mirror import BookingOptions, BookingsReport, Mode, pull_bookings
from calcom_pipeline.domain.bookings.listing import Listing
from tests.support.booking_world import MemoryMirror, World

SMALL = 5
OPTIONS = BookingOptions(page_size=SMALL)
HOUR = timedelta(hours=1)
TEAM = Listing("team", 301)


def pull(world: World, mirror: MemoryMirror, mode: Mode = "changes", **more: Any) -> BookingsReport:
    options = replace(OPTIONS, **more.pop("options", {}))
    return pull_bookings(world, mirror, options, now=lambda: world.now, mode=mode, **more)


def later(world: World, seconds: float = 1800) -> None:
    world.tick(int(seconds * 1000))


def expected(world: World, *, without: set[str] | frozenset[str] = frozenset()) -> dict[str, bytes]:
    shown = (world.booking(e.uid) for e in world.visible() if e.uid not in without)
    return {b.uid: b.raw for b in shown}  # type: ignore[union-attr]  # the world's rows can be read


def assert_mirrors(mirror: MemoryMirror, world: World, *, without: set[str] | frozenset[str] = frozenset()) -> None:
    """Everything visible is mirrored as it is, except `without`."""
    wanted, there = expected(world, without=without), mirror.contents()
    missing = [uid for uid in wanted if uid not in there]
    outdated = [uid for uid, raw in wanted.items() if uid in there and there[uid] != raw]
    assert (missing, outdated) == ([], [])


def filled(number: int, seed: int = 1, **changes: Any) -> World:
    world = World(seed)
    for _ in range(number):
        world.add(**changes)
    later(world)
    return world
