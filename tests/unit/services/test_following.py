"""What follows small edits of services at once: what it does itself, what it leaves to Dagster, what it costs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.follow import FOLLOWER, Followed, Following, follow_services
from calcom_pipeline.app.services.planning import PlanRequest
from calcom_pipeline.app.services.ports import FeedBatch
from calcom_pipeline.app.services.sync import ServicesSynced, sync_services
from calcom_pipeline.domain.errors import AnotherApply, StoreError, TransientError
from tests.support.apply_desk import APPLY, RULES, SUPPORT, Desk
from tests.support.reconciling import TEAM, event_type, linked, service


class FakeFeed:
    """A list of edits; None in it is a write of our own. A position is a number of them."""

    def __init__(self, *edited: str | None, reached: str | None = "0") -> None:
        self.edited = list(edited)
        self.position = {FOLLOWER: reached}

    def reached(self, reader: str) -> str | None:
        return self.position[reader]

    def settled_after(self, cursor: str | None) -> FeedBatch:
        end = str(len(self.edited))
        if cursor is None:
            return FeedBatch(end, (), everything=True)
        return FeedBatch(end, tuple(dict.fromkeys(one for one in self.edited[int(cursor) :] if one)))

    def keep(self, reader: str, cursor: str) -> None:
        self.position[reader] = cursor


@contextmanager
def alone(granted: bool = True) -> Iterator[bool]:
    yield granted


class Follower:
    """Follows a desk's services."""

    def __init__(self, desk: Desk, feed: FakeFeed) -> None:
        self.desk, self.feed = desk, feed
        self.asked: list[Sequence[str]] = []
        self.raises: Exception | None = None

    def sync(self, ids: Sequence[str]) -> ServicesSynced:
        self.asked.append(ids)
        if self.raises is not None:
            raise self.raises
        desk = self.desk
        request = PlanRequest("test", TeamChoice(), tuple(ids))
        return sync_services(
            desk.calcom,
            desk.services,
            desk.plans,
            request,
            plan_rules=RULES,
            apply_rules=APPLY,
            may_write=True,
            now=desk.clock,
        )

    def look(self, *, most: int = 3, granted: bool = True) -> Followed:
        return follow_services(self.feed, self.sync, lambda: alone(granted), most=most)


def edited(*numbers: int) -> Desk:
    """Services 1 to 5, of which these were edited."""
    rows = [service(n, **({"name": f"New {n}"} if n in numbers else {})) for n in range(1, 6)]
    return Desk(rows, [event_type(n) for n in range(1, 6)], [linked(n) for n in range(1, 6)])


def test_what_was_edited_is_written_once_and_nothing_else():
    desk = edited(1, 2, 3)
    follower = Follower(desk, FakeFeed("1", "2", "1"))
    assert follower.look().services == ("1", "2")
    assert sorted(number for number, _ in desk.calcom.patched) == [1, 2], "3 is Dagster's: nobody told of it"
    assert follower.look() == Followed("idle")
    assert len(follower.asked) == 1


@pytest.mark.parametrize(
    ("feed", "granted", "what", "reached"),
    [
        pytest.param(FakeFeed(), True, "idle", "0", id="nothing was edited"),
        pytest.param(FakeFeed(None, None), True, "idle", "2", id="our own writes"),
        pytest.param(FakeFeed("1", reached=None), True, "left", "1", id="a first look"),
        pytest.param(FakeFeed("1", "2", "3", "4"), True, "left", "4", id="too many"),
        pytest.param(FakeFeed("1"), False, "busy", "0", id="another process is at it"),
    ],
)
def test_what_is_not_its_own_is_left_to_others(feed: FakeFeed, granted: bool, what: Following, reached: str):
    follower = Follower(edited(1, 2, 3, 4), feed)
    assert follower.look(granted=granted).what == what
    assert follower.asked == []
    assert feed.position[FOLLOWER] == reached


def test_an_apply_that_runs_is_waited_for_with_the_next_look():
    follower = Follower(edited(1), FakeFeed("1"))
    follower.raises = AnotherApply("Another plan is being applied")
    assert follower.look().what == "busy"
    follower.raises = None
    assert follower.look().what == "synced"
    assert len(follower.desk.calcom.patched) == 1


@pytest.mark.parametrize("error", [TransientError("Cal.com is away"), StoreError("PostgreSQL is away")])
def test_what_fails_is_left_to_dagster_and_not_tried_again_each_second(error: Exception):
    follower = Follower(edited(1), FakeFeed("1"))
    follower.raises = error
    with pytest.raises(type(error)):
        follower.look()
    assert follower.look() == Followed("idle")


def test_one_that_was_killed_before_it_kept_its_position_does_it_again_and_writes_nothing():
    follower = Follower(edited(1), FakeFeed("1"))
    follower.look()
    follower.feed.position[FOLLOWER] = "0"
    assert follower.look().what == "synced"
    assert len(follower.desk.calcom.patched) == 1


@pytest.mark.parametrize(("ids", "listings"), [(("1",), 2), (("9",), 2), (("1", "9"), 4), (("7",), 1)])
def test_only_the_owners_of_the_edited_services_are_listed(ids: tuple[str, ...], listings: int):
    """Once to plan and once before the write; 7 was edited and is as it was."""
    rows = [service(1, name="New"), service(7), service(9, name="New", team_id=TEAM.id)]
    types = [event_type(1), event_type(7), event_type(9, owner=TEAM)]
    desk = Desk(rows, types, [linked(1), linked(7), linked(9, owner=TEAM)], teams=[SUPPORT])
    Follower(desk, FakeFeed(*ids)).look()
    assert desk.calcom.listings == listings
    assert sorted(number for number, _ in desk.calcom.patched) == [int(one) for one in ids if one != "7"]
    assert {link.state for link in desk.services.links()} == {"linked"}, "nothing is said of those that were not listed"
