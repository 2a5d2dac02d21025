"""When a call is sent again, and how long is waited before; time is a number here."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.adapters.calcom.transport.messages import Call, Kind
from calcom_pipeline.adapters.calcom.transport.retries import Retries, RetryPatience, may_repeat
from calcom_pipeline.domain.errors import (
    CalcomError,
    CircuitOpen,
    Conflict,
    ContractBroken,
    Exchange,
    NotFound,
    RateLimited,
    Rejected,
    TransientError,
    Unauthorized,
)

PATIENCE = RetryPatience(deadline_seconds=120, attempts=4, first_pause_seconds=1, longest_pause_seconds=30)


def call(kind: Kind = "read", **fields: float) -> Call:
    return Call("Testing", "GET", "/me", "account", kind, **fields)  # type: ignore[arg-type]  # only deadlines are given


def told(status: int | None, *, in_doubt: bool = False) -> Exchange:
    return Exchange("Testing", status, in_doubt=in_doubt)


ALWAYS, NEVER, SAFE = ("read", "absolute", "create"), (), ("read", "absolute")


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        (TransientError("no connection", exchange=told(None)), ALWAYS),
        (TransientError("the answer broke off", exchange=told(None, in_doubt=True)), SAFE),
        (TransientError("request timeout", exchange=told(408, in_doubt=True)), SAFE),
        (TransientError("bad gateway", exchange=told(502, in_doubt=True)), SAFE),
        (TransientError("unavailable", exchange=told(503, in_doubt=True)), SAFE),
        (TransientError("gateway timeout", exchange=told(504, in_doubt=True)), SAFE),
        (TransientError("server error", exchange=told(500, in_doubt=True)), NEVER),
        (ContractBroken("half a page", exchange=told(200)), SAFE),
        (ContractBroken("a redirect", exchange=told(302)), NEVER),
        (ContractBroken("no route for this version", exchange=told(404)), NEVER),
        (ContractBroken("another shape"), NEVER),
        (CircuitOpen("open", retry_after=60, exchange=told(None)), NEVER),
        (Rejected("no", exchange=told(400)), NEVER),
        (Unauthorized("key", exchange=told(401)), NEVER),
        (NotFound("gone", exchange=told(404)), NEVER),
        (Conflict("taken", exchange=told(409)), NEVER),
    ],
    ids=lambda value: str(value) if isinstance(value, CalcomError) else None,
)
def test_what_may_be_sent_again_depends_on_the_call_and_on_what_is_known(error: CalcomError, repeated: tuple[str, ...]):
    assert tuple(kind for kind in ALWAYS if may_repeat(call(kind), error)) == repeated  # type: ignore[arg-type]  # plain


class Time:
    """A clock that sleeping moves, and a log of the pauses."""

    def __init__(self, jitter: Callable[[float], float] = lambda bound: bound) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.retries = Retries(PATIENCE, clock=lambda: self.now, sleep=self._sleep, jitter=jitter)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def failing(*errors: CalcomError | None) -> Callable[[int, float], int]:
    """Raises these, one after the other; None succeeds with the number of the attempt."""
    left = list(errors)

    def attempt(number: int, deadline: float) -> int:
        error = left.pop(0)
        if error is None:
            return number
        raise error

    return attempt


LOST = TransientError("lost", exchange=told(None))


def test_pauses_double_up_to_a_bound_and_the_last_error_is_raised():
    time = Time()
    assert time.retries.run(call(), failing(LOST, LOST, LOST, None)) == 4
    assert time.pauses == [1, 2, 4]
    last = TransientError("lost at last", exchange=told(503))
    with pytest.raises(TransientError) as raised:
        time.retries.run(call(), failing(LOST, LOST, LOST, last))
    assert raised.value is last


@given(share=st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_a_pause_is_drawn_between_nothing_and_its_bound(share: list[float]):
    drawn = iter(share)
    time = Time(jitter=lambda bound: next(drawn) * bound)
    time.retries.run(call(), failing(LOST, LOST, LOST, None))
    assert time.pauses == [part * bound for part, bound in zip(share, (1, 2, 4), strict=True)]


def test_what_comes_by_itself_is_full_jitter():
    bounds: set[bool] = set()
    for _ in range(200):
        slept: list[float] = []
        Retries(PATIENCE, sleep=slept.append).run(call(), failing(LOST, None))
        assert 0 <= slept[0] <= 1
        bounds.add(slept[0] < 0.5)
    assert bounds == {True, False}


def test_nothing_is_begun_that_would_end_past_the_deadline():
    time = Time()
    with pytest.raises(TransientError):
        time.retries.run(call(deadline_seconds=2.5), failing(LOST, LOST, LOST, None))
    assert time.pauses == [1], "the second pause would end at 3 s"


def test_every_attempt_is_told_its_number_and_the_one_deadline():
    seen: list[tuple[int, float]] = []

    def attempt(number: int, deadline: float) -> None:
        seen.append((number, deadline))
        if number < 3:
            raise LOST

    Time().retries.run(call(), attempt)
    assert seen == [(1, 120), (2, 120), (3, 120)]


@pytest.mark.parametrize("kind", ALWAYS)
def test_a_429_did_nothing_and_costs_no_attempt_whatever_the_call(kind: Kind):
    time = Time()
    refused = RateLimited("refused", retry_after=60, exchange=told(429))
    assert time.retries.run(call(kind), failing(*[refused] * 9, None)) == 1
    assert time.pauses == [], "the limiter, which has learned of it, makes everybody wait"


def test_a_turn_that_cannot_come_in_time_is_the_end():
    refused = RateLimited("no turn", retry_after=60)
    with pytest.raises(RateLimited) as raised:
        Time().retries.run(call(), failing(refused, None))
    assert raised.value is refused
