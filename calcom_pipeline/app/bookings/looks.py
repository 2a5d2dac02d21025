"""What one answer of a list that changes proves, and what it does not.

Cal.com reads a page in two queries: the ids in the order that was asked for, then their rows. A booking that changes in
between comes with its new values at its old place: out of order, or past an upper bound (fact sheet 11). It has moved;
it is stored like any other and met again at its new place. But a row can also have moved unseen, to a key behind all
others of the page, and whoever went on from that key would skip everything in between.

So a read goes on from rows that are settled:

- A row that was last changed before the question was sent, less the time by which Cal.com commits late, did not move.
- A row that two answers to one question show alike stood at that place when the second one was given.

Settled rows that are out of order or outside the bounds are no rows that moved: the server ignores the sort or the
filter (fact sheet 6.3). Anything odd is asked for once more before it is called that.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Literal

from calcom_pipeline.app.bookings.ports import BookingApi
from calcom_pipeline.domain.bookings.listing import BookingPage, BookingQuery, BookingSort, Keys
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.errors import ContractBroken

#: How late Cal.com commits what it has stamped; CALCOM_BOOKING_OVERLAP_SECONDS says why.
LATENESS = timedelta(seconds=120)

# How often a page is asked for again, at most: one whose settled rows stood in wrong places until an answer shows no
# sign of it (a commit that was later than any should be explains it once), one of which most rows had moved until few
# have. What then still is not proven wrong is a storm.
_ANSWERS = 3
_FEW = 0.5

_Row = Booking | Keys
_Name = BookingSort | Literal["end"]
_READ: dict[str, Callable[[_Row], datetime | None]] = {
    "updatedAt": attrgetter("updated_at"),
    "createdAt": attrgetter("created_at"),
    "start": attrgetter("start"),
    "end": attrgetter("end"),
}
_ALL_OF_A_ROW = attrgetter("uid", "updated_at", "created_at", "start", "end")
# Going on from a settled row before the last one repeats what comes after it; that half of a page may be repeated
# costs less than asking for the whole page once more.
_SHARE_THAT_IS_ENOUGH = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """A page, and how far it can be believed.

    `last` is the key of its last row inside the bounds, `settled` the greatest key of rows that have certainly not
    moved. `cursor`: everything that stood before this key is on the page; None where no key can be named. `before` is
    the earlier answer to the same question, if that was asked twice.
    """

    page: BookingPage
    last: datetime | None
    settled: datetime | None
    cursor: datetime | None
    before: BookingPage | None = None


@dataclass(frozen=True, slots=True)
class Care:
    """When a page is asked for twice rather than going on from a row that may have moved unseen.

    `always`: on every page. Else where the read would end by that row's key, which lies past `past`.
    """

    always: bool = False
    past: datetime | None = None


class Asker:
    """Asks for the pages of one read."""

    def __init__(self, api: BookingApi, *, lateness: timedelta = LATENESS) -> None:
        self._api = api
        self._lateness = lateness

    def look(self, query: BookingQuery, care: Care = Care()) -> Look:
        """A page of rows that are what was asked for, or that have moved meanwhile.

        Raises:
            ContractBroken: the server ignores the sort or a filter.
        """
        first = self._page(query)
        judged = _Judged(first, query, self._lateness)
        if not (judged.broken or judged.moved or judged.is_doubtful(care)):
            return judged.look(care)
        broken, seen = judged.broken, {_ALL_OF_A_ROW(row) for row in first.keys}
        for _ in range(_ANSWERS):
            page = self._page(query)
            judged = _Judged(page, query, self._lateness, seen=seen)
            if judged.broken:
                raise ContractBroken(f"Listing bookings of {query.listing}: {judged.broken}")
            if not judged.moved or (not broken and judged.moved <= _FEW * page.rows):
                break
            seen.update(_ALL_OF_A_ROW(row) for row in page.keys)
        if broken and judged.moved:
            raise ContractBroken(f"Listing bookings of {query.listing}: {broken}")
        return judged.look(care, before=first)

    def _page(self, query: BookingQuery) -> BookingPage:
        page = self._api.page(query)
        if any(_is_before(row, query) for row in page.keys):
            raise ContractBroken(f"Listing bookings of {query.listing}: {_OUTSIDE}")
        if page.rows == query.take and all(key_of(row, query) is None for row in page.keys):
            raise ContractBroken(f"Listing bookings of {query.listing}: no row of a whole page has a {query.sort}")
        return page


_OUTSIDE = "a row lies outside the bounds that were asked for"


class _Judged:
    """One answer, row by row."""

    def __init__(
        self,
        page: BookingPage,
        query: BookingQuery,
        lateness: timedelta,
        *,
        seen: Collection[tuple[object, ...]] = frozenset(),
    ) -> None:
        self._page, self._query = page, query
        self._low = lower_bound(query)
        self._short = page.rows < query.take
        self._settles = page.read_at - lateness
        inside = [row for row in page.keys if key_of(row, query) is not None and not _is_outside(row, query)]
        settled = [row for row in page.keys if self._is_settled(row) or _ALL_OF_A_ROW(row) in seen]
        keys, settled_keys = _keys(inside, query), _keys(settled, query)
        self.broken = ""
        if settled_keys != sorted(settled_keys):
            self.broken = f"rows are not in the order of {query.sort}"
        if any(_is_outside(row, query) for row in settled):
            self.broken = _OUTSIDE
        #: How many rows are at a place that is not their own.
        self.moved = _out_of_order(keys) + sum(_is_outside(row, query) for row in page.keys)
        self._last = keys[-1] if keys else None
        pinned = query.after_updated_at is not None and query.after_updated_at == query.before_updated_at
        if pinned:  # whatever changes leaves the instant, and with it the bounds
            settled_keys = keys
        self._settled = max(settled_keys, default=None)
        self._enough = len(settled_keys) >= _SHARE_THAT_IS_ENOUGH * page.rows

    def _is_settled(self, row: _Row) -> bool:
        return row.updated_at is None or row.updated_at < self._settles

    def look(self, care: Care, *, before: BookingPage | None = None) -> Look:
        cursor = self._settled if before is not None and self._needs_care(care) else self._cursor()
        return Look(self._page, self._last, self._settled, cursor, before)

    def is_doubtful(self, care: Care) -> bool:
        """Whether going on from here might skip rows that nothing brings back."""
        return not self._short and self._cursor() != self._settled and self._needs_care(care)

    def _needs_care(self, care: Care) -> bool:
        if self._query.sort == "createdAt":  # when a booking was made never changes
            return False
        if self._query.sort == "updatedAt":  # what is skipped of the last moments is read again by the next read
            return self._low is None or self._low < self._settles
        return care.always or is_past(self._last, care.past)

    def _cursor(self) -> datetime | None:
        last, settled = self._last, self._settled
        if settled is not None and (last is None or settled >= last):
            return settled
        if self._short and self._query.sort != "createdAt":  # the next request confirms it, from wherever
            return settled
        goes_on = settled is not None and (self._low is None or settled > self._low)
        return settled if not self._short and goes_on and self._enough else last


def key_of(row: _Row, query: BookingQuery) -> datetime | None:
    """The key that the query sorts by."""
    return _READ[query.sort](row)


def lower_bound(query: BookingQuery) -> datetime | None:
    """Where the query begins, inclusive, in its own sort."""
    if query.sort == "updatedAt":
        return query.after_updated_at
    return query.after_created_at if query.sort == "createdAt" else query.after_start


def is_past(key: datetime | None, limit: datetime | None) -> bool:
    """Whether there is a key, and it lies behind the limit."""
    return key is not None and limit is not None and key > limit


def _out_of_order(keys: list[datetime]) -> int:
    """How many are later than one behind them."""
    count, least = 0, None
    for key in reversed(keys):
        if least is not None and key > least:
            count += 1
        else:
            least = key
    return count


def _keys(rows: list[_Row], query: BookingQuery) -> list[datetime]:
    return [key for row in rows if (key := key_of(row, query)) is not None]


def _is_before(row: _Row, query: BookingQuery) -> bool:
    """Whether a row is earlier than a bound that no change can bring it behind: stamps only grow."""
    return _less(row.updated_at, query.after_updated_at) or _less(row.created_at, query.after_created_at)


def _is_outside(row: _Row, query: BookingQuery) -> bool:
    """Whether a row lies outside the bounds in a way that a change can explain: later, or moved to an earlier start."""
    return (
        _less(query.before_updated_at, row.updated_at)
        or _less(query.before_created_at, row.created_at)
        or _less(query.before_end, row.end)
        or _less(row.start, query.after_start)
    )


def _less(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other
