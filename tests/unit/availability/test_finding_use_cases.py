"""Alternatives, the first free start and months over a calendar that keeps state, and what holds do to the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from calcom_pipeline.app.availability.alternatives import alternatives
from calcom_pipeline.app.availability.first_free import first_free
from calcom_pipeline.app.availability.free_days import StartRules
from calcom_pipeline.app.availability.holds import Holds
from calcom_pipeline.app.availability.lookup import Availability
from calcom_pipeline.app.availability.month import month_view
from calcom_pipeline.app.availability.ports import CacheClearResult, Kept
from calcom_pipeline.domain.availability.changes import AffectedDays, ChangeEvent
from calcom_pipeline.domain.availability.finding import Alternatives
from calcom_pipeline.domain.availability.holds import Hold
from calcom_pipeline.domain.availability.models import Slot
from calcom_pipeline.domain.availability.questions import NearestQuestion, first_question, nearest_question
from calcom_pipeline.domain.errors import (
    CacheError,
    Conflict,
    Exchange,
    NotFound,
    OutcomeUnknown,
    StoreError,
    TransientError,
)
from calcom_pipeline.domain.event_types.models import EventType, Owner

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
BERLIN, KIRITIMATI, PAGO = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")


@dataclass
class Calendar:
    """Free days of some event types, as a cache would answer them."""

    starts: dict[int, list[datetime]]
    zones: dict[int, ZoneInfo] = field(default_factory=dict)
    notice: timedelta = timedelta()
    life: timedelta | None = timedelta(minutes=5)
    stale: bool = False
    unread: tuple[date, ...] = ()
    refreshing: bool = False
    now: datetime = NOW
    asked: list[tuple[int, date, date]] = field(default_factory=list)

    def rules(self, event_type_id: int) -> StartRules:
        if event_type_id not in self.starts:
            raise NotFound("no such event type")
        return StartRules(self.zones.get(event_type_id, BERLIN), self.notice)

    def days(self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None) -> Availability:
        self.asked.append((event_type_id, first_day, last_day))
        zone = self.rules(event_type_id).zone
        free = tuple(
            Slot(at) for at in sorted(self.starts[event_type_id]) if first_day <= at.astimezone(zone).date() <= last_day
        )
        return Availability(free, self.now, self.stale, self.unread, self.refreshing)

    def fresh_until(
        self, event_type_id: int, first_day: date, last_day: date, duration_minutes: int | None
    ) -> datetime | None:
        return None if self.life is None else self.now + self.life


@dataclass
class Shelf:
    """A second layer that forgets nothing but what was cleared."""

    cleared: int = 0
    kept: dict[str, tuple[Alternatives, tuple[str, ...], float]] = field(default_factory=dict)
    broken: bool = False

    def look(self, question: NearestQuestion) -> Kept:
        if self.broken:
            raise CacheError("Redis cannot be reached")
        generations = (str(self.cleared),) * len(question.event_type_ids)
        found = self.kept.get(question.key)
        return Kept(found[0] if found and found[1] == generations else None, generations)

    def keep(
        self, question: NearestQuestion, found: Alternatives, *, generations: Sequence[str], seconds: float
    ) -> bool:
        if self.broken:
            raise CacheError("Redis cannot be reached")
        self.kept[question.key] = found, tuple(generations), seconds
        return True


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 12, day, hour, tzinfo=BERLIN).astimezone(UTC)


class TestAlternatives:
    question = nearest_question(2, at(3, 10), now=NOW, count=2, within_days=2)

    def ask(self, calendar: Calendar, shelf: Shelf, question: NearestQuestion | None = None) -> Alternatives:
        return alternatives(calendar, shelf, question or self.question, clock=lambda: calendar.now)

    def test_the_days_asked_for_lie_around_the_wanted_one_and_never_before_the_notice(self):
        calendar = Calendar({2: [at(3, 9)]}, notice=timedelta(days=1))
        self.ask(calendar, Shelf())
        assert calendar.asked == [(2, date(2026, 12, 2), date(2026, 12, 5))]

    def test_an_answer_is_kept_for_the_life_of_its_days_and_found_again(self):
        calendar, shelf = Calendar({2: [at(3, 9), at(3, 12)]}), Shelf()
        first = self.ask(calendar, shelf)
        ((_, _, seconds),) = shelf.kept.values()
        assert seconds == 300
        calendar.starts[2].clear()
        assert self.ask(calendar, shelf) == first
        shelf.cleared += 1
        assert self.ask(calendar, shelf).starts == ()

    def test_a_kept_start_that_has_come_under_the_notice_is_not_answered(self):
        calendar, shelf = Calendar({2: [at(3, 9), at(3, 12)]}, notice=timedelta(hours=2)), Shelf()
        assert len(self.ask(calendar, shelf).starts) == 2
        calendar.now = at(3, 8)
        assert [one.start for one in self.ask(calendar, shelf).starts] == [at(3, 12)]

    @pytest.mark.parametrize(
        "changes",
        [{"stale": True}, {"refreshing": True}, {"life": None}, {"life": timedelta()}, {"life": timedelta(seconds=-1)}],
    )
    def test_what_is_stale_or_made_of_days_that_are_over_is_not_kept(self, changes):
        shelf = Shelf()
        assert self.ask(replace(Calendar({2: [at(3, 9)]}), **changes), shelf).starts != ()
        assert shelf.kept == {}

    def test_days_that_others_cache_while_the_next_type_is_read_lend_it_no_life(self):
        class Slow(Calendar):
            def days(self, event_type_id: int, *window: Any) -> Availability:
                found = super().days(event_type_id, *window)
                if event_type_id == 3:
                    self.now += timedelta(seconds=200)  # meanwhile those of the first type are fetched anew
                return found

        calendar, shelf = Slow({2: [at(3, 9)], 3: [at(3, 12)]}), Shelf()
        self.ask(calendar, shelf, nearest_question([2, 3], at(3, 10), now=NOW, within_days=2))
        ((_, _, seconds),) = shelf.kept.values()
        assert seconds == 100

    def test_without_redis_the_days_answer(self):
        assert len(self.ask(Calendar({2: [at(3, 9)]}), Shelf(broken=True)).starts) == 1

    def test_a_wish_for_days_that_are_over_asks_for_none(self):
        calendar, past = Calendar({2: []}), nearest_question(2, NOW - timedelta(days=40), now=NOW)
        found = self.ask(calendar, Shelf(), past)
        assert (found.starts, found.as_of, calendar.asked) == ((), None, [])


class TestFirstFree:
    def test_it_reads_on_in_stretches_until_one_is_found(self):
        far = NOW + timedelta(days=50)
        calendar = Calendar({2: [far]})
        found = first_free(calendar, first_question(2, None, now=NOW, within_days=366), now=NOW)
        assert found.start is not None
        assert found.start.start == far
        assert len(calendar.asked) == 3
        calendar.asked.clear()
        assert first_free(calendar, first_question(2, None, now=NOW, within_days=49), now=NOW).start is None
        assert max(last for _, _, last in calendar.asked) == (NOW + timedelta(days=49)).astimezone(BERLIN).date()

    @pytest.mark.parametrize("order", [[2, 3], [3, 2]])
    def test_days_that_end_at_different_times_hide_no_earlier_start(self, order):
        """The first stretch ends where one zone has a day more than the other: what lies behind it counts later."""
        edge = NOW + timedelta(days=14)
        early, late = edge + timedelta(hours=2, minutes=10), edge + timedelta(hours=2, minutes=30)
        calendar = Calendar({2: [late], 3: [early]}, zones={2: PAGO, 3: KIRITIMATI})
        found = first_free(calendar, first_question(order, None, now=NOW, within_days=20), now=NOW)
        assert found.start is not None
        assert (found.start.event_type_id, found.start.start) == (3, early)


class TestMonth:
    def test_days_that_are_over_are_not_read_and_days_of_which_nothing_is_known_are_named(self):
        now = datetime(2026, 12, 15, 8, tzinfo=UTC)
        calendar = Calendar({2: [at(3, 9), at(15, 12), at(15, 15)]}, now=now, unread=(date(2026, 12, 20),), stale=True)
        view = month_view(calendar, 2, year=2026, month=12, duration_minutes=None, now=now)
        assert calendar.asked == [(2, date(2026, 12, 15), date(2026, 12, 31))]
        assert {one.day.day: one.free for one in view.days if one.free} == {15: 2}
        assert (len(view.days), view.unread, view.stale) == (31, (date(2026, 12, 20),), True)


# --- holds ----------------------------------------------------------------------------------------------------

KIND = EventType(2, Owner("user", 101), "thirty", "Thirty", 30, schedule_zone="Europe/Berlin", host_ids=(101,))
OTHER = EventType(1, Owner("user", 101), "other", "Other", 60, schedule_zone="Europe/Berlin", host_ids=(101,))


@dataclass
class FakeHolds:
    """Cal.com's holds. `lost`: it does what it is told, and its answer does not come."""

    holds: dict[str, Hold] = field(default_factory=dict)
    lost: bool = False
    numbers: "count[int]" = field(default_factory=count)
    sent: int = 0

    def hold_start(self, event_type_id: int, start: datetime, *, minutes: int | None, duration_minutes: int | None):
        self.sent += 1
        if any(one.start == start for one in self.holds.values()):
            raise Conflict("held already")
        until = NOW + timedelta(minutes=minutes or 5)
        hold = Hold(f"h{next(self.numbers)}", event_type_id, start, start + timedelta(minutes=30), until)
        self.holds[hold.uid] = hold
        return self._answered(hold)

    def move_hold(self, hold: Hold, start: datetime, *, minutes: int | None, duration_minutes: int | None) -> Hold:
        self.holds[hold.uid] = replace(hold, start=start, end=start + timedelta(minutes=30))
        return self._answered(self.holds[hold.uid])

    def read_hold(self, uid: str) -> Hold | None:
        return self.holds.get(uid)

    def release_hold(self, uid: str) -> None:
        self.holds.pop(uid, None)

    def _answered(self, hold: Hold) -> Hold:
        if self.lost:
            raise TransientError("the answer broke off", exchange=Exchange("Holding a start", in_doubt=True))
        return hold


@dataclass
class World:
    """Event types, an outbox and the cached days of both types."""

    facts: list[tuple[ChangeEvent, datetime | None]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    noted: list[tuple[list[AffectedDays], float]] = field(default_factory=list)
    cleared: list[AffectedDays] = field(default_factory=list)
    away: bool = False

    def bookable(self) -> list[EventType]:
        return [OTHER, KIND]

    def concerned_by(self, facts: Sequence[ChangeEvent]) -> list[list[EventType]]:
        return [
            [one for one in self.bookable() if one.id == fact.event_type_id or set(one.host_ids) & set(fact.user_ids)]
            for fact in facts
        ]

    def add(self, facts: Sequence[ChangeEvent]) -> list[ChangeEvent]:
        return self._added(facts, None)

    def add_later(self, facts: Sequence[ChangeEvent], *, due: datetime) -> list[ChangeEvent]:
        return self._added(facts, due)

    def _added(self, facts: Sequence[ChangeEvent], due: datetime | None) -> list[ChangeEvent]:
        if self.away:
            raise StoreError("PostgreSQL cannot be reached")
        numbered = [replace(fact, id=len(self.facts) + n) for n, fact in enumerate(facts, 1)]
        self.facts += [(fact, due) for fact in numbered]
        return numbered

    def done(self, facts: Sequence[ChangeEvent], result: object) -> int:
        self.closed += [fact.id for fact in facts]
        return len(facts)

    def note(self, affected: Sequence[AffectedDays], *, seconds: float) -> None:
        self.happened.append("noted")
        self.noted.append((list(affected), seconds))

    def clear(self, affected: Sequence[AffectedDays]) -> list[CacheClearResult]:
        self.happened.append("cleared")
        self.cleared += affected
        return [CacheClearResult("days", len(affected))]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def calcom() -> FakeHolds:
    return FakeHolds()


@pytest.fixture
def holds(world: World, calcom: FakeHolds) -> Holds:
    return Holds(calcom, world, world, world, world, now=lambda: NOW)  # type: ignore[arg-type]  # of each port what is asked


class TestHolds:
    def test_a_hold_is_a_fact_now_and_one_that_is_due_when_it_ends(self, holds: Holds, world: World):
        made = holds.hold(2, at(3, 10), minutes=7)
        (later, due), (now, at_once) = world.facts
        assert (later.why, now.why, at_once) == ("hold over", "held", None)
        assert due is not None
        assert made.until <= due <= made.until + timedelta(seconds=5)
        assert later.spans == now.spans == ((at(3, 10), at(3, 10) + timedelta(minutes=30)),)
        assert world.closed == [now.id], "the other waits for its time"

    def test_days_of_every_type_of_the_hosts_are_noted_before_they_are_cleared(self, holds: Holds, world: World):
        made = holds.hold(2, at(3, 10), minutes=7)
        assert world.happened == ["noted", "cleared"]
        ((noted, seconds),) = world.noted
        assert {affected.event_type_id for affected in noted} == {1, 2}
        assert 7 * 60 <= seconds <= 7 * 60 + 5
        assert noted == world.cleared
        assert made.cached_days_cleared == 2

    def test_a_lost_answer_is_not_sent_again_and_counts_as_held(self, holds: Holds, world: World, calcom: FakeHolds):
        calcom.lost = True
        with pytest.raises(OutcomeUnknown, match="by itself at 2026-12-01 08:05"):
            holds.hold(2, at(3, 10))
        assert calcom.sent == 1
        assert [fact.why for fact, _ in world.facts] == ["hold over", "held"]
        assert world.cleared

    def test_a_refusal_changes_nothing(self, holds: Holds, world: World):
        holds.hold(2, at(3, 10))
        before = len(world.facts)
        with pytest.raises(Conflict):
            holds.hold(2, at(3, 10))
        with pytest.raises(NotFound):
            holds.hold(99, at(3, 10))
        assert len(world.facts) == before

    def test_a_moved_hold_frees_its_old_time(self, holds: Holds, world: World):
        made = holds.hold(2, at(3, 10))
        world.facts.clear()
        moved = holds.move(made.uid, at(4, 10))
        assert [(fact.why, fact.spans[0][0]) for fact, _ in world.facts] == [
            ("hold over", at(4, 10)),
            ("held", at(4, 10)),
            ("moved", at(3, 10)),
        ]
        assert (moved.uid, moved.start) == (made.uid, at(4, 10))

    def test_a_move_whose_answer_is_lost_frees_and_takes_both_times(
        self, holds: Holds, world: World, calcom: FakeHolds
    ):
        made = holds.hold(2, at(3, 10))
        world.facts.clear()
        calcom.lost = True
        with pytest.raises(TransientError):
            holds.move(made.uid, at(4, 10))
        assert {fact.spans[0][0] for fact, _ in world.facts} == {at(3, 10), at(4, 10)}

    def test_releasing_frees_the_time_once(self, holds: Holds, world: World):
        made = holds.hold(2, at(3, 10))
        assert holds.release(made.uid).cached_days_cleared == 2
        assert world.facts[-1][0].why == "released"
        assert holds.held(made.uid) is None
        before = len(world.facts)
        assert not holds.release(made.uid).was_held
        assert len(world.facts) == before

    def test_a_hold_stands_though_the_outbox_is_away(self, holds: Holds, world: World, calcom: FakeHolds):
        world.away = True
        made = holds.hold(2, at(3, 10))
        assert made.uid in calcom.holds
        assert "PostgreSQL" in made.cache_problem
