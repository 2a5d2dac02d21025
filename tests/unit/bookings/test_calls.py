"""Reading bookings costs no more calls than it may."""

import itertools
import math

import pytest

from tests.support.booking_reads import HOUR, SMALL, assert_mirrors, filled, later, pull
from tests.support.booking_world import MemoryMirror, World


class TestCalls:
    """Rows that tie with a page's last key are read again; `repeats` is how many."""

    @staticmethod
    def repeats(world: World, calls: int, take: int) -> int:
        created = sorted(e.created for e in world.entries.values())
        read = again = 0
        for _ in range(calls):
            if read >= len(created):
                break
            read = min(read - again + take, len(created))
            again = created.count(created[read - 1])
        return again * calls

    @pytest.mark.parametrize("number", [0, 1, 4, 5, 6, 9, 10, 11, 100, 101, 237])
    def test_a_full_read_costs_a_page_per_page_and_three_more(self, number: int):
        world, mirror = filled(number), MemoryMirror()
        with world.counted_calls() as calls:
            assert pull(world, mirror).full == "first read"
        pages = len(world.queries)
        assert len(calls) <= math.ceil((number + pages) / SMALL) + 3
        assert_mirrors(mirror, world)

    def test_one_of_real_size(self):
        world, mirror = filled(2000), MemoryMirror()
        with world.counted_calls() as calls:
            pull(world, mirror, options={"page_size": 250})
        assert len(calls) <= math.ceil((2000 + 9) / 250) + 3

    @pytest.mark.parametrize("number", [0, 3, 40])
    def test_an_unchanged_account_costs_three_and_writes_nothing(self, number: int):
        world, mirror = filled(number), MemoryMirror()
        pull(world, mirror)
        for _ in range(3):
            later(world)
            written = mirror.written
            with world.counted_calls() as calls:
                report = pull(world, mirror)
            assert sorted(calls) == ["page", "page", "teams"]
            assert (mirror.written, report.full, report.stored.changes.written) == (written, None, 0)

    def test_a_bulk_update_is_read_again_only_until_the_watermark_has_passed_it(self):
        world, mirror = filled(40), MemoryMirror()
        pull(world, mirror)
        at = world.tick()
        for uid in list(world.entries):
            world.change(uid, silently=True, updated=at, title="bulk")
        for _ in range(2):
            later(world, 300)
            pull(world, mirror)
        later(world, 300)
        with world.counted_calls() as calls:
            pull(world, mirror)
        assert len(calls) == 3

    @pytest.mark.parametrize("group", [6, 10, 11, 24, 25, 26, 60])
    @pytest.mark.parametrize("befores", [(0, 1, 5), pytest.param((3, 12), marks=pytest.mark.proof)], ids=str)
    @pytest.mark.parametrize("key", ["created", "updated"])
    def test_a_group_longer_than_a_page_adds_at_most_twice_its_pages(
        self, group: int, befores: tuple[int, ...], key: str
    ):
        """The same for both sorts; a group of equal stamps has starts of its own."""
        for before, after in itertools.product(befores, (0, 1, 12)):
            self.costs_at_most_twice_the_pages(group, before, after, key)

    @staticmethod
    def costs_at_most_twice_the_pages(group: int, before: int, after: int, key: str) -> None:
        world, mirror = filled(before), MemoryMirror()
        pull(world, mirror)
        at = world.tick(1000)
        for _ in range(group):
            world.add(created=at, start=world.tick(60_000) + HOUR)
        for _ in range(after):
            world.add()
        later(world)
        reading = MemoryMirror() if key == "created" else mirror
        with world.counted_calls() as calls:
            report = pull(world, reading, "full" if key == "created" else "changes")
        rows = before + group + after if key == "created" else group + after
        ties = sum(1 for call in calls if call == "page")  # each page shows its predecessor's last row again
        bound = math.ceil((rows + ties) / SMALL) + 3 + 2 * math.ceil(group / SMALL)
        assert len(calls) <= bound, (before, after, report)
        assert_mirrors(reading, world)
