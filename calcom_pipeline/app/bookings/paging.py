"""Puts a listing together from pages so that nothing is lost while it changes.

Offset paging skips and repeats rows of a list that changes (fact sheet 8.2), and Cal.com's own counts are wrong under
time filters (6.2). So paging goes by key: each page starts at the last key seen, inclusive, and what was handed out
before is left out. A page may be short only because a row was deleted between Cal.com's two queries (8.2), so a short
one ends a read only when one more request shows nothing more.

When one key fills a whole page, the read looks inside that instant: the key is pinned and its rows are paged through
by their start, and where one start fills a page too, by creation. Offsets are used nowhere but for more rows than a
page that are alike in every way; those are read again and again until nothing more turns up.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Literal

from calcom_pipeline.app.bookings.ports import BookingApi
from calcom_pipeline.domain.bookings.listing import TICK, BookingPage, BookingQuery, BookingSort, Keys, Listing
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.positions import Covered
from calcom_pipeline.domain.errors import ContractBroken

#: Passes over rows that are alike which must bring nothing new before all of them count as seen. Cal.com orders them
#: at random: one of 400 is on neither of two pages with a chance of a quarter.
QUIET_PASSES = 8
_END_OF_TIME = datetime.max.replace(tzinfo=UTC) - TICK
# A Date names the whole second in which an answer was given.
_REST_OF_THE_SECOND = timedelta(seconds=1) - TICK

_Ways = tuple[BookingSort, ...]
# How rows that share a key are told apart, one after the other. Never by update time: old rows have none.
_INSIDE_AN_UPDATE: _Ways = ("start", "createdAt", "start")
_INSIDE_A_CREATION: _Ways = ("start",)
# For lists by start nothing pins one start, and team lists may ignore the filters on creation.
_INSIDE_A_START: _Ways = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """One page of a read. `page` holds the rows that the read had not just handed out.

    `reached`: a read that is interrupted after this page goes on there, inclusive. `covered`: keys that were shown
    completely, so that a booking missing among them means something.
    """

    page: BookingPage
    reached: datetime | None
    covered: Covered | None = None


def changed_since(
    api: BookingApi, listing: Listing, after: datetime, *, take: int, confirm: bool = True
) -> Iterator[Stretch]:
    """Rows updated since `after`, up to the Date of the first answer: a busy account is not chased for ever.

    Without `confirm` a first page that is short is the last: cheap, but the caller must not take it for the end.
    """
    query = BookingQuery(listing, sort="updatedAt", after_updated_at=floor_to_tick(after), take=take)
    return _walk(api, query, _INSIDE_AN_UPDATE, _Ends(at_first_date=True, confirm=confirm))


def created_between(
    api: BookingApi, listing: Listing, low: datetime | None, high: datetime | None, *, take: int
) -> Iterator[Stretch]:
    """All rows created from `low` to `high`, both inclusive; None is open.

    Of rows that are created while it reads it takes what comes, and ends with the first page that is not full.
    """
    low = None if low is None else floor_to_tick(low)
    query = BookingQuery(listing, sort="createdAt", after_created_at=low, before_created_at=high, take=take)
    return _walk(api, query, _INSIDE_A_CREATION, _Ends(at_first_date=True, full_pages_go_on=True))


def starting_between(
    api: BookingApi, listing: Listing, low: datetime | None, high: datetime | None, *, take: int
) -> Iterator[Stretch]:
    """All rows that start from `low` to `high`, and some that start later; None is open."""
    low = None if low is None else floor_to_tick(low)
    query = BookingQuery(listing, sort="start", after_start=low, take=take)
    return _walk(api, query, _INSIDE_A_START, _Ends(past=high))


def floor_to_tick(moment: datetime) -> datetime:
    """The instant as Cal.com can be asked for it: whole milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class _Ends:
    """What ends a read besides a confirmed short page: a key past `past`, since keys come in order.

    With `at_first_date` that is the Date of the first answer. `full_pages_go_on`: only a short page ends it, so that
    rows which claim to be from the future are read too.
    """

    past: datetime | None = None
    at_first_date: bool = False
    full_pages_go_on: bool = False
    confirm: bool = True

    def known_from(self, page: BookingPage) -> "_Ends":
        """The same once the first answer is there."""
        return replace(self, past=page.answered_at + _REST_OF_THE_SECOND, at_first_date=False)


def _walk(api: BookingApi, query: BookingQuery, ways: _Ways, ends: _Ends) -> Generator[Stretch]:
    """Pages by key until nothing more comes."""
    known, uids = frozenset[bytes](), frozenset[str]()
    short_before = False
    while True:
        page = _fetch(api, query)
        if ends.at_first_date:
            ends = ends.known_from(page)
            query = replace(query, before_updated_at=ends.past) if query.sort == "updatedAt" else query
        low, last, is_short = _lower(query), _last_key(page, query), page.rows < query.take
        if not is_short and last is not None and last == low:
            rest_was_read = yield from _inside(api, query, page, ways)
            if rest_was_read or last >= _END_OF_TIME:
                return
            query, known, short_before = _from(query, last + TICK), frozenset[bytes](), False
            continue
        fresh = _without(page, known)
        confirmed = is_short and short_before and not fresh.unreadable and uids.issuperset(_uids(fresh))
        ended = confirmed or (_is_past(last, ends.past) and (is_short or not ends.full_pages_go_on))
        yield Stretch(fresh, last or low, _covered(query, page, last, at_end=ended and is_short))
        if ended or (is_short and not ends.confirm):
            return
        known, uids, short_before = frozenset(_tokens(page)), frozenset(_uids(page)), is_short
        query, ends = _from(query, last), replace(ends, confirm=True)


def _inside(api: BookingApi, query: BookingQuery, page: BookingPage, ways: _Ways) -> Generator[Stretch, None, bool]:
    """Every row whose key is the one that fills `page`. Answers whether all later keys were read with it."""
    value = _last_key(page, query)
    if value is None:
        raise AssertionError("a page that one key fills has that key")
    yield Stretch(page, value)
    uids = set(_uids(page))
    inner = _walk(api, _pinned(query, value, ways[0]), ways[1:], _Ends()) if ways else _alike(api, query, value)
    for stretch in inner:
        uids.update(_uids(stretch.page))
        yield replace(stretch, reached=value, covered=None)
    if query.sort == "createdAt" and ways:
        covered = Covered("createdAt", value, value + TICK, frozenset(uids))
        yield Stretch(replace(page, bookings=(), unreadable=(), keys=()), value, covered)
    return query.sort == "start" and bool(ways)  # a start has no upper bound: the inner read went on to the end


def _alike(api: BookingApi, query: BookingQuery, value: datetime) -> Generator[Stretch]:
    """More rows than a page that nothing tells apart: by offset, over and over until nothing more turns up."""
    seen: set[str | None] = set()
    quiet = 0
    while quiet < QUIET_PASSES:
        before, skip = len(seen), 0
        while True:
            page = _fetch(api, replace(query, skip=skip))
            seen.update(k.uid for k in page.keys if _READ[query.sort](k) == value)
            yield Stretch(page, value)
            if page.rows < query.take or _is_past(_last_key(page, query), value):
                break
            skip += query.take
        quiet = quiet + 1 if len(seen) == before else 0


def _fetch(api: BookingApi, query: BookingQuery) -> BookingPage:
    """A page whose rows are what was asked for.

    Raises:
        ContractBroken: a row lies outside the bounds or the order: the server ignores a filter (fact sheet 6.3).
    """
    page = api.page(query)
    keys = _known(page, query.sort)
    if keys != sorted(keys):
        raise ContractBroken(f"Listing bookings of {query.listing}: rows are not in the order of {query.sort}")
    if not (
        _between(query.after_updated_at, page, "updatedAt", query.before_updated_at)
        and _between(query.after_created_at, page, "createdAt", query.before_created_at)
        and _between(query.after_start, page, "start", None)
        and _between(None, page, "end", query.before_end)
    ):
        raise ContractBroken(f"Listing bookings of {query.listing}: a row lies outside the bounds that were asked for")
    if not keys and page.rows == query.take:
        raise ContractBroken(f"Listing bookings of {query.listing}: no row of a whole page has a {query.sort}")
    return page


def _between(
    low: datetime | None, page: BookingPage, name: BookingSort | Literal["end"], high: datetime | None
) -> bool:
    """Whether all keys of a kind lie inside; one that could not be read is taken for it."""
    if low is None and high is None:
        return True
    keys = _known(page, name)
    return not keys or ((low is None or low <= min(keys)) and (high is None or max(keys) <= high))


def _known(page: BookingPage, name: BookingSort | Literal["end"]) -> list[datetime]:
    """The keys of one kind that a page's rows have, in Cal.com's order."""
    return [key for key in map(_READ[name], page.keys) if key is not None]


_READ: dict[str, Callable[[Booking | Keys], datetime | None]] = {
    "updatedAt": attrgetter("updated_at"),
    "createdAt": attrgetter("created_at"),
    "start": attrgetter("start"),
    "end": attrgetter("end"),
}


def _last_key(page: BookingPage, query: BookingQuery) -> datetime | None:
    return max(_known(page, query.sort), default=None)


def _is_past(key: datetime | None, limit: datetime | None) -> bool:
    return key is not None and limit is not None and key > limit


def _lower(query: BookingQuery) -> datetime | None:
    if query.sort == "updatedAt":
        return query.after_updated_at
    return query.after_created_at if query.sort == "createdAt" else query.after_start


def _from(query: BookingQuery, key: datetime | None) -> BookingQuery:
    """The same query from a key on, inclusive."""
    if key is None:
        return query
    if query.sort == "updatedAt":
        return replace(query, after_updated_at=key)
    return replace(query, after_created_at=key) if query.sort == "createdAt" else replace(query, after_start=key)


def _pinned(query: BookingQuery, value: datetime, sort: BookingSort) -> BookingQuery:
    """Only rows with this key (of a start: from it on), sorted in another way."""
    if query.sort == "updatedAt":
        return replace(query, after_updated_at=value, before_updated_at=value, sort=sort)
    if query.sort == "createdAt":
        return replace(query, after_created_at=value, before_created_at=value, sort=sort)
    return replace(query, after_start=value, sort=sort)


def _covered(query: BookingQuery, page: BookingPage, last: datetime | None, *, at_end: bool) -> Covered | None:
    """What a page of a read by creation or start shows completely; the last key's own rows may go on behind it."""
    if query.sort == "updatedAt" or (last is None and not at_end):
        return None
    high = query.before_created_at
    end = None if high is None or query.sort == "start" or high >= _END_OF_TIME else high + TICK
    return Covered(query.sort, _lower(query), end if at_end else last, frozenset(_uids(page)))


def _without(page: BookingPage, known: frozenset[bytes]) -> BookingPage:
    if not known:
        return page
    bookings = [b for b in page.bookings if b.uid.encode() + b.payload_hash not in known]
    return replace(page, bookings=bookings, unreadable=[r for r in page.unreadable if r.raw not in known])


def _tokens(page: BookingPage) -> Iterator[bytes]:
    yield from (b.uid.encode() + b.payload_hash for b in page.bookings)
    yield from (record.raw for record in page.unreadable)


def _uids(page: BookingPage) -> Iterator[str]:
    return (k.uid for k in page.keys if k.uid is not None)
