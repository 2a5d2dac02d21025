"""Creating exactly once, in every order of doubts, looks and refusals; time is a number here."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.adapters.calcom.idempotent_create import ExactlyOnce, GraceRules, Made
from calcom_pipeline.domain.errors import (
    CalcomError,
    CircuitOpen,
    Conflict,
    Exchange,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    TransientError,
    Unauthorized,
)

RULES = GraceRules(grace_seconds=30, patience_seconds=120, attempts=3)
IN_DOUBT = Exchange("Creating", 502, "req", in_doubt=True)


def lost() -> CalcomError:
    return TransientError("lost", exchange=IN_DOUBT)


def never_left() -> CalcomError:
    return TransientError("refused connection", exchange=Exchange("Creating"))


class World:
    """A server that makes one thing, and a clock."""

    def __init__(self, *creates: Callable[["World"], str], appears_after: float = 0.0) -> None:
        self.now = 0.0
        self.made: list[float] = []
        self.looks: list[float] = []
        self.sent = 0
        self.away_until = 0.0
        self._creates = list(creates)
        self._appears_after = appears_after

    def create(self) -> str:
        self.sent += 1
        return self._creates.pop(0)(self)

    def look(self) -> str | None:
        self.looks.append(self.now)
        if self.now < self.away_until:
            raise CircuitOpen("open", retry_after=self.away_until - self.now)
        return "found" if any(moment + self._appears_after <= self.now for moment in self.made) else None

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def run(self, **options: object) -> Made[str]:
        once = ExactlyOnce(
            self.create, self.look, key="k", rules=RULES, sleep=self.sleep, clock=lambda: self.now, **options
        )
        return once.run()


def works(world: World) -> str:
    world.made.append(world.now)
    return "told"


def works_but_is_lost(world: World) -> str:
    world.made.append(world.now)
    raise lost()


def fails_in_doubt(world: World) -> str:
    raise lost()


def fails(error: CalcomError) -> Callable[[World], str]:
    def create(world: World) -> str:
        raise error

    return create


def conflicts_if_made(world: World) -> str:
    if world.made:
        raise Conflict("taken", exchange=Exchange("Creating", 400))
    return works(world)


def test_a_told_create_is_not_looked_for():
    world = World(works)
    assert world.run() == Made("told", adopted=False)
    assert world.looks == []


def test_a_lost_answer_is_found_by_looking_and_not_sent_again():
    world = World(works_but_is_lost)
    assert world.run() == Made("found", adopted=True)
    assert (world.sent, world.looks) == (1, [0.0])


def test_what_appears_late_is_waited_for():
    world = World(works_but_is_lost, appears_after=29)
    assert world.run() == Made("found", adopted=True)
    assert world.sent == 1
    assert 29 <= world.now <= 30
    assert len(world.looks) < 12, "the distance between looks grows"


def test_what_never_happened_is_sent_again_after_the_grace():
    world = World(fails_in_doubt, works)
    assert world.run() == Made("told", adopted=False)
    assert (world.sent, world.now) == (2, 30.0)


def test_what_appears_after_the_grace_shows_in_the_conflict_of_the_second_create():
    def commits_late(world: World) -> str:
        world.made.append(world.now + 30.5)
        raise lost()

    def refused_as_taken(world: World) -> str:
        world.now += 1
        raise Conflict("taken", exchange=Exchange("Creating", 400))

    assert World(commits_late, refused_as_taken).run() == Made("found", adopted=True)


def test_a_conflict_after_a_doubt_whose_cause_cannot_be_seen_is_unknown():
    world = World(fails_in_doubt, fails(Conflict("taken", exchange=Exchange("Creating", 400))))
    with pytest.raises(OutcomeUnknown) as unknown:
        world.run()
    assert unknown.value.key == "k"
    assert unknown.value.exchange.request_id == "req"


@pytest.mark.parametrize("error", [Conflict("taken"), Rejected("no"), Unauthorized("key"), never_left()])
def test_a_refusal_without_a_doubt_is_the_result(error: CalcomError):
    world = World(fails(error))
    with pytest.raises(type(error)) as raised:
        world.run()
    assert raised.value is error
    assert (world.sent, world.looks) == (1, [])


@pytest.mark.parametrize(
    "error",
    [CircuitOpen("open", retry_after=9), RateLimited("slow", retry_after=9), Unauthorized("key"), never_left()],
)
def test_a_second_create_that_was_never_done_does_not_settle_the_doubt_about_the_first(error: CalcomError):
    world = World(fails_in_doubt, fails(error))
    with pytest.raises(OutcomeUnknown) as unknown:
        world.run()
    assert unknown.value.exchange.request_id == "req"
    assert unknown.value.__cause__ is error


def test_what_must_not_be_repeated_is_unknown_at_once():
    world = World(works_but_is_lost)
    with pytest.raises(OutcomeUnknown):
        world.run(after_doubt=lambda: "leave")
    assert (world.sent, world.looks, world.now) == (1, [], 0.0)


def test_what_may_only_be_looked_for_is_adopted_or_unknown():
    assert World(works_but_is_lost, appears_after=5).run(after_doubt=lambda: "look") == Made("found", adopted=True)
    world = World(fails_in_doubt)
    with pytest.raises(OutcomeUnknown):
        world.run(after_doubt=lambda: "look")
    assert world.sent == 1


def test_doubt_without_end_is_unknown_after_all_attempts():
    world = World(*[fails_in_doubt] * 3)
    with pytest.raises(OutcomeUnknown):
        world.run()
    assert world.sent == 3


def test_an_open_circuit_is_waited_out_before_anything_is_decided():
    world = World(works_but_is_lost)
    world.away_until = 70
    assert world.run() == Made("found", adopted=True)
    assert world.now == 70


def test_when_cal_com_stays_away_nobody_claims_to_know():
    world = World(works_but_is_lost)
    world.away_until = 1000
    with pytest.raises(OutcomeUnknown):
        world.run()
    assert world.sent == 1
    assert world.now <= 150


@given(
    creates=st.lists(st.sampled_from([works, works_but_is_lost, fails_in_doubt]), min_size=3, max_size=3),
    delay=st.floats(0, 29.9),
    away=st.floats(0, 100),
)
def test_whatever_is_lost_nothing_is_made_twice(creates: list, delay: float, away: float):
    guarded = [lambda w, c=create: conflicts_if_made(w) if w.made else c(w) for create in creates]
    world = World(*guarded, appears_after=delay)
    world.away_until = away
    try:
        world.run()
    except OutcomeUnknown:
        assert not world.made
    else:
        assert len(world.made) == 1
