"""What is warm is answered from the event loop; all else goes its way through the pool."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.app.availability.lookup import Availability
from calcom_pipeline.domain.errors import CacheError
from calcom_pipeline.web.ports import FreeSlots
from calcom_pipeline.web.warm import WarmAnswers
from tests.support.web import asking
from tests.support.web_service import KeptService

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
WEEK = {"eventTypeId": 1, "start": "2026-12-02", "end": "2026-12-08"}


def wanted(number: int) -> Wanted:
    return Wanted(number, date(2026, 12, 2), date(2026, 12, 3))


class Looks:
    """Answers each event type with its number as a slot's count of nothing; waits for `gate`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began, self.gate = asyncio.Event(), asyncio.Event()
        self.error: BaseException | None = None

    async def __call__(self, questions: Sequence[Wanted]) -> Sequence[FreeSlots | None]:
        self.batches.append([one.event_type_id for one in questions])
        self.began.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [None if one.event_type_id == 0 else Availability((), NOW, unread=(one.first_day,)) for one in questions]


def test_who_asks_while_it_looks_is_answered_by_the_next_look():
    async def run() -> tuple[Looks, list[Any]]:
        looks = Looks()
        warm = WarmAnswers(looks)
        asked = [asyncio.create_task(warm.ask(wanted(n))) for n in (1, 0)]
        await looks.began.wait()
        asked += [asyncio.create_task(warm.ask(wanted(n))) for n in (3, 4, 5)]
        await asyncio.sleep(0)
        asked[3].cancel()  # whoever asked is gone
        looks.gate.set()
        return looks, await asyncio.gather(*asked, return_exceptions=True)

    looks, answers = asyncio.run(run())
    assert looks.batches == [[1, 0], [3, 4, 5]]
    assert [type(answer).__name__ for answer in answers] == [
        *("Availability", "NoneType", "Availability", "CancelledError", "Availability")
    ]


@pytest.mark.parametrize(("error", "told"), [(CacheError("away"), type(None)), (ValueError("a bug"), ValueError)])
def test_nobody_waits_for_ever_when_a_look_fails(error: Exception, told: type):
    async def run() -> list[Any]:
        looks = Looks()
        looks.gate.set()
        looks.error = error
        warm = WarmAnswers(looks)
        first = await asyncio.gather(*[warm.ask(wanted(n)) for n in (1, 2)], return_exceptions=True)
        looks.error = None
        return [*first, await warm.ask(wanted(3))]

    *failed, after = asyncio.run(run())
    assert [type(one) for one in failed] == [told, told]
    assert isinstance(after, Availability)


class WarmService(KeptService):
    """Tells what is warm: of event type 1 all, of the others nothing."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.looked = 0
        self.is_away = False

    @asynccontextmanager
    async def warm_times(self) -> "AsyncGenerator[WarmService.Times]":
        yield self.Times(self)

    class Times:
        def __init__(self, service: "WarmService") -> None:
            self._service = service

        async def availability(self, questions: Sequence[Wanted]) -> Sequence[FreeSlots | None]:
            self._service.looked += len(questions)
            if self._service.is_away:
                raise CacheError("Redis is away")
            return [self._service.told(one) if one.event_type_id == 1 else None for one in questions]

    def told(self, one: Wanted) -> Any:
        found = KeptService.availability(
            self, one.event_type_id, first_day=one.first_day, last_day=one.last_day, duration_minutes=None
        )
        self.asked.pop()
        return found


def test_the_first_answer_is_written_by_the_pool_and_the_next_ones_are_at_hand():
    service = WarmService(NOW)
    with asking(service, now=lambda: NOW) as asker:
        first, second = (asker.get("/v2/slots", **WEEK) for _ in range(2))
        assert (first.data, first.headers["etag"]) == (second.data, second.headers["etag"])
        assert (service.looked, service.asked) == (2, ["availability"])
        asker.post("/v2/bookings", {"eventTypeId": 1, "start": "2026-12-02T10:00:00Z", "attendee": ATTENDEE})
        changed = asker.get("/v2/slots", **WEEK)
        assert service.asked == ["availability", "book", "availability"], "other starts are written anew"
        assert changed.headers["etag"] != first.headers["etag"]
        assert asker.get("/v2/slots", headers={"If-None-Match": changed.headers["etag"]}, **WEEK).status == 304
        assert service.asked[3:] == []


ATTENDEE = {"name": "Ada", "email": "ada@example.org", "timeZone": "UTC"}


@pytest.mark.parametrize(("number", "is_away"), [(2, False), (1, True)])
def test_what_is_not_warm_goes_to_the_pool(number: int, is_away: bool):
    service = WarmService(NOW)
    service.is_away = is_away
    with asking(service, now=lambda: NOW) as asker:
        answers = [asker.get("/v2/slots", **{**WEEK, "eventTypeId": number}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert (service.looked, len(service.asked)) == (2, 2)


def test_a_window_that_is_over_is_looked_for_nowhere():
    service = WarmService(NOW + timedelta(days=30))
    with asking(service, now=lambda: NOW + timedelta(days=30)) as asker:
        assert asker.get("/v2/slots", **WEEK).data == {}
    assert service.looked == 0
