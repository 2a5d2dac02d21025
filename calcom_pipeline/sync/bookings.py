"""Mirror bookings incrementally: by a moving lower bound on the update time, never by offset.

Offset paging skips and repeats rows of a list that changes while it is read (fact sheet 8.2), and `hasNextPage` is
wrong under time filters (6.2). So each page starts at the last value seen, inclusive, duplicates are recognised by
uid, and a short page ends a read only after one confirming request.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from calcom_pipeline.domain.errors import ContractBroken
from calcom_pipeline.domain.models import Booking
from calcom_pipeline.ports import BookingApi, BookingMirror, BookingPage, BookingQuery, Changes, Progress

OWN_LISTING = "mine"
# Tells "not handed out yet" from "handed out with a null stamp".
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BookingsReport:
    """What one read brought. `read` counts distinct rows; `full` says that it was the first, complete read."""

    read: int
    pages: int
    changes: Changes
    quarantined: int
    full: bool
    watermark: datetime | None


def pull_bookings(
    calcom: BookingApi,
    mirror: BookingMirror,
    *,
    page_size: int,
    overlap: timedelta,
    progress: Progress | None = None,
) -> BookingsReport:
    """Read what changed since the watermark, or everything the first time; unchanged rows touch no tuple.

    Raises:
        CalcomError: Cal.com could not be read; the watermark stands at the last page that was stored.
    """
    known = mirror.watermark(OWN_LISTING)
    if known is None:
        first = BookingQuery(sort="createdAt", take=page_size)
    else:
        first = BookingQuery(sort="updatedAt", take=page_size, after_updated_at=known - overlap)
    read = pages = quarantined = 0
    changes, position, started = Changes(), known, None
    for page in _pages(calcom, first):
        started = started or page.answered_at
        ceiling = page.answered_at - overlap
        if known is not None:
            position = _advanced(position, page.bookings, ceiling)
        changes += mirror.store(page, partition=OWN_LISTING, watermark=position if known is not None else None)
        read, pages, quarantined = read + len(page.bookings), pages + 1, quarantined + len(page.unreadable)
        if progress:
            progress(read, None, "bookings")
    if known is None and started is not None:
        # The first incremental read starts where this one began, not at the highest stamp it saw.
        position = started - overlap
        empty = BookingPage((), (), started, started)
        mirror.store(empty, partition=OWN_LISTING, watermark=position)
    return BookingsReport(read, pages, changes, quarantined, full=known is None, watermark=position)


def _advanced(position: datetime | None, rows: Sequence[Booking], ceiling: datetime) -> datetime | None:
    """The highest stamp seen below the ceiling: Cal.com stamps before it commits, and a row may lie in year 9999."""
    stamps = [b.updated_at for b in rows if b.updated_at is not None]
    highest = max([s for s in stamps if s <= ceiling], default=None)
    return max((p for p in (position, highest) if p is not None), default=None)


def _pages(calcom: BookingApi, query: BookingQuery) -> Generator[BookingPage]:
    """Keyset paging: each page starts at the last key seen; rows that were handed out before are left out."""
    handed_out: dict[str, datetime | None] = {}
    while True:
        page = calcom.page(query)
        keys = {b.uid: _key(b, query) for b in page.bookings}
        fresh = [b for b in page.bookings if handed_out.get(b.uid, _NEVER) != b.updated_at]
        yield replace(page, bookings=fresh)
        handed_out = {b.uid: b.updated_at for b in page.bookings}
        if not fresh and page.rows < query.take:
            return
        query = _next_query(query, max((k for k in keys.values() if k is not None), default=None))


def _next_query(query: BookingQuery, last: datetime | None) -> BookingQuery:
    bound = _bound(query)
    if last is not None and (bound is None or last > bound):
        moved = {"after_updated_at": last} if query.sort == "updatedAt" else {"after_created_at": last}
        return replace(query, **moved, skip=0)
    # A page whose rows all share the bound: only an offset goes further inside one instant.
    return replace(query, skip=query.skip + query.take)


def _bound(query: BookingQuery) -> datetime | None:
    return query.after_updated_at if query.sort == "updatedAt" else query.after_created_at


def _key(booking: Booking, query: BookingQuery) -> datetime | None:
    key = booking.updated_at if query.sort == "updatedAt" else booking.created_at
    bound = _bound(query)
    if key is not None and bound is not None and key < bound:
        raise ContractBroken("Listing bookings: a row lies outside the bound that was asked for")
    return key
