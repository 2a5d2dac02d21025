"""Lists of bookings as Cal.com shows them, and what a change of a booking means for free slots.

The list's own values stand here: which listing, one request for a page, one page. How pages are put together so that
nothing is lost is `app/bookings/paging.py`; what a row looks like on the wire is `adapters/calcom/bookings/wire.py`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from calcom_pipeline.domain.addresses import canonical
from calcom_pipeline.domain.availability.changes import BOOKINGS_CHANGED, CHANGED_BEFORE_READ, ChangeEvent, Span, Why
from calcom_pipeline.domain.bookings.models import Booking

ListingKind = Literal["mine", "team", "organization"]
BookingSort = Literal["updatedAt", "createdAt", "start"]

#: Cal.com's instants have milliseconds (fact sheet 1.1), so this is the distance to the next one.
TICK = timedelta(milliseconds=1)
#: The longest page that Cal.com hands out (fact sheet 6.1).
LONGEST_PAGE = 250
#: What is cached is whole local days; a day on either side covers every zone.
ZONE_SLACK = timedelta(days=1)

_HASH_BYTES = 16
# Statuses that close times; a cancelled or rejected booking closes none.
# Cal.com writes both instants of a new booking, the later one up to 0.1 s later (captures 03). A change that comes as
# soon is missed; a shorter moment would only clear more than it has to.
_MOMENT = timedelta(milliseconds=100)
_BLOCKING = frozenset({"accepted", "pending", "awaiting_host"})


@dataclass(frozen=True, slots=True, order=True)
class Listing:
    """One list of bookings. `mine` is what the key's user organizes, attends or administers (fact sheet 6.1)."""

    kind: ListingKind = "mine"
    id: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "mine" else f"{self.kind}:{self.id}"

    @property
    def filters_changes(self) -> bool:
        """Whether every build honours the created and updated filters; team lists may ignore them (fact sheet 6.3)."""
        return self.kind != "team"


MINE = Listing()


@dataclass(frozen=True, slots=True)
class BookingQuery:
    """One page of a booking list. Bounds are inclusive on both sides; `sort` is always ascending."""

    listing: Listing = MINE
    sort: BookingSort = "updatedAt"
    after_updated_at: datetime | None = None
    before_updated_at: datetime | None = None
    after_created_at: datetime | None = None
    before_created_at: datetime | None = None
    after_start: datetime | None = None
    before_end: datetime | None = None
    event_type_id: int | None = None
    uid: str | None = None
    take: int = LONGEST_PAGE
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Keys:
    """What a row is found and sorted by, as far as it can be read; all UTC."""

    uid: str | None = None
    updated_at: datetime | None = None
    created_at: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record of a page that could not be read; kept in quarantine as it came."""

    raw: bytes = field(repr=False)
    reason: str
    keys: Keys = Keys()


@dataclass(frozen=True, slots=True)
class BookingPage:
    """`answered_at` is the answer's own Date, a UTC instant with whole seconds; `sent_at` is our clock before it.

    Either clock may be wrong. What a position is made of is `read_at`, the earlier one: too early a position costs a
    few rows that are read twice, one that is too late loses what comes in between.

    `keys` are those of every row, readable or not, in Cal.com's order. `total` is Cal.com's count of the list, wrong
    under created and updated filters (fact sheet 6.2). `unknown_fields` counts rows per field that we do not know.
    """

    bookings: Sequence[Booking]
    unreadable: Sequence[Unreadable]
    answered_at: datetime
    sent_at: datetime
    keys: Sequence[Booking | Keys] = ()
    total: int | None = None
    unknown_fields: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def read_at(self) -> datetime:
        """What had changed by then is on the page, as far as anybody can tell: the earlier of both clocks."""
        return min(self.sent_at, self.answered_at)

    @property
    def rows(self) -> int:
        """Rows the page held, readable or not."""
        return len(self.bookings) + len(self.unreadable)


def payload_hash(raw: bytes) -> bytes:
    """Tells a change of a booking; 16 bytes over its stored payload, whose keys are sorted."""
    return hashlib.sha256(raw).digest()[:_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Ours:
    """What belongs to the account, to tell private bookings of team members apart; a team admin's key sees those.

    `user_id` is the key's user. Children of managed types are not listed; they carry their parent's slug.
    """

    user_id: int
    email: str | None = field(repr=False)
    event_type_ids: frozenset[int]
    managed_slugs: frozenset[str]

    def is_private(self, booking: Booking) -> bool:
        """Whether it is somebody else's business: another host's, of none of our event types, without us."""
        if booking.event_type_id in self.event_type_ids or booking.event_type_slug in self.managed_slugs:
            return False
        host_ids = {host.id for host in booking.hosts}
        if self.user_id in host_ids or host_ids <= {None}:
            return False
        if self.email is None:
            return True
        me = canonical(self.email)
        return all(a.email is None or canonical(a.email) != me for a in booking.attendees)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What of a booking decides about free slots. Two equal footprints close the same times for the same people.

    `has_changed`: since it was made. It may have had another host.
    """

    status: str
    start: datetime
    end: datetime
    event_type_id: int | None
    user_ids: tuple[int, ...]
    seats_taken: int
    has_changed: bool = field(default=False, compare=False)

    def span_within(self, first: datetime, last: datetime) -> Span | None:
        """The part of its time between two instants; None when there is none."""
        start, end = max(self.start, first), min(self.end, last)
        return (start, end) if start <= end and self.start < last and self.end > first else None


def footprint(booking: Booking) -> Footprint:
    """The footprint of a booking whose attendees have been resolved to users."""
    users = {h.id for h in booking.hosts} | {a.user_id for a in booking.attendees}
    return Footprint(
        booking.status,
        booking.start,
        booking.end,
        booking.event_type_id,
        tuple(sorted(u for u in users if u is not None)),
        len(booking.attendees),
        bool(booking.created_at and booking.updated_at and booking.updated_at - booking.created_at > _MOMENT),
    )


def facts_of(
    changes: Iterable[tuple[Footprint | None, Footprint | None]], *, now: datetime, horizon: timedelta
) -> list[ChangeEvent]:
    """Facts for changes from an old to a new footprint; None means: was not there, or is no longer.

    Coalesced: one fact per event type, group of people and reason, its times clipped to what can be cached (from now to
    `horizon`). A change that concerns no such time, or nothing that decides about free slots, has no fact.
    """
    first, last = now - ZONE_SLACK, now + horizon + ZONE_SLACK
    spans: dict[tuple[int | None, tuple[int, ...], Why], set[Span]] = {}
    for old, new in changes:
        sides = [side for side in (old, new) if side is not None]
        if old == new or not any(side.status in _BLOCKING for side in sides):
            continue
        users = tuple(sorted({user for side in sides for user in side.user_ids}))
        concerned = {span for side in sides if (span := side.span_within(first, last))}
        for event_type_id in {side.event_type_id for side in sides if concerned}:
            why = CHANGED_BEFORE_READ if old is None and new and new.has_changed else BOOKINGS_CHANGED
            spans.setdefault((event_type_id, users, why), set()).update(concerned)
    return [
        ChangeEvent("booking", why, event_type_id, users, tuple(sorted(found)))
        for (event_type_id, users, why), found in spans.items()
    ]
