"""The ports of bookings, which are many: `ports.py` and `service_ports.py` hold the others.

One that reaches Cal.com may raise any `CalcomError`; one that reaches PostgreSQL `StoreError`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from calcom_pipeline.app.calls import Changes
from calcom_pipeline.domain.bookings.in_doubt import OpenOutcome
from calcom_pipeline.domain.bookings.listing import BookingPage, BookingQuery, Listing, Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.bookings.positions import Covered, ListingState, Position, ReadEnd, Scope
from calcom_pipeline.domain.bookings.requests import BookingRequest


class BookingApi(Protocol):
    """Bookings page by page, and one by one."""

    def page(self, query: BookingQuery) -> BookingPage:
        """One page. What was asked for is not checked here: a server may ignore a filter (fact sheet 6.3)."""
        ...

    def booking(self, uid: str) -> Booking | Unreadable:
        """One booking, whoever may see it. Raises `NotFound` when there is none with this uid."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing a page did. `unlisted`: rows that the listing no longer shows; `too_old`: left out by retention."""

    changes: Changes = field(default_factory=Changes)
    unlisted: int = 0
    facts: int = 0
    too_old: int = 0

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(
            self.changes + other.changes,
            self.unlisted + other.unlisted,
            self.facts + other.facts,
            self.too_old + other.too_old,
        )


@dataclass(frozen=True, slots=True)
class Outset:
    """What a read begins with. `state` is that of the user's own list, `listings` all of which anything is kept.

    `must_tighten`: more of people may be kept than the policy allows. `must_reclassify`: what counts as ours has
    changed, or bookings taken for private have turned out to be ours.
    """

    state: ListingState
    listings: frozenset[str] = frozenset()
    must_tighten: bool = False
    must_reclassify: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """How far a listing is once a read has ended; `all_listed`: every booking that is there is on some listing."""

    state: ListingState
    all_listed: bool


class BookingMirror(Protocol):
    """The tables `bookings`, `booking_attendees`, `booking_hosts`, the outbox and the positions of reads."""

    @property
    def policy(self) -> str:
        """Names how people are kept; another one than before takes a full read to come true."""
        ...

    def outset(self) -> Outset:
        """What a read of all listings begins with; one transaction."""
        ...

    def keep_listings(self, listings: Sequence[Listing]) -> int:
        """Forget listings that are no longer read; how many bookings lose one by that."""
        ...

    def state(self, listing: Listing) -> ListingState:
        """How far reads of a listing have come."""
        ...

    def looked(self, listing: Listing, scope: Scope, *, roles_seen_at: datetime | None, needs_full: str | None) -> None:
        """Keep what the key sees; a reason given makes the next reads full ones until one has ended."""
        ...

    def position(self, stream: str, partition: str) -> Position | None:
        """Where a read by creation time or start stopped."""
        ...

    def begin(self, stream: str, partition: str) -> None:
        """Forget where an earlier read stopped: the next one starts anew."""
        ...

    def store(
        self,
        page: BookingPage,
        *,
        listing: Listing,
        watermark: datetime | None = None,
        position: Position | None = None,
        covered: Covered | None = None,
    ) -> Stored:
        """Write a page, move the positions and emit the facts of what changed, all or nothing.

        An older read never overwrites a newer one; an unchanged booking touches no row. A mirrored booking inside
        `covered` that is not shown any more loses the listing.
        """
        ...

    def finish(self, listing: Listing, end: ReadEnd) -> Finished:
        """A read has seen all it was to see; how far the listing is now."""
        ...

    def unlisted(self, limit: int) -> list[str]:
        """Bookings that no listing shows and that are not yet proven gone, oldest first."""
        ...

    def listed(self, limit: int) -> list[str]:
        """Some bookings that are shown, to see whether reading one by uid works at all."""
        ...

    def mark_gone(self, uid: str, *, read_at: datetime) -> None:
        """A booking is proven deleted. Emits the facts of it."""
        ...

    def mark_out_of_scope(self, uid: str, *, read_at: datetime) -> None:
        """A booking exists, but the key no longer sees it."""
        ...

    def reclassify(self) -> list[str]:
        """Tell private bookings of team members apart anew, if what counts as ours has changed since the last time.

        Those that turn out private are reduced to busy times; answers the uids of those that turn out to be ours.
        """
        ...

    def tighten(self) -> int:
        """Bring what was stored while more of people was kept under the present policy; how many that were."""
        ...

    def forget(self, *, before: datetime) -> int:
        """Drop bookings that ended before an instant, and records in quarantine last seen before it; how many."""
        ...

    def live(self, listing: Listing) -> int:
        """Bookings that the listing shows, records in quarantine included."""
        ...


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking that was made or moved. `series` holds all occurrences of a recurring one, else just it.

    `adopted` says that it was there already: found after a doubt or by a key that came twice, or answered by Cal.com
    instead of a second one. `ignored` names details that were sent and that the answer does not show: accepted but
    ignored.
    """

    booking: Booking
    series: tuple[Booking, ...] = ()
    adopted: bool = False
    ignored: tuple[str, ...] = ()


class BookingWrites(Protocol):
    """Bookings one by one: read, made, moved, cancelled, accepted, declined."""

    def get_booking(self, uid: str) -> Booking:
        """One booking. Raises NotFound when there is none with this uid."""
        ...

    def find_booking(
        self, key: str, *, event_type_id: int, start: datetime, email: str | None = None
    ) -> Booking | None:
        """The booking that carries this key of ours, if this API key can see it."""
        ...

    def create_booking(self, request: BookingRequest) -> Booked:
        """Book, exactly once: after a doubt the booking is looked for by attendee, start and our key in its metadata.

        A request that may come twice (`may_come_twice`) is looked for before it is sent, which costs a call.

        Raises:
            Conflict: the time is taken.
            OutcomeUnknown: seated, round-robin and recurring bookings after a doubt, which are never repeated, and all
                whose doubt could not be cleared. Its `key` is the request's.
        """
        ...

    def may_be_repeated(self, event_type_id: int) -> bool:
        """Whether a second create of a time can make no second booking; False where that cannot be found out."""
        ...

    def cancel_booking(self, uid: str, *, reason: str = "", seat_uid: str | None = None) -> Booking:
        """Cancel a booking, or one seat of it; a host has to give a reason."""
        ...

    def reschedule_booking(
        self, uid: str, start: datetime, *, reason: str = "", rescheduled_by: str | None = None
    ) -> Booked:
        """Move a booking to a start (UTC): a new one with another uid takes its place, the old one is cancelled."""
        ...

    def confirm_booking(self, uid: str) -> Booking:
        """Accept a pending booking."""
        ...

    def decline_booking(self, uid: str, *, reason: str = "") -> Booking:
        """Reject a pending booking."""
        ...


class OutcomeStore(Protocol):
    """Creates that ended in doubt, until somebody knows."""

    def open(self, outcome: OpenOutcome) -> None:
        """Write a doubt down; of several under one key the newest counts."""
        ...

    def opened_at(self, key: str) -> datetime | None:
        """When the doubt about this key was written down, if nobody has cleared it yet."""
        ...

    def still_open(self) -> list[OpenOutcome]:
        """All that nobody knows yet, oldest first."""
        ...

    def close(self, key: str, *, at: datetime, booking_uid: str | None) -> None:
        """It was made as `booking_uid`, or (None) never."""
        ...

    def looked(self, key: str, *, at: datetime) -> None:
        """Nothing was found so far."""
        ...

    def forget(self, key: str) -> None:
        """There is no doubt: whoever wrote it down knows how it ended."""
        ...


class KeyLocks(Protocol):
    """A lock per key of a caller, across processes. None is left behind by a process that was killed."""

    def holding(self, key: str) -> AbstractContextManager[bool]:
        """Nobody else holds this key during the block; False when somebody does, however long they were waited for.

        Where the server of the locks is away nobody is held up: the block goes on as if there were no lock.
        """
        ...
