"""Alternatives, the first free start, months and holds through the facade: sandbox, PostgreSQL and Valkey are real."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.availability.invalidate import apply_outbox
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown, TransientError
from calcom_pipeline.facade import CalcomService
from calcom_pipeline.sandbox.testing import RunningSandbox
from calcom_pipeline.settings import Settings
from tests.support.business import container, served, service, settings

__all__ = ["container", "served", "service", "settings"]  # fixtures

BERLIN = ZoneInfo("Europe/Berlin")
#: The sandbox's clock is the real one, as a facade that books for real people has no other.
MONDAY = date.today() + timedelta(days=7 - date.today().weekday() + 7)  # noqa: DTZ011 - a day, far enough ahead
PREFIX = "calcom:v1:{calcom}:slots:"


def at(hour: int, minute: int = 0, *, day: int = 0) -> datetime:
    """A time of the week after next, in the schedule's zone; as UTC."""
    return datetime.combine(MONDAY + timedelta(days=day), time(hour, minute), BERLIN).astimezone(UTC)


def person(start: datetime, **changes: Any) -> dict[str, Any]:
    return {"eventTypeId": 2, "start": start, "name": "Carol", "email": "carol@example.org", **changes}


@pytest.fixture
def sandbox(served: RunningSandbox) -> RunningSandbox:
    served.control.reset(account=True)
    served.control.set_clock(f"{utc_now():%Y-%m-%dT%H:%M:%SZ}")
    return served


@pytest.fixture
def settled(container: Container, settings: Settings) -> Iterator[CalcomService]:
    """The same with days that live their whole life even right after a clearing."""
    del container  # has pulled the event types
    with ready_container(settings.model_copy(update={"slot_settle_seconds": 0.0})) as opened:
        yield CalcomService(opened)


def calls(sandbox: RunningSandbox, method: str = "GET") -> int:
    """Requests for slots that Cal.com has seen."""
    return sum(r["endpoint"] == f"{method} /v2/slots" for r in sandbox.control.requests(1000))


class TestAlternatives:
    def test_a_taken_start_is_answered_with_the_nearest_of_its_day(self, service: CalcomService):
        service.book(person(at(10)))
        found = service.alternatives(2, around=at(10), count=3)
        assert [one.start for one in found.starts] == [at(9, 30), at(10, 30), at(9)]
        assert (found.stale, {one.event_type_id for one in found.starts}) == (False, {2})
        assert found.as_of is not None

    def test_wishes_are_kept(self, service: CalcomService):
        found = service.alternatives(
            2, around=at(10), count=2, weekdays=frozenset({2}), earliest=time(15), latest=time(16)
        )
        assert [one.start for one in found.starts] == [at(15, day=2), at(15, 30, day=2)]
        assert service.alternatives(2, around=at(10), weekdays=frozenset({6})).starts == ()

    def test_the_second_answer_costs_nothing_and_one_after_a_booking_is_right(
        self, service: CalcomService, sandbox: RunningSandbox, redis_client: redis.Redis
    ):
        first = service.alternatives(2, around=at(10), count=3)
        asked = calls(sandbox)
        redis_client.delete(*redis_client.keys(f"{PREFIX}day:*"))
        assert service.alternatives(2, around=at(10), count=3) == first, "kept as it was"
        assert calls(sandbox) == asked
        service.book(person(at(10)))
        sandbox.control.advance(3)  # Cal.com answers an identical query from a cache of its own for 2 s
        after = service.alternatives(2, around=at(10), count=3)
        assert [one.start for one in after.starts] == [at(9, 30), at(10, 30), at(9)]

    def test_an_answer_over_several_types_goes_with_each_of_them(
        self, service: CalcomService, sandbox: RunningSandbox, redis_client: redis.Redis
    ):
        both = service.alternatives([2, 1], around=at(10), count=4)
        assert [one.event_type_id for one in both.starts][:1] == [2], "who is named first has what both offer"
        assert len({one.start for one in both.starts}) == 4
        question_kept = redis_client.hlen(f"{PREFIX}near:2")
        assert question_kept == 1
        redis_client.incr(f"{PREFIX}generation:1")  # as a clearing of the other type alone does
        asked = calls(sandbox)
        gone = redis_client.keys(f"{PREFIX}day:1:*")
        redis_client.delete(*gone)
        assert service.alternatives([2, 1], around=at(10), count=4).starts == both.starts
        months = {key.decode()[-10:-3] for key in gone}
        assert calls(sandbox) == asked + len(months), "made anew: a call for each month of the other type's days"

    def test_no_answer_lives_longer_than_the_days_it_was_made_of(
        self, service: CalcomService, redis_client: redis.Redis
    ):
        service.alternatives(2, around=at(10))
        days = min(redis_client.pttl(key) for key in redis_client.keys(f"{PREFIX}day:2:*"))
        assert 0 < redis_client.pttl(f"{PREFIX}near:2") <= days + 50  # the time between the two looks

    @pytest.mark.parametrize("broken", [b"nonsense", b"99999999999999 0 {}", b"99999999999999 0 []", b""])
    def test_a_spoiled_answer_is_none(self, service: CalcomService, redis_client: redis.Redis, broken: bytes):
        right = service.alternatives(2, around=at(10)).starts
        key = f"{PREFIX}near:2"
        for field in redis_client.hkeys(key):
            redis_client.hset(key, field, broken)
        assert service.alternatives(2, around=at(10)).starts == right
        redis_client.set(key, "no hash")
        assert service.alternatives(2, around=at(10)).starts == right

    def test_while_cal_com_is_away_older_days_answer_and_are_not_kept(
        self, service: CalcomService, sandbox: RunningSandbox, redis_client: redis.Redis
    ):
        fresh = service.alternatives(2, around=at(10))
        redis_client.delete(*redis_client.keys(f"{PREFIX}*"))
        sandbox.control.add_fault("error", "GET /v2/slots*", status=500)
        old = service.alternatives(2, around=at(10))
        assert (old.starts, old.stale) == (fresh.starts, True)
        assert not redis_client.exists(f"{PREFIX}near:2")
        with pytest.raises(TransientError):
            service.alternatives(3, around=at(10))

    def test_everything_wrong_is_said_at_once(self, service: CalcomService):
        with pytest.raises(InvalidInput) as refused:
            service.alternatives(
                [],
                around=datetime(2026, 12, 1),  # noqa: DTZ001 - on purpose
                count=0,
                within_days=99,
                weekdays=frozenset({9}),
            )
        assert len(refused.value.problems) == 5
        with pytest.raises(NotFound):
            service.alternatives(4711, around=at(10))


class TestFirstAndMonth:
    def test_the_first_free_start_is_that_of_the_days_and_skips_what_is_taken(
        self, service: CalcomService, sandbox: RunningSandbox
    ):
        first = service.first_free(2, after=at(0))
        assert first.start is not None
        assert first.start.start == at(9)
        service.book(person(at(9)))
        sandbox.control.advance(3)
        second = service.first_free(2, after=at(0)).start
        assert second is not None
        assert second.start == at(9, 30)

    def test_of_several_types_the_earliest_is_answered_and_none_where_there_is_none(self, service: CalcomService):
        one = service.first_free([3, 2], after=at(17, 30), within_days=3).start
        alone = {i: service.first_free(i, after=at(17, 30), within_days=3).start for i in (2, 3)}
        assert one is not None
        assert one.start == min(found.start for found in alone.values() if found)
        saturday = at(0, day=5)
        assert service.first_free(2, after=saturday, within_days=1).start is None
        assert service.first_free(2, after=saturday, within_days=2).start is not None

    def test_now_is_where_looking_begins(self, service: CalcomService):
        found = service.first_free(2).start
        assert found is not None
        assert found.start >= utc_now()

    def test_a_month_counts_what_availability_lists(self, service: CalcomService):
        view = service.month(2, year=MONDAY.year, month=MONDAY.month)
        counts = {one.day: one.free for one in view.days}
        day = service.availability(2, first_day=MONDAY, last_day=MONDAY)
        assert counts[MONDAY] == len(day.slots) > 0
        weekend = [d for d in counts if d.weekday() > 4]
        assert sum(counts[d] for d in weekend) == 0
        assert (view.stale, view.unread) == (False, ())

    def test_a_month_that_is_over_costs_nothing(self, service: CalcomService, sandbox: RunningSandbox):
        asked, last_month = calls(sandbox), MONDAY.replace(day=1) - timedelta(days=70)
        view = service.month(2, year=last_month.year, month=last_month.month)
        assert {one.free for one in view.days} == {0}
        assert (view.as_of, calls(sandbox)) == (None, asked)
        with pytest.raises(InvalidInput):
            service.month(2, year=2026, month=13)


class TestHolds:
    def starts(self, service: CalcomService, event_type_id: int = 2) -> set[datetime]:
        return {s.start for s in service.availability(event_type_id, first_day=MONDAY, last_day=MONDAY).slots}

    def test_a_held_start_is_gone_at_once_from_every_type_of_the_host_and_back_when_released(
        self, service: CalcomService, sandbox: RunningSandbox
    ):
        assert at(10) in self.starts(service)
        assert at(10) in self.starts(service, 1)
        hold = service.hold(2, at(10))
        assert (hold.start, hold.end, hold.event_type_id) == (at(10), at(10, 30), 2)
        assert timedelta(minutes=4) < hold.until - utc_now() <= timedelta(minutes=5, seconds=5)
        assert (hold.cached_days_cleared, hold.cache_problem) == (2, "")
        sandbox.control.advance(3)
        assert at(10) not in self.starts(service)
        assert at(10) not in self.starts(service, 1)
        found = service.held(hold.uid)
        assert found is not None
        assert (found.uid, found.start) == (hold.uid, at(10))
        assert service.release(hold.uid).was_held
        sandbox.control.advance(3)
        assert at(10) in self.starts(service)
        assert service.held(hold.uid) is None
        assert not service.release(hold.uid).was_held

    def test_what_is_cached_while_a_start_is_held_lives_no_longer_than_the_hold(
        self, settled: CalcomService, redis_client: redis.Redis
    ):
        settled.hold(2, at(10), minutes=1)
        settled.hold(2, at(14), minutes=3)
        settled.availability(2, first_day=MONDAY, last_day=MONDAY + timedelta(days=1))
        lives = {key.decode()[-10:]: redis_client.pttl(key) for key in redis_client.keys(f"{PREFIX}day:2:*")}
        assert 0 < lives[MONDAY.isoformat()] <= 62_000
        assert lives[(MONDAY + timedelta(days=1)).isoformat()] > 200_000, "another day keeps its life"
        settled.alternatives(2, around=at(10), within_days=1)
        assert 0 < redis_client.pttl(f"{PREFIX}near:2") <= 62_000

    def test_what_is_found_right_after_a_hold_lives_no_longer_than_its_clearing_settles(
        self, service: CalcomService, settings: Settings, redis_client: redis.Redis
    ):
        settles_ms = settings.slot_settle_seconds * 1000
        hold = service.hold(2, at(10), minutes=3)
        assert 0 < redis_client.pttl(f"{PREFIX}settling:2") <= settles_ms
        redis_client.pexpire(f"{PREFIX}settling:2", settling := 60_000)  # so that no slow machine outlives it
        service.alternatives(2, around=at(14), within_days=1)
        lives = [redis_client.pttl(key) for key in [f"{PREFIX}near:2", *redis_client.keys(f"{PREFIX}day:2:*")]]
        assert all(0 < life <= settling for life in lives)
        redis_client.delete(*redis_client.keys(f"{PREFIX}*"))
        service.release(hold.uid)
        assert 0 < redis_client.pttl(f"{PREFIX}settling:2") <= settles_ms, "and after a release"

    def test_the_end_of_a_hold_is_a_fact_that_is_due_then(
        self, service: CalcomService, container: Container, sandbox: RunningSandbox, database: Database
    ):
        hold = service.hold(2, at(10), minutes=1)
        sandbox.control.advance(3)
        assert at(10) not in self.starts(service)
        outbox, cache = container.availability.outbox, container.availability.cache
        assert (outbox.backlog().pending, outbox.backlog().due) == (1, 0)
        assert apply_outbox(outbox, cache, limit=10).facts == 0, "not yet"
        with database.transaction("Testing") as cursor:
            cursor.execute("SELECT next_attempt_at FROM invalidations WHERE state = 'pending'")
            ((due,),) = cursor.fetchall()
            assert hold.until <= due < hold.until + timedelta(seconds=15)
            cursor.execute("UPDATE invalidations SET next_attempt_at = now() WHERE state = 'pending'")
        sandbox.control.advance(120)
        assert apply_outbox(outbox, cache, limit=10).facts == 1
        assert at(10) in self.starts(service), "it is over"

    def test_a_start_is_held_once_and_a_booked_one_not_at_all(self, service: CalcomService, sandbox: RunningSandbox):
        service.hold(2, at(10))
        with pytest.raises(Conflict):
            service.hold(2, at(10))
        service.book(person(at(14)))
        with pytest.raises(Conflict):
            service.hold(2, at(14))
        with pytest.raises(NotFound):
            service.hold(4711, at(10))

    def test_a_lost_answer_is_not_sent_again_and_the_start_counts_as_held(
        self, service: CalcomService, sandbox: RunningSandbox
    ):
        assert at(10) in self.starts(service)
        sandbox.control.add_fault("reset_after", "POST /v2/slots/reservations", count=1)
        with pytest.raises(OutcomeUnknown) as unknown:
            service.hold(2, at(10), minutes=2)
        sent = [r for r in sandbox.control.requests(1000) if r["endpoint"] == "POST /v2/slots/reservations"]
        assert len(sent) == 1
        assert "by itself" in str(unknown.value)
        sandbox.control.advance(3)
        assert at(10) not in self.starts(service)

    def test_a_hold_is_moved_and_both_days_follow(self, service: CalcomService, sandbox: RunningSandbox):
        hold = service.hold(2, at(10))
        sandbox.control.advance(3)
        assert at(10) not in self.starts(service)
        moved = service.move_hold(hold.uid, at(15), minutes=2)
        assert (moved.uid, moved.start) == (hold.uid, at(15))
        sandbox.control.advance(3)
        assert at(10) in (free := self.starts(service))
        assert at(15) not in free
        sandbox.control.add_fault("reset_after", "PATCH /v2/slots/reservations/*", count=1)
        assert service.move_hold(hold.uid, at(11)).start == at(11), "a lost answer is looked for, not sent again"
        with pytest.raises(NotFound):
            service.move_hold("unknown", at(11))

    def test_booking_confirms_a_hold_and_releases_it(self, service: CalcomService, sandbox: RunningSandbox):
        hold = service.hold(2, at(10))
        made = service.book(person(at(10)), hold_uid=hold.uid)
        assert (made.booking.status, made.hold_problem) == ("accepted", "")
        assert service.held(hold.uid) is None
        service.cancel(made.booking.uid, reason="ill")
        sandbox.control.advance(3)
        assert at(10) in self.starts(service), "no hold keeps it closed"

    def test_trouble_with_the_hold_is_told_and_the_booking_stands(
        self, service: CalcomService, sandbox: RunningSandbox
    ):
        hold = service.hold(2, at(10))
        sandbox.control.add_fault("error", "* /v2/slots/reservations/*", status=500)
        made = service.book(person(at(10)), hold_uid=hold.uid)
        assert made.booking.status == "accepted"
        assert "ends by itself" in made.hold_problem

    def test_a_hold_that_is_over_by_itself_is_none(self, service: CalcomService, sandbox: RunningSandbox):
        hold = service.hold(2, at(10), minutes=1)
        assert service.held(hold.uid) is not None
        sandbox.control.advance(61)
        assert service.held(hold.uid) is None
        assert not service.release(hold.uid).was_held

    @pytest.mark.parametrize("uid", ["../me", "", "a b"])
    def test_what_is_no_uid_reaches_no_path(self, service: CalcomService, sandbox: RunningSandbox, uid: str):
        before = sandbox.control.counters()["total"]
        for call in (service.held, service.release):
            with pytest.raises(InvalidInput):
                call(uid)
        with pytest.raises(InvalidInput):
            service.hold(2, utc_now() - timedelta(hours=1), minutes=0)
        assert sandbox.control.counters()["total"] == before
