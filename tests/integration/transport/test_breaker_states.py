"""The breaker against a model of it, on the real script; its clock only moves when told."""

import json
import math
from dataclasses import dataclass

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

from calcom_pipeline.adapters.redis import breaker as breaker_module
from calcom_pipeline.adapters.redis.breaker import BreakerRules, RedisBreaker
from calcom_pipeline.app.limits import Passage
from calcom_pipeline.domain.errors import CircuitOpen
from tests.support.limiter_world import CLOCK_KEY, START

RULES = BreakerRules(failures=5, open_seconds=60, successes=2)
GROUP = "bookings"


def breaker_with_fake_clock(client: redis.Redis) -> RedisBreaker:
    plain = breaker_module.script
    fake = f'cjson.decode(redis.call("GET", "{CLOCK_KEY}"))'
    breaker_module.script = lambda name: plain(name).replace('redis.call("TIME")', fake)
    try:
        return RedisBreaker(client, key_name="test", rules=RULES)
    finally:
        breaker_module.script = plain


class Clock:
    """Redis's clock, ours to move."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.now = START
        self.advance(0)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        whole = math.floor(self.now)
        self._client.set(CLOCK_KEY, json.dumps([whole, round((self.now - whole) * 1e6)]))


@pytest.fixture
def clock(redis_client: redis.Redis) -> Clock:
    return Clock(redis_client)


@pytest.fixture
def breaker(redis_client: redis.Redis, clock: Clock) -> RedisBreaker:
    return breaker_with_fake_clock(redis_client)


def attempt(breaker: RedisBreaker, outcome: str, *, group: str = GROUP) -> None:
    breaker.report(breaker.enter(group, longest_seconds=15), outcome)


def opened(breaker: RedisBreaker, *, group: str = GROUP) -> None:
    for _ in range(5):
        attempt(breaker, "failed", group=group)


def state(breaker: RedisBreaker) -> str:
    return breaker.states([GROUP])[GROUP]


def test_five_failures_in_a_row_open_it_for_a_minute(breaker: RedisBreaker, clock: Clock):
    for outcome in ("failed", "failed", "failed", "failed", "ok", "failed", "failed", "failed", "failed", "unclear"):
        attempt(breaker, outcome)
    assert state(breaker) == "closed"
    attempt(breaker, "failed")
    with pytest.raises(CircuitOpen) as refused:
        breaker.refuse_when_open(GROUP)
    assert refused.value.retry_after == 60
    clock.advance(59.9)
    with pytest.raises(CircuitOpen):
        breaker.enter(GROUP, longest_seconds=15)
    clock.advance(0.1)
    breaker.refuse_when_open(GROUP)


def test_half_open_one_request_at_a_time_tries_and_two_successes_close_it(breaker: RedisBreaker, clock: Clock):
    opened(breaker)
    clock.advance(60)
    probe = breaker.enter(GROUP, longest_seconds=15)
    with pytest.raises(CircuitOpen) as refused:
        breaker.enter(GROUP, longest_seconds=15)
    assert refused.value.retry_after == 1
    breaker.report(probe, "ok")
    assert state(breaker) == "half open"
    attempt(breaker, "ok")
    assert state(breaker) == "closed"


def test_a_failed_try_opens_it_for_another_minute(breaker: RedisBreaker, clock: Clock):
    opened(breaker)
    clock.advance(60)
    attempt(breaker, "ok")
    attempt(breaker, "failed")
    assert state(breaker) == "open"
    clock.advance(60)
    attempt(breaker, "ok")
    assert state(breaker) == "half open", "successes before the failure count no more"


def test_an_unclear_try_gives_the_probe_back_and_decides_nothing(breaker: RedisBreaker, clock: Clock):
    opened(breaker)
    clock.advance(60)
    attempt(breaker, "unclear")
    assert state(breaker) == "half open"
    breaker.enter(GROUP, longest_seconds=15)


def test_a_killed_prober_holds_the_probe_no_longer_than_its_own_time_out(breaker: RedisBreaker, clock: Clock):
    opened(breaker)
    clock.advance(60)
    lost = breaker.enter(GROUP, longest_seconds=15)
    clock.advance(15)
    successor = breaker.enter(GROUP, longest_seconds=15)
    breaker.report(lost, "failed")
    assert state(breaker) == "half open", "who lost the probe decides nothing"
    breaker.report(successor, "ok")
    attempt(breaker, "ok")
    assert state(breaker) == "closed"


def test_what_was_sent_before_it_opened_neither_closes_nor_prolongs_it(breaker: RedisBreaker, clock: Clock):
    early = [breaker.enter(GROUP, longest_seconds=15) for _ in range(8)]
    for passage in early[:5]:
        breaker.report(passage, "failed")
    clock.advance(30)
    breaker.report(early[5], "failed")
    breaker.report(early[6], "ok")
    with pytest.raises(CircuitOpen) as refused:
        breaker.refuse_when_open(GROUP)
    assert refused.value.retry_after == 30
    clock.advance(30)
    attempt(breaker, "ok")
    attempt(breaker, "ok")
    breaker.report(early[7], "failed")
    assert state(breaker) == "closed"


def test_groups_do_not_share_a_circuit(breaker: RedisBreaker):
    opened(breaker, group="slots")
    breaker.refuse_when_open(GROUP)
    assert breaker.states(["slots", GROUP]) == {"slots": "open", GROUP: "closed"}


def test_without_redis_everything_passes(breaker: RedisBreaker):
    away = RedisBreaker(redis.Redis(host="127.0.0.1", port=1, retry=None), key_name="test", rules=RULES)
    away.refuse_when_open(GROUP)
    assert away.enter(GROUP, longest_seconds=15) is None
    away.report(None, "failed")


# --- as a state machine --------------------------------------------------------------------------------------


@dataclass
class Model:
    """The breaker in a dozen lines of Python."""

    until: float | None = None
    failures: int = 0
    successes: int = 0
    epoch: int = 0
    probe: str | None = None
    probe_until: float = 0.0

    def become(self, until: float | None) -> None:
        self.until, self.failures, self.successes, self.probe = until, 0, 0, None
        self.epoch += 1

    def state(self, now: float) -> str:
        return "closed" if self.until is None else "open" if self.until > now else "half open"

    def lets_through(self, now: float) -> bool:
        busy = self.probe is not None and self.probe_until > now
        return self.state(now) == "closed" or (self.state(now) == "half open" and not busy)

    def report(self, passage: Passage, outcome: str, now: float) -> None:
        current = self.state(now)
        if current == "closed" and passage.epoch == self.epoch:
            self.failures = 0 if outcome == "ok" else self.failures + (outcome == "failed")
            if self.failures >= RULES.failures:
                self.become(now + RULES.open_seconds)
        elif current == "half open" and passage.id == self.probe:
            self.probe = None
            self.successes += outcome == "ok"
            if outcome == "failed":
                self.become(now + RULES.open_seconds)
            elif self.successes >= RULES.successes:
                self.become(None)


class Breaking(RuleBasedStateMachine):
    """Any order of entering, reporting (late, or never) and waiting."""

    under_way = Bundle("under_way")
    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushdb()
        self.clock = Clock(self.client)
        self.breaker = breaker_with_fake_clock(self.client)
        self.model = Model()

    @rule(target=under_way, lease=st.sampled_from((1.0, 15.0, 60.0)))
    def enter(self, lease: float):
        expected = self.model.lets_through(self.clock.now)
        if not expected:
            with pytest.raises(CircuitOpen) as refused:
                self.breaker.enter(GROUP, longest_seconds=lease)
            assert 0 < refused.value.retry_after <= RULES.open_seconds
            return multiple()
        passage = self.breaker.enter(GROUP, longest_seconds=lease)
        if self.model.state(self.clock.now) == "half open":
            self.model.probe, self.model.probe_until = passage.id, self.clock.now + lease
        return passage

    @rule(passage=consumes(under_way), outcome=st.sampled_from(("ok", "failed", "failed", "failed", "unclear")))
    def report(self, passage: Passage, outcome: str):
        self.breaker.report(passage, outcome)
        self.model.report(passage, outcome, self.clock.now)
        assert self.breaker.states([GROUP])[GROUP] == self.model.state(self.clock.now)

    @rule()
    def fail_often(self):
        for _ in range(RULES.failures):
            if self.model.lets_through(self.clock.now):
                passage = self.enter(15.0)
                self.report(passage, "failed")

    @rule(seconds=st.sampled_from((0.5, 14.5, 30.0, 60.0, 61.0)))
    def wait(self, seconds: float):
        self.clock.advance(seconds)
        assert self.breaker.states([GROUP])[GROUP] == self.model.state(self.clock.now)


@pytest.fixture
def machine(redis_client: redis.Redis) -> type[Breaking]:
    Breaking.client = redis_client
    return Breaking


def test_it_moves_like_its_model_in_any_order_of_events(machine: type[Breaking]):
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(machine, settings=settings(stateful_step_count=30))
