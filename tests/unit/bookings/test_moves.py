"""Bookings that change inside a page: Cal.com reads the ids of a page first and their rows after (fact sheet 11)."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from calcom_pipeline.app.bookings.paging import Stretch, changed_since, created_between, starting_between
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, BookingQuery, BookingSort
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.errors import ContractBroken
from tests.support.booking_reads import HOUR, OPTIONS, SMALL, assert_mirrors, later, pull
from tests.support.booking_world import BEGIN, MS, Entry, MemoryMirror, World

SORTS: tuple[BookingSort, ...] = ("updatedAt", "createdAt", "start")
SORTED = pytest.mark.parametrize("sort", SORTS)
SEEDED = pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 1500), marks=[pytest.mark.proof, pytest.mark.timeout(1800)])], ids=len
)
#: Old enough that what was changed before cannot be told to have moved.
LONG_AGO = 3600


def key_of(entry: Entry | Booking, sort: BookingSort) -> datetime:
    if isinstance(entry, Booking):
        key = {"updatedAt": entry.updated_at, "createdAt": entry.created_at, "start": entry.start}[sort]
    else:
        key = {"updatedAt": entry.updated, "createdAt": entry.created, "start": entry.start}[sort]
    assert key is not None
    return key


def account(seed: int, rows: int) -> World:
    """Rows whose keys of all three kinds lie apart, in three different orders; some share a key."""
    world = World(seed)
    rng = random.Random(seed)
    for _ in range(rows):
        created, updated = (BEGIN + timedelta(minutes=rng.randrange(3 * rows)) for _ in range(2))
        world.add(created=created, updated=max(created, updated), start=BEGIN + rng.randrange(3 * rows) * HOUR)
    world.now = BEGIN + timedelta(minutes=3 * rows)
    later(world, LONG_AGO)
    return world


def read(world: World, sort: BookingSort) -> Iterator[Stretch]:
    if sort == "updatedAt":
        return changed_since(world, MINE, BEGIN, take=SMALL, until=world.now + OPTIONS.clock_tolerance)
    if sort == "createdAt":
        return created_between(world, MINE, None, None, take=SMALL)
    return starting_between(world, MINE, None, None, take=SMALL, careful=True)


def touch(world: World, uid: str, rng: random.Random, *, starts: bool = True) -> None:
    """As somebody edits a booking, or moves it to another start: both are stamped."""
    world.now += MS
    moved = {"start": BEGIN + rng.randrange(400) * HOUR} if starts else {}
    world.change(uid, silently=True, updated=world.now, title=f"at {world.now}", **moved)


class Hands:
    """Others at work inside pages, drawn from a seed: on one row, on the last one, on several, on all of a page."""

    def __init__(self, world: World, seed: int, *, share: float = 0.5) -> None:
        self.world, self.rng, self.share = world, random.Random(seed), share
        self.touched: set[str] = set()

    def __call__(self) -> None:
        uids = [uid for uid in self.world.inside if uid in self.world.entries]
        if not uids or self.rng.random() > self.share:
            return
        for uid in self.rng.choice(([uids[-1]], uids[-2:], [self.rng.choice(uids)], uids[1:], uids)):
            self.touched.add(uid)
            if self.rng.random() < 0.05:
                del self.world.entries[uid]
            else:
                touch(self.world, uid, self.rng)


# --- what must come of it -----------------------------------------------------------------------------------------


@SORTED
@SEEDED
def test_rows_that_stay_are_all_handed_out_and_none_is_taken_for_gone_whatever_moves(sort: BookingSort, seeds: range):
    struck = 0
    for seed in seeds:
        world = account(seed, rows=random.Random(seed).randrange(1, 10 * SMALL))
        world.inside_page = hands = Hands(world, seed)
        before, seen = dict(world.entries), set[str]()
        for stretch in read(world, sort):
            seen.update(booking.uid for booking in stretch.page.bookings)
            if (covered := stretch.covered) is not None:
                gone = {
                    uid
                    for uid, entry in before.items()
                    if (covered.low is None or key_of(entry, sort) >= covered.low)
                    and (covered.high is None or key_of(entry, sort) < covered.high)
                    and uid not in covered.uids | hands.touched
                }
                assert not gone, (seed, gone)
        missed = before.keys() - hands.touched - seen
        assert not missed, (seed, missed)
        struck += bool(hands.touched)
    assert struck > 0.8 * len(seeds)


@SORTED
@SEEDED
def test_a_position_is_never_past_a_row_that_stays_and_was_not_handed_out(sort: BookingSort, seeds: range):
    """Whoever is killed goes on from there."""
    for seed in seeds:
        world = account(seed, rows=6 * SMALL)
        world.inside_page = hands = Hands(world, seed)
        before, seen = dict(world.entries), set[str]()
        for stretch in read(world, sort):
            seen.update(booking.uid for booking in stretch.page.bookings)
            if stretch.reached is not None:
                skipped = {
                    uid for uid in before.keys() - seen - hands.touched if key_of(before[uid], sort) < stretch.reached
                }
                assert not skipped, (seed, skipped)


@SEEDED
def test_after_rows_moved_inside_the_pages_of_any_read_the_next_quiet_one_has_them_all(seeds: range):
    for seed in seeds:
        world, mirror, rng = account(seed, rows=4 * SMALL), MemoryMirror(), random.Random(seed)
        pull(world, mirror)
        later(world)
        for uid in rng.sample(sorted(world.entries), 3 * SMALL):  # more than a page of changes, long ago
            world.tick(rng.randrange(1, 5000))
            touch(world, uid, rng)
        later(world, rng.choice((1, 100, LONG_AGO)))
        world.inside_page = Hands(world, seed, share=rng.choice((0.2, 1.0)))
        pull(world, mirror, rng.choice(("changes", "changes", "full", "reread")))
        world.inside_page = lambda: None
        later(world, rng.choice((0, 1, 400)))
        pull(world, mirror)
        assert_mirrors(mirror, world)
        pull(world, mirror, "full")
        assert set(mirror.contents()) == set(world.entries), seed


def all_changed_long_ago() -> tuple[World, MemoryMirror]:
    """A mirrored account of which every booking has changed since, one after the other."""
    world, mirror = account(1, rows=6 * SMALL), MemoryMirror()
    pull(world, mirror)
    later(world)
    for uid in sorted(world.entries):
        world.tick(1000)
        world.change(uid, title="changed long ago")
    later(world, LONG_AGO)
    return world, mirror


def test_a_last_row_that_moved_to_now_does_not_take_the_read_with_it():
    """It looks well in order; whoever went on from it would never see what lies in between."""
    world, mirror = all_changed_long_ago()

    def once() -> None:
        world.inside_page = lambda: None
        touch(world, world.inside[-1], world.rng)

    world.inside_page = once
    pull(world, mirror)
    assert_mirrors(mirror, world)


def test_a_whole_page_that_moved_at_once_is_asked_for_once_more_and_nothing_is_lost():
    world, mirror = all_changed_long_ago()

    def once() -> None:
        world.inside_page = lambda: None
        for uid in world.inside:
            world.change(uid, silently=True, updated=world.now, title="all at once")

    world.inside_page = once
    pull(world, mirror)
    assert_mirrors(mirror, world)


def test_a_row_later_than_the_bound_is_stored_as_it_came():
    """It need not wait for the next read."""
    world, mirror = account(1, rows=2 * SMALL), MemoryMirror()
    pull(world, mirror)
    later(world)
    for uid in sorted(world.entries):
        world.change(uid, title="changed")
    later(world, LONG_AGO)
    moved: list[str] = []

    def once() -> None:
        if len(moved) < 1 and world.inside and len(world.queries) > 2:
            moved.append(world.inside[2])
            world.change(moved[0], silently=True, updated=world.now + HOUR, title="past the bound")

    world.inside_page = once
    pull(world, mirror)
    assert mirror.rows[moved[0]].booking.title == "past the bound"
    watermark = mirror.state(MINE).watermark
    assert watermark is not None
    assert watermark < world.now


def test_where_nothing_moves_no_page_is_asked_for_twice():
    for sort in SORTS:
        world = account(1, rows=6 * SMALL)
        with world.counted_calls() as calls:
            list(read(world, sort))
        questions = [replace(query, take=0) for query in world.queries]
        assert len(calls) <= 2 + 6 * SMALL // (SMALL - 1) + 2
        assert len(set(questions[:-1])) == len(questions[:-1]), sort


def test_an_account_in_which_somebody_always_books_is_not_chased_by_a_read_by_start():
    world = account(1, rows=2 * SMALL)

    def busy() -> None:
        world.tick(400)
        world.add(start=world.now + 1000 * HOUR)

    world.between_pages = busy
    for _ in starting_between(world, MINE, None, None, take=50, careful=True):
        assert len(world.queries) < 15


# --- servers that do not do what was asked -------------------------------------------------------------------------


@dataclass
class Server:
    """Cal.com with a fault of its own; rows change inside its pages all the same."""

    world: World
    ignores: Callable[[BookingQuery], BookingQuery] = lambda query: query
    order: Callable[[list[Any]], list[Any]] = lambda rows: rows

    def page(self, query: BookingQuery) -> BookingPage:
        page = self.world.page(self.ignores(query))
        return replace(page, bookings=self.order(list(page.bookings)), keys=self.order(list(page.keys)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)


def without_lower(query: BookingQuery) -> BookingQuery:
    return replace(query, after_updated_at=None, after_created_at=None, after_start=None)


def without_upper(query: BookingQuery) -> BookingQuery:
    return replace(query, before_updated_at=None, before_created_at=None)


def by_id(query: BookingQuery) -> BookingQuery:
    """The sort is ignored: all rows of a sandbox's first page, in the order of their ids."""
    return replace(query, sort="createdAt" if query.sort != "createdAt" else "start")


def asks(api: Any, world: World, sort: BookingSort) -> list[Stretch]:
    middle = BEGIN + timedelta(minutes=40)
    if sort == "updatedAt":
        return list(changed_since(api, MINE, middle, take=SMALL, until=world.now - timedelta(hours=2)))
    if sort == "createdAt":
        return list(created_between(api, MINE, middle, middle + HOUR, take=SMALL))
    return list(starting_between(api, MINE, BEGIN + 40 * HOUR, None, take=SMALL))


FAULTS: dict[str, dict[str, Any]] = {
    "the lower bound": {"ignores": without_lower},
    "the upper bound": {"ignores": without_upper},
    "both bounds": {"ignores": lambda query: without_lower(without_upper(query))},
    "the sort": {"ignores": by_id},
    "the sort and the bounds": {"ignores": lambda query: by_id(without_lower(without_upper(query)))},
    "the direction": {"order": lambda rows: rows[::-1]},
}


@SORTED
@pytest.mark.parametrize("ignored", FAULTS)
@pytest.mark.parametrize(
    ("age", "share"),
    [(0, 0.0), (0, 0.3), (LONG_AGO, 0.0), (LONG_AGO, 0.3)],
    ids=["all changed just now, quiet", "all changed just now, while rows move", "changed long ago, quiet",
         "changed long ago, while rows move"],
)  # fmt: skip
@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 20), marks=pytest.mark.proof)], ids=len)
def test_a_server_that_ignores_something_is_refused(
    sort: BookingSort, ignored: str, age: int, share: float, seeds: range
):
    if (sort, ignored) == ("start", "the upper bound"):
        return  # a start has none
    for seed in seeds:
        world = account(seed, rows=80)
        if age == 0:
            world.now = max(key_of(entry, "updatedAt") for entry in world.entries.values())
            world.tick(1)
        later(world, 7200 if age else 0)
        if sort == "updatedAt" and ignored in {"the upper bound", "the sort and the bounds"}:
            for n in range(3 * SMALL):  # rows that claim to be from tomorrow
                world.add(created=world.now + 24 * HOUR + n * MS, start=BEGIN + 50 * HOUR)
        world.inside_page = Hands(world, seed, share=share)
        with pytest.raises(ContractBroken, match=r"outside the bounds|not in the order"):
            asks(Server(world, **FAULTS[ignored]), world, sort)


@pytest.mark.parametrize("name", ["updated", "created"])
def test_a_row_earlier_than_its_bound_breaks_the_contract_at_once(name: str):
    """No change makes a stamp smaller than that of a row which had it before."""
    world = account(1, rows=4 * SMALL)

    def once() -> None:
        world.inside_page = lambda: None
        uid = world.inside[2]
        world.entries[uid] = replace(world.entries[uid], **{name: BEGIN - HOUR})

    world.inside_page = once
    source = changed_since(world, MINE, BEGIN, take=SMALL) if name == "updated" else created_between(
        world, MINE, BEGIN, None, take=SMALL
    )  # fmt: skip
    with pytest.raises(ContractBroken, match="outside the bounds"):
        list(source)
