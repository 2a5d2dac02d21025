"""What the key can see, what teams list, what is proven deleted, where an interrupted read goes on."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from calcom_pipeline.app.bookings.access_scope import ListingChoice
from calcom_pipeline.app.bookings.mirror import Mode
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, BookingQuery
from calcom_pipeline.domain.bookings.positions import FULL_STREAM
from calcom_pipeline.domain.errors import TransientError
from calcom_pipeline.domain.listed import UnreadableRow
from tests.support.booking_reads import HOUR, TEAM, assert_mirrors, expected, filled, later, pull
from tests.support.booking_world import BEGIN, MemoryMirror, World


class TestScope:
    @pytest.mark.parametrize("lists", [True, False], ids=["with team lists", "without"])
    def test_a_team_that_the_list_of_teams_lacks_is_not_left_while_its_members_can_be_listed(self, lists: bool):
        """One empty answer would forget the team's listing, and read everything anew, twice."""
        world, mirror = filled(12), MemoryMirror()
        world.key_teams.append(TEAM.id)
        for _ in range(6):
            world.add(team=TEAM.id, host=102)
        choice = {"choice": ListingChoice(team_lists=lists)}
        later(world)
        pull(world, mirror, options=choice)
        before = mirror.contents()
        for look in ("unlisted", "odd", "listed again"):
            world.unlisted_teams = set() if look == "listed again" else {TEAM.id}
            odd = UnreadableRow("teams", b"{}", "name: is missing", str(TEAM.id))
            world.odd_teams = [odd] if look == "odd" else []
            later(world)
            report = pull(world, mirror, options=choice)
            assert report.full is None, look
            assert mirror.contents() == before
        world.key_teams.remove(TEAM.id)
        later(world)
        assert (pull(world, mirror, options=choice).full or "").startswith("the key's teams changed")

    def test_a_team_that_was_gained_shows_its_old_bookings(self):
        world, mirror = filled(12), MemoryMirror()
        for _ in range(12):
            world.add(team=301, host=102)
        later(world)
        pull(world, mirror)
        assert len(mirror.contents()) == 12
        world.key_teams.append(301)
        later(world)
        report = pull(world, mirror)
        assert (report.full or "").startswith("the key's teams changed")
        assert_mirrors(mirror, world)
        later(world)
        assert pull(world, mirror).full is None

    def test_one_gained_while_the_first_read_was_interrupted_makes_it_start_over(self):
        world, mirror = filled(12), MemoryMirror()
        for _ in range(12):
            world.add(team=301, created=BEGIN - HOUR)

        def fails() -> None:
            if len(world.queries) == 3:
                raise TransientError("gone")

        world.between_pages = fails
        with pytest.raises(TransientError):
            pull(world, mirror)
        world.between_pages = lambda: None
        world.key_teams.append(301)
        pull(world, mirror)
        assert_mirrors(mirror, world)

    def test_a_team_that_was_left_takes_its_bookings_out_of_sight_not_out_of_the_mirror(self):
        world, mirror = World(teams=[301]), MemoryMirror()
        for team in (None, 301) * 6:
            world.add(team=team)
        later(world)
        pull(world, mirror)
        world.key_teams.clear()
        report = pull(world, mirror)
        assert (report.proven.out_of_scope, report.proven.gone) == (6, 0)
        assert_mirrors(mirror, world)
        assert len(mirror.rows) == 12

    def test_roles_are_looked_at_hourly_and_a_change_forces_a_full_read(self):
        world, mirror = World(teams=[301]), MemoryMirror()
        world.add()
        later(world)
        pull(world, mirror)
        with world.counted_calls() as calls:
            pull(world, mirror)
        assert "role" not in calls
        later(world, 3700)
        with world.counted_calls() as calls:
            assert pull(world, mirror).full is None
        assert calls.count("role") == 1
        world.roles[301] = "MEMBER"
        later(world, 3700)
        assert (pull(world, mirror).full or "").startswith("the key's roles changed")
        later(world, 60)
        assert pull(world, mirror).full is None

    def test_bookings_that_no_change_announced_are_noticed_by_cal_com_s_own_count(self):
        world, mirror = filled(12), MemoryMirror()
        pull(world, mirror)
        later(world)
        pull(world, mirror)
        for _ in range(3):
            world.add(created=BEGIN - HOUR)
        later(world)
        assert (pull(world, mirror).full or "").startswith("Cal.com counts 3 bookings")
        assert_mirrors(mirror, world)
        later(world)
        assert pull(world, mirror).full is None

    def test_a_build_that_counts_rightly_is_no_reason_to_read_everything(self):
        world, mirror = filled(12), MemoryMirror()
        pull(world, mirror)
        world.counts_rightly = True
        for _ in range(4):
            later(world)
            world.add()
            assert pull(world, mirror).full is None

    def test_people_kept_in_another_way_make_a_full_read(self):
        world, mirror = filled(3), MemoryMirror()
        pull(world, mirror)
        mirror.states["mine"] = replace(mirror.state(MINE), policy="keep")
        mirror.policy = "hash"
        assert (pull(world, mirror).full or "").startswith("people are kept in another way")


class TestTeamLists:
    CHOICE: ClassVar = {"choice": ListingChoice(team_lists=True)}

    @staticmethod
    def world(*, filters: bool) -> World:
        world = World(teams=[301])
        world.team_lists_filter = filters
        for team in (None, 301) * 10:
            world.add(team=team, start=BEGIN + world.rng.randrange(200) * HOUR)
        later(world)
        return world

    def test_a_list_that_honours_the_filters_costs_one_call_while_nothing_changes(self):
        world, mirror = self.world(filters=True), MemoryMirror()
        pull(world, mirror, options=self.CHOICE)
        assert all("team:301" in k.listings for u, k in mirror.rows.items() if world.entries[u].team)
        later(world)
        with world.counted_calls() as calls:
            pull(world, mirror, options=self.CHOICE)
        assert sorted(calls) == ["page", "page", "page", "teams"]
        for uid in ("u000002", "u000004"):
            world.change(uid, title="changed")
        pull(world, mirror, options=self.CHOICE)
        assert_mirrors(mirror, world)

    def test_one_that_ignores_them_is_found_out_and_read_in_full_only(self):
        world, mirror = self.world(filters=False), MemoryMirror()
        pull(world, mirror, options=self.CHOICE)
        assert mirror.state(TEAM).filters_changes is False
        later(world)
        with world.counted_calls() as calls:
            pull(world, mirror, options=self.CHOICE)
        assert sorted(calls) == ["page", "page", "teams"]

    def test_one_that_stops_honouring_them_moves_no_watermark(self):
        world, mirror = self.world(filters=True), MemoryMirror()
        pull(world, mirror, options=self.CHOICE)
        world.team_lists_filter = False
        later(world)
        before = mirror.state(TEAM)
        report = pull(world, mirror, options=self.CHOICE)
        assert "only read in full" in report.notes[0]
        assert mirror.state(TEAM) == before

    def test_a_team_whose_bookings_all_start_at_nine_is_read_whole(self):
        world, mirror = World(teams=[301]), MemoryMirror()
        for _ in range(23):
            world.add(team=301, start=BEGIN)
        later(world)
        pull(world, mirror, options=self.CHOICE)
        assert all("team:301" in kept.listings for kept in mirror.rows.values())


class TestDeletions:
    def test_a_deletion_is_proven_by_a_full_read_and_by_the_re_read(self):
        world, mirror = filled(20), MemoryMirror()
        pull(world, mirror)
        for uid in ("u000001", "u000010"):
            del world.entries[uid]
        later(world)
        assert pull(world, mirror).proven.gone == 0
        assert pull(world, mirror, "reread").proven.gone == 2
        del world.entries["u000020"]
        assert pull(world, mirror, "full").proven.gone == 1
        assert mirror.contents() == expected(world)

    def test_everything_deleted_is_proven_by_an_empty_list_that_counts_nothing(self):
        world, mirror = filled(7), MemoryMirror()
        pull(world, mirror)
        world.entries.clear()
        assert pull(world, mirror, "full").proven.gone == 7

    def test_a_server_that_answers_404_to_everything_proves_nothing(self):
        world, mirror = filled(20), MemoryMirror()
        pull(world, mirror)
        del world.entries["u000010"]
        kept = dict(world.entries)

        def booking(uid: str) -> Any:
            return World.booking(World(), uid)

        world.booking = booking  # type: ignore[method-assign]
        report = pull(world, mirror, "full")
        assert (report.proven.gone, report.proven.open) == (0, 1)
        assert "no other booking" in report.proven.why_open
        assert len(mirror.contents()) == len(kept) + 1

    def test_a_booking_that_is_listed_after_all_is_listed_again(self):
        world, mirror = filled(20), MemoryMirror()
        pull(world, mirror)
        hidden = world.entries["u000010"]

        def hides(query: BookingQuery) -> BookingPage:
            if query.uid is None:
                world.entries.pop(hidden.uid, None)
            try:
                return World.page(world, query)
            finally:
                world.entries[hidden.uid] = hidden

        world.page = hides  # type: ignore[method-assign]
        assert pull(world, mirror, "full").proven.shown == 1
        assert_mirrors(mirror, world)

    def test_more_than_may_be_proven_in_one_run_are_proven_by_the_next(self):
        world, mirror = filled(20), MemoryMirror()
        pull(world, mirror)
        for n in range(1, 8):
            del world.entries[f"u{n:06d}"]
        report = pull(world, mirror, "full", options={"proofs": 5})
        assert (report.proven.gone, report.proven.open) == (5, 1)
        assert pull(world, mirror, "full", options={"proofs": 5}).proven.gone == 2
        assert mirror.contents() == expected(world)


class TestResuming:
    @staticmethod
    def interrupted(world: World, mirror: MemoryMirror, mode: Mode) -> None:
        begun = len(world.queries)

        def fails() -> None:
            if len(world.queries) == begun + 8:
                raise TransientError("gone")

        world.between_pages = fails
        with pytest.raises(TransientError):
            pull(world, mirror, mode)
        world.between_pages = lambda: None

    def test_a_full_read_that_was_asked_for_goes_on_only_when_told(self):
        world, mirror = filled(60), MemoryMirror()
        pull(world, mirror)
        self.interrupted(world, mirror, "full")
        with world.counted_calls() as calls:
            pull(world, mirror, "full", resume=True)
        assert len(calls) < 12
        self.interrupted(world, mirror, "full")
        world.change("u000001", silently=True, seats=2)
        pull(world, mirror, "full")
        assert_mirrors(mirror, world)
        assert mirror.position(FULL_STREAM, "mine asked for") is None

    def test_changes_after_a_resumed_first_read_begin_where_it_began(self):
        world, mirror = filled(60), MemoryMirror()
        self.interrupted(world, mirror, "changes")
        later(world)
        world.change("u000001", title="changed where the first read had been")
        pull(world, mirror)
        pull(world, mirror)
        assert_mirrors(mirror, world)
