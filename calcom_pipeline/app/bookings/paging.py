"""Puts a listing together from pages so that nothing is lost while it changes.

Offset paging skips and repeats rows of a list that changes (fact sheet 8.2), and Cal.com's own counts are wrong under
time filters (6.2). So paging goes by key: each page starts at the last key seen, inclusive, and what was handed out
before is left out. A page may be short only because a row was deleted between Cal.com's two queries (8.2), so a short
one ends a read only when one more request shows nothing more. Which key of a page can be gone on from while its rows
move is the business of `looks.py`.

When one key fills a whole page, the read looks inside that instant: the key is pinned and its rows are paged through
by their start, and where one start fills a page too, by creation. Offsets are used nowhere but for more rows than a
page that are alike in every way; those are read again and again until nothing more turns up.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from calcom_pipeline.app.bookings.looks import LATENESS, Asker, Care, Look, is_past, key_of, lower_bound
from calcom_pipeline.app.bookings.ports import BookingApi
from calcom_pipeline.domain.bookings.listing import TICK, BookingPage, BookingQuery, BookingSort, Listing
from calcom_pipeline.domain.bookings.positions import Covered
from calcom_pipeline.domain.errors import TransientError

#: Passes over rows that are alike which must bring nothing new before all of them count as seen. Cal.com orders them
#: at random: one of 400 is on neither of two pages with a chance of a quarter.
QUIET_PASSES = 8
# Short pages in a row that end a read although each brings something new: all that was there has been read by then, and
# an account in which somebody always books is not chased for ever.
_MOST_CONFIRMATIONS = 10
# Pages in a row of which every single row had moved. Each is a page that is done with, so that is a storm.
_MOST_STANDSTILLS = 20
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

    `reached`: a read that is interrupted after this page goes on there, inclusive; None: it was asked for once more.
    `covered`: keys that were shown completely, so that a booking missing among them means something.
    """

    page: BookingPage
    reached: datetime | None
    covered: Covered | None = None


def changed_since(
    api: BookingApi,
    listing: Listing,
    after: datetime,
    *,
    take: int,
    confirm: bool = True,
    until: datetime | None = None,
    lateness: timedelta = LATENESS,
) -> Iterator[Stretch]:
    """Rows updated since `after`, up to when the first one was answered: a busy account is not chased for ever.

    Whichever clock is later tells when that was, Cal.com's Date or ours: reading too far loses nothing. The first
    request asks for nothing stamped past `until`, so that rows from the year 9999 do not come with every read.

    Without `confirm` a first page that is short is the last: cheap, but the caller must not take it for the end.
    """
    query = BookingQuery(
        listing, sort="updatedAt", after_updated_at=floor_to_tick(after), before_updated_at=until, take=take
    )
    ends = _Ends(at_first_date=True, confirm=confirm)
    return _walk(Asker(api, lateness=lateness), query, _INSIDE_AN_UPDATE, ends)


def created_between(
    api: BookingApi,
    listing: Listing,
    low: datetime | None,
    high: datetime | None,
    *,
    take: int,
    lateness: timedelta = LATENESS,
) -> Iterator[Stretch]:
    """All rows created from `low` to `high`, both inclusive; None is open.

    Of rows that are created while it reads it takes what comes, and ends with the first page that is not full.
    """
    low = None if low is None else floor_to_tick(low)
    query = BookingQuery(listing, sort="createdAt", after_created_at=low, before_created_at=high, take=take)
    ends = _Ends(at_first_date=True, full_pages_go_on=True)
    return _walk(Asker(api, lateness=lateness), query, _INSIDE_A_CREATION, ends)


def starting_between(
    api: BookingApi,
    listing: Listing,
    low: datetime | None,
    high: datetime | None,
    *,
    take: int,
    careful: bool = False,
    lateness: timedelta = LATENESS,
) -> Iterator[Stretch]:
    """All rows that start from `low` to `high`, and some that start later; None is open.

    A booking that is moved while it is listed may hide others. With `careful` it costs calls rather than that: for
    reads that nothing makes good.
    """
    low = None if low is None else floor_to_tick(low)
    query = BookingQuery(listing, sort="start", after_start=low, take=take)
    return _walk(Asker(api, lateness=lateness), query, _INSIDE_A_START, _Ends(past=high, careful=careful))


def floor_to_tick(moment: datetime) -> datetime:
    """The instant as Cal.com can be asked for it: whole milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class _Ends:
    """What ends a read besides a confirmed short page: a key past `past`, since keys come in order.

    With `at_first_date` that is when the first answer was given. `full_pages_go_on`: only a short page ends it, so that
    rows which claim to be from the future are read too.
    """

    past: datetime | None = None
    at_first_date: bool = False
    full_pages_go_on: bool = False
    confirm: bool = True
    careful: bool = False

    def known_from(self, page: BookingPage, query: BookingQuery) -> "_Ends":
        """The same once the first answer is there."""
        past = floor_to_tick(max(page.answered_at, page.sent_at)) + _REST_OF_THE_SECOND
        # A Date far ahead of our clock: what was asked for may not have been all.
        confirm = self.confirm or is_past(past, query.before_updated_at)
        return replace(self, past=past, at_first_date=False, confirm=confirm)

    @property
    def care(self) -> Care:
        """When pages are asked for twice."""
        return Care(always=self.careful, past=self.past)


def _walk(asker: Asker, query: BookingQuery, ways: _Ways, ends: _Ends) -> Generator[Stretch]:
    """Pages by key until nothing more comes."""
    known, uids = frozenset[bytes](), frozenset[str]()
    shorts, standstills = 0, 0
    while True:
        look = asker.look(query, ends.care)
        page, low, cursor = look.page, lower_bound(query), look.cursor
        if ends.at_first_date:
            ends = ends.known_from(look.before or page, query)
            query = replace(query, before_updated_at=ends.past) if query.sort == "updatedAt" else query
        if look.before is not None and (shown := _without(look.before, known | set(_tokens(page)))).rows:
            yield Stretch(shown, None)
        is_short = page.rows < query.take
        stands = not is_short and (cursor is None or cursor == low)
        standstills = standstills + 1 if stands else 0
        if stands and low is not None and (look.last == low or standstills > 1):
            rest_was_read = yield from _inside(asker, query, look, ways)
            if rest_was_read or low >= _END_OF_TIME:
                return
            query, known, shorts = _from(query, low + TICK), frozenset[bytes](), 0
            continue
        if standstills > _MOST_STANDSTILLS:
            raise TransientError(f"Bookings of {query.listing} change faster than they can be read")
        fresh = _without(page, known)
        shorts = shorts + 1 if is_short else 0
        nothing_new = not fresh.unreadable and uids.issuperset(_uids(fresh))
        confirmed = shorts > 1 and (nothing_new or shorts > _MOST_CONFIRMATIONS)
        ended = confirmed or (is_past(cursor, ends.past) and (is_short or not ends.full_pages_go_on))
        yield Stretch(fresh, cursor or low, _covered(query, page, cursor, at_end=ended and is_short))
        if ended or (is_short and not ends.confirm):
            return
        known, uids = frozenset(_tokens(page)), frozenset(_uids(page))
        query, ends = _from(query, cursor), replace(ends, confirm=True)


def _inside(asker: Asker, query: BookingQuery, look: Look, ways: _Ways) -> Generator[Stretch, None, bool]:
    """Every row whose key is the one that the query begins with, since a page does not lead beyond it.

    Answers whether all later keys were read with it.
    """
    page, value = look.page, lower_bound(query)
    if value is None:
        raise AssertionError("a read that stands still stands at a key")
    yield Stretch(page, value)
    uids = set(_uids(page))
    inner = _walk(asker, _pinned(query, value, ways[0]), ways[1:], _Ends()) if ways else _alike(asker, query, value)
    for stretch in inner:
        uids.update(_uids(stretch.page))
        yield replace(stretch, reached=value, covered=None)
    if query.sort == "createdAt" and ways:
        covered = Covered("createdAt", value, value + TICK, frozenset(uids))
        yield Stretch(replace(page, bookings=(), unreadable=(), keys=()), value, covered)
    return query.sort == "start" and bool(ways)  # a start has no upper bound: the inner read went on to the end


def _alike(asker: Asker, query: BookingQuery, value: datetime) -> Generator[Stretch]:
    """More rows than a page that nothing tells apart: by offset, over and over until nothing more turns up."""
    seen: set[str | None] = set()
    quiet = 0
    while quiet < QUIET_PASSES:
        before, skip = len(seen), 0
        while True:
            look = asker.look(replace(query, skip=skip))
            seen.update(k.uid for k in look.page.keys if key_of(k, query) == value)
            yield Stretch(look.page, value)
            if look.page.rows < query.take or is_past(look.last, value):
                break
            skip += query.take
        quiet = quiet + 1 if len(seen) == before else 0


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


def _covered(query: BookingQuery, page: BookingPage, cursor: datetime | None, *, at_end: bool) -> Covered | None:
    """What a page of a read by creation or start shows completely; the cursor's own rows may go on behind it."""
    if query.sort == "updatedAt" or (cursor is None and not at_end):
        return None
    high = query.before_created_at
    end = None if high is None or query.sort == "start" or high >= _END_OF_TIME else high + TICK
    return Covered(query.sort, lower_bound(query), end if at_end else cursor, frozenset(_uids(page)))


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
