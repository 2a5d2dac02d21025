"""Requests of a token, counted for all processes together; and by each for itself while Redis is away."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.redis.connection import RedisBounds
from calcom_pipeline.adapters.redis.request_budget import open_request_budget
from calcom_pipeline.adapters.redis.soon import SoonConnection
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.web.callers import Callers
from calcom_pipeline.web.problems import ProblemError

TOKEN, OTHER = "website-token-0001", "shop-token-000000002"
TOKENS = {"website": TOKEN, "shop": OTHER}


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Budget:
    """So many requests for each caller; away while it is told so."""

    def __init__(self, left: int) -> None:
        self.left = {"website": left, "shop": left}
        self.taken: list[int] = []
        self.is_away = False

    async def take(self, caller: str, wanted: int, *, per_minute: float) -> tuple[int, float]:
        assert per_minute > 0
        await asyncio.sleep(0)
        if self.is_away:
            raise CacheError("Redis is away")
        granted = min(wanted, self.left[caller])
        self.left[caller] -= granted
        self.taken.append(granted)
        return granted, 7.5


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def admitted(callers: Callers, times: int, token: str = TOKEN) -> int:
    """How many of so many at once are let in."""
    answers = await asyncio.gather(*[callers.admit(f"Bearer {token}") for _ in range(times)], return_exceptions=True)
    assert {one.kind.status for one in answers if isinstance(one, ProblemError)} <= {429}
    assert all(isinstance(one, str | ProblemError) for one in answers)
    return sum(isinstance(one, str) for one in answers)


def test_alone_each_token_has_requests_of_its_own_that_come_back_with_time():
    clock = Clock()
    callers = Callers(TOKENS, per_minute=3, clock=clock)
    assert run(admitted(callers, 5)) == 3
    with pytest.raises(ProblemError) as refused:
        run(callers.admit(f"Bearer {TOKEN}"))
    assert refused.value.kind.status == 429
    assert refused.value.retry_after == pytest.approx(20.0)
    assert run(admitted(callers, 1, OTHER)) == 1
    clock.seconds = 20.0
    assert run(admitted(callers, 5)) == 1


@pytest.mark.parametrize("per_minute", [2, 100, 3000])
def test_processes_let_in_together_what_a_token_has_and_no_more(per_minute: int):
    async def story() -> tuple[int, Budget]:
        budget, several = Budget(70), [Callers(TOKENS, per_minute=per_minute) for _ in range(3)]
        for callers in several:
            callers.budget = budget
        let_in = sum(await asyncio.gather(*[admitted(callers, 40) for callers in several]))
        return let_in, budget

    let_in, budget = run(story())
    assert let_in == 70
    assert budget.left == {"website": 0, "shop": 70}


def test_a_refused_caller_is_told_when_to_come_again_and_most_requests_ask_nobody():
    async def story() -> tuple[float | None, list[int]]:
        callers, budget = Callers(TOKENS, per_minute=3000), Budget(50)
        callers.budget = budget
        for _ in range(50):
            await callers.admit(f"Bearer {TOKEN}")
        with pytest.raises(ProblemError) as refused:
            await callers.admit(f"Bearer {TOKEN}")
        return refused.value.retry_after, budget.taken

    assert run(story()) == (7.5, [25, 25, 0])


def test_what_was_taken_and_not_used_lapses():
    async def story() -> list[int]:
        clock = Clock()
        callers, budget = Callers(TOKENS, per_minute=3000, clock=clock), Budget(50)
        callers.budget = budget
        await callers.admit(f"Bearer {TOKEN}")
        clock.seconds = 6.0
        await callers.admit(f"Bearer {TOKEN}")
        return budget.taken

    assert run(story()) == [25, 25]


def test_while_it_cannot_be_counted_together_a_process_lets_in_its_share():
    async def story() -> tuple[int, int]:
        callers, budget = Callers(TOKENS, per_minute=8, share=2), Budget(5)
        budget.is_away = True
        callers.budget = budget
        away = await admitted(callers, 5)
        budget.is_away = False
        return away, await admitted(callers, 9)

    assert run(story()) == (2, 5)


def test_the_bucket_in_redis_is_refilled_evenly_and_shared(redis_url: str, redis_client: redis.Redis):
    async def story() -> list[tuple[int, float]]:
        async with (
            open_request_budget(SoonConnection(redis_url, RedisBounds()), prefix="p:") as one,
            open_request_budget(SoonConnection(redis_url, RedisBounds()), prefix="p:") as other,
        ):
            first = [await taker.take("website", 4, per_minute=6) for taker in (one, other, one)]
            _moved_back(redis_client, "p:http:requests:website", 10.5)
            return [*first, await other.take("website", 4, per_minute=6), await one.take("shop", 9, per_minute=6)]

    found = run(story())
    assert [granted for granted, _ in found] == [4, 2, 0, 1, 6]
    assert 9 < found[2][1] <= 10
    assert 0 < redis_client.pttl("p:http:requests:website") <= 120_000


def test_a_bucket_that_somebody_spoiled_is_a_full_one(redis_url: str, redis_client: redis.Redis):
    redis_client.set("p:http:requests:website", "no hash")

    async def story() -> tuple[int, float]:
        async with open_request_budget(SoonConnection(redis_url, RedisBounds()), prefix="p:") as budget:
            return await budget.take("website", 9, per_minute=6)

    assert run(story())[0] == 6


def _moved_back(client: redis.Redis, key: str, seconds: float) -> None:
    at: Any = client.hget(key, "at")
    client.hset(key, "at", str(int(at) - int(seconds * 1_000_000)))
