"""Whether the mirror is complete, the cache right and the limiter healthy: decided from what was read."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from calcom_pipeline.app.availability.ports import ShadowCounts
from calcom_pipeline.app.reports.caches import LONGEST_WAIT, cache_now
from calcom_pipeline.app.reports.call_ports import CallTotals
from calcom_pipeline.app.reports.limits import limiter_now
from calcom_pipeline.app.reports.mirrors import mirror_now
from calcom_pipeline.domain.bookings.listing import BookingPage
from calcom_pipeline.domain.errors import CacheError, TransientError

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)


@dataclass
class Unread:
    stream: str
    reason: str


class Counting:
    """Cal.com with so many bookings, or away; and a mirror with so many."""

    def __init__(self, there: int | None, here: int = 5) -> None:
        self.there, self.here, self.asked = there, here, 0

    def page(self, query: object) -> BookingPage:
        self.asked += 1
        if self.there is None:
            raise TransientError("no answer")
        return BookingPage((), (), NOW, NOW, total=self.there)

    def live(self, listing: object) -> int:
        return self.here


class Redis:
    """Shadow reads, the limiter and the circuits; `away`: none of it can be read."""

    def __init__(
        self, *, away: bool = False, wrong: int = 0, paused: float = 0.0, circuits: dict | None = None
    ) -> None:
        self.away, self.wrong, self.paused = away, wrong, paused
        self.circuits = circuits or {"slots": "closed"}

    def _ask(self) -> None:
        if self.away:
            raise CacheError("nothing listens")

    def lately(self) -> ShadowCounts:
        self._ask()
        return ShadowCounts(10, 20, 100, self.wrong)

    def view(self) -> "View":
        self._ask()
        return View(paused_seconds=self.paused)

    def states(self, groups: list[str]) -> dict[str, str]:
        self._ask()
        return self.circuits


@dataclass
class View:
    used: int = 30
    spendable: int = 110
    others: int = 10
    waiting: dict[str, int] = field(default_factory=lambda: {"sync": 2, "warm": 1})
    paused_seconds: float = 0.0


@dataclass
class Records:
    calls: CallTotals = field(default_factory=CallTotals)
    oldest: datetime | None = None

    def call_totals(self, *, since: datetime) -> CallTotals:
        assert since == NOW - timedelta(hours=1)
        return self.calls

    def oldest_pending_fact(self) -> datetime | None:
        return self.oldest


class TestLimiter:
    def look(self, redis: Redis, calls: CallTotals | None = None):
        return limiter_now(redis, redis, Records(calls or CallTotals(50)), groups=["slots"], now=NOW)

    def test_what_is_left_is_what_neither_we_nor_others_have_spent(self):
        now = self.look(Redis())
        assert (now.left, now.waiting, now.problems) == (70, 3, [])

    @pytest.mark.parametrize(
        ("redis", "calls", "said"),
        [
            (Redis(away=True), CallTotals(), "Redis cannot be asked"),
            (Redis(paused=42), CallTotals(), "blocks the key for another 42 s"),
            (Redis(circuits={"slots": "open", "bookings": "closed"}), CallTotals(), "failed too often at slots"),
            (Redis(), CallTotals(200, refused=3), "refused 3 of 200 requests"),
        ],
    )
    def test_each_trouble_is_a_sentence(self, redis, calls, said):
        (problem,) = self.look(redis, calls).problems
        assert said in problem


class TestCache:
    def look(self, redis: Redis, waited: timedelta | None = None):
        oldest = None if waited is None else NOW - waited
        return cache_now(redis, Records(oldest=oldest), allowed_rate=0.01, now=NOW)

    @pytest.mark.parametrize(
        ("redis", "waited", "right"),
        [
            (Redis(), None, True),
            (Redis(wrong=1), None, True),
            (Redis(wrong=2), None, False),
            (Redis(away=True), None, False),
            (Redis(), LONGEST_WAIT, True),
            (Redis(), LONGEST_WAIT + timedelta(seconds=1), False),
            (Redis(), -timedelta(minutes=10), True),  # a hold that ends later
        ],
    )
    def test_it_is_right_while_answers_are_and_changes_arrive(self, redis, waited, right):
        assert self.look(redis, waited).is_right is right


class TestMirror:
    @pytest.mark.parametrize(
        ("there", "unread", "complete"),
        [(5, [], True), (6, [], False), (4, [], False), (None, [], False), (5, [Unread("bookings", "odd")], False)],
    )
    def test_it_is_complete_while_counts_agree_and_every_row_was_read(self, there, unread, complete):
        api = Counting(there)
        now = mirror_now(api, api, unread, keeps_all=True)  # type: ignore[arg-type]
        assert now.is_complete is complete
        assert now.here == 5

    def test_where_old_bookings_are_dropped_cal_com_is_not_asked(self):
        api = Counting(99)
        assert mirror_now(api, api, [], keeps_all=False).is_complete  # type: ignore[arg-type]
        assert api.asked == 0

    def test_rows_that_could_not_be_read_are_counted_by_list_and_reason(self):
        api = Counting(5)
        rows = [Unread("bookings", "odd"), Unread("bookings", "odd"), Unread("slots", "late")]
        assert mirror_now(api, api, rows, keeps_all=True).unread == {("bookings", "odd"): 2, ("slots", "late"): 1}  # type: ignore[arg-type]
