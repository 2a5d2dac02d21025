"""Mirror bookings: what changed since the watermark, or everything, or a window of starts.

A read of changes misses what moves no timestamp: a seat added or cancelled, an absence, a deletion. Those are found
by a full read (by creation time, which never changes) and by the sliding re-read (by start).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from calcom_pipeline.app.bookings.access_scope import ListingChoice, ScopeApi, look_at_scope, named
from calcom_pipeline.app.bookings.deletions import Proven, prove_missing, reread_known_now
from calcom_pipeline.app.bookings.paging import Stretch, changed_since, created_between, starting_between
from calcom_pipeline.app.bookings.ports import BookingApi, BookingMirror, Stored
from calcom_pipeline.app.bookings.prefetch import heap_at_rest, read_ahead
from calcom_pipeline.app.calls import AccountApi, Progress
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, BookingQuery, Listing
from calcom_pipeline.domain.bookings.positions import (
    CLOCK_TOLERANCE,
    FULL_STREAM,
    Forecast,
    ListingState,
    Position,
    ReadEnd,
    forecast,
)
from calcom_pipeline.domain.errors import ContractBroken

Mode = Literal["changes", "full", "reread"]

_FIRST_READ = "first read"
_ASKED_FOR = "asked for"
_AHEAD = "its position lay ahead of this clock"
# A read of changes settles what an interrupted full read, or two reads at once, left unlisted; mostly that is nothing.
_PROOFS_IN_PASSING = 20
# No booking is updated later, so a list that shows one for this bound ignores the bound.
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

# A single row might be deleted while the page is read (fact sheet 8.2), and be taken for none.
_ROWS_OF_A_PROBE = 10


class BookingSource(BookingApi, AccountApi, ScopeApi, Protocol):
    """What reading bookings needs of Cal.com."""


@dataclass(frozen=True, slots=True)
class BookingOptions:
    """How bookings are read; see the settings of the same names.

    `proofs`: deletions proven in one run, at most. `keep_past`: bookings that ended longer ago are dropped.
    `clock_tolerance`: what lies further ahead of our clock, or differs more from it, is not believed without a word.
    """

    page_size: int = 250
    overlap: timedelta = timedelta(seconds=120)
    choice: ListingChoice = field(default_factory=ListingChoice)
    roles_every: timedelta = timedelta(hours=1)
    reread_past: timedelta = timedelta(days=2)
    reread_future: timedelta = timedelta(days=14)
    proofs: int = 500
    keep_past: timedelta | None = None
    calls_per_minute: int = 120
    clock_tolerance: timedelta = CLOCK_TOLERANCE


@dataclass(frozen=True, slots=True)
class BookingsReport:
    """What reading all listings brought. `read` counts rows as they came; `full` says why a read was a full one."""

    read: int = 0
    pages: int = 0
    stored: Stored = field(default_factory=Stored)
    quarantined: int = 0
    full: str | None = None
    watermark: datetime | None = None
    proven: Proven = field(default_factory=Proven)
    forgotten: int = 0
    unknown_fields: Mapping[str, int] = field(default_factory=dict[str, int])
    notes: tuple[str, ...] = ()


class _Tally:
    """Counts while reading."""

    def __init__(self, progress: Progress | None, announce: Callable[[str, Forecast], None] | None) -> None:
        self._progress = progress
        self._announce = announce
        self.read = self.pages = self.quarantined = 0
        self.stored = Stored()
        self.unknown: Counter[str] = Counter()
        self.notes: list[str] = []

    def announce(self, reason: str, cost: Forecast) -> None:
        if self._announce:
            self._announce(reason, cost)

    def add(self, stretch: Stretch, stored: Stored, *, total: int | None) -> None:
        page = stretch.page
        self.pages += 1
        self.read += page.rows
        self.quarantined += len(page.unreadable)
        self.stored += stored
        self.unknown.update(page.unknown_fields)
        if self._progress:
            self._progress(self.read, max(total, self.read) if total else None, "bookings")


@heap_at_rest()
def pull_bookings(
    calcom: BookingSource,
    mirror: BookingMirror,
    options: BookingOptions,
    *,
    now: Callable[[], datetime],
    mode: Mode = "changes",
    resume: bool = False,
    progress: Progress | None = None,
    announce: Callable[[str, Forecast], None] | None = None,
) -> BookingsReport:
    """Read every listing once. The first time, and when the key's scope has changed, that is everything.

    `full` starts over, unless it may `resume` one that was interrupted. Unchanged bookings touch no row. A full read
    is announced with its reason and what it will cost, once its first page tells how many bookings there are.

    Raises:
        CalcomError: Cal.com could not be read; what was stored stays, and the next read goes on there.
    """
    tally = _Tally(progress, announce)
    outset = mirror.outset()
    listings, own = look_at_scope(calcom, mirror, outset, options.choice, now=now(), roles_every=options.roles_every)
    if outset.must_tighten and (tightened := mirror.tighten()):
        tally.notes.append(f"{tightened} stored bookings and records keep less of people now: policy {mirror.policy}")
    if outset.must_reclassify:
        reread_known_now(calcom, mirror, now)
    full, all_listed = "", False
    for listing in listings:
        state = own if listing == MINE else mirror.state(listing)
        reader = _ListingReader(calcom, mirror, listing, options, tally, state)
        if mode == "reread":
            reader.reread(now())
        else:
            full = reader.read(now(), mode, resume=resume) or full
        all_listed = reader.all_listed
        own = reader.state if listing == MINE else own
    limit = options.proofs if mode == "reread" or full else min(options.proofs, _PROOFS_IN_PASSING)
    proven = Proven() if all_listed else prove_missing(calcom, mirror, listings, limit=limit, now=now)
    return BookingsReport(
        read=tally.read,
        pages=tally.pages,
        stored=tally.stored,
        quarantined=tally.quarantined,
        full=full or None,
        watermark=own.watermark,
        proven=proven,
        forgotten=0 if options.keep_past is None else mirror.forget(before=now() - options.keep_past),
        unknown_fields=dict(tally.unknown),
        notes=tuple(tally.notes),
    )


class _ListingReader:
    """Reads of one listing. `state` is how far they have come; `all_listed` is known once one has ended."""

    def __init__(
        self,
        calcom: BookingSource,
        mirror: BookingMirror,
        listing: Listing,
        options: BookingOptions,
        tally: _Tally,
        state: ListingState,
    ) -> None:
        self.state = state
        self.all_listed = False
        self._calcom = calcom
        self._mirror = mirror
        self._listing = listing
        self._options = options
        self._tally = tally

    def read(self, now: datetime, mode: Mode, *, resume: bool) -> str | None:
        """Changes where that is enough, else everything; why it was everything, or None."""
        state = self.state
        reason = state.needs_full
        if reason is None and state.full_done_at is None:
            reason = _FIRST_READ
        if reason is None and state.watermark is not None and state.watermark > now + self._options.clock_tolerance:
            reason = _AHEAD
        if reason is None and state.policy not in {None, self._mirror.policy}:
            reason = "people are kept in another way than before"
        if mode == "full":
            self.full(state, reason or _ASKED_FOR, now, resume=resume)
            return reason or _ASKED_FOR
        if reason is None:
            self.changes(state, now)
            reason = self.state.needs_full
        if reason is not None:
            self.full(self.state, reason, now, resume=True)
        return reason

    # --- changes -----------------------------------------------------------------------------------------

    def changes(self, state: ListingState, now: datetime) -> None:
        """Read what changed since the watermark. What cannot have been found that way asks for a full read."""
        if state.watermark is None or state.filters_changes is False:
            return
        # Besides the user's own list, one call per listing is all that an unchanged account may cost.
        o, confirm = self._options, self._listing == MINE
        source = changed_since(
            self._calcom,
            self._listing,
            state.watermark - o.overlap,
            take=o.page_size,
            confirm=confirm,
            until=now + o.clock_tolerance,
            lateness=o.overlap,
        )
        first: BookingPage | None = None
        pages = added = 0
        try:
            for stretch in read_ahead(source):
                first, pages = first or self._first(stretch), pages + (stretch.reached is not None)
                stored = self._store(stretch, watermark=self._below(stretch.reached, first))
                added += stored.changes.added
        except ContractBroken as error:
            if self._listing.filters_changes:
                raise
            self._tally.notes.append(f"{error}; {self._listing} is only read in full")
            return
        if first is None:
            raise AssertionError("a read has at least one page")
        # A single short page that was not confirmed leaves the position where its rows have brought it.
        complete = confirm or pages > 1
        watermark = self._below(first.read_at, first) if complete else None
        uncounted = self._uncounted(state, first, added)
        reason = f"Cal.com counts {uncounted} bookings that no change announced" if uncounted else None
        end = ReadEnd(first.sent_at, first.total, watermark, needs_full=named(reason, now))
        self._finish(end)

    def _finish(self, end: ReadEnd) -> None:
        finished = self._mirror.finish(self._listing, end)
        self.state, self.all_listed = finished.state, finished.all_listed

    def _below(self, reached: datetime | None, first: BookingPage) -> datetime | None:
        """A position that late commits and rows stamped in the future cannot have moved too far.

        The first answer's time counts, not this page's: what commits while a long read goes on may be stamped before
        a page that has been read.
        """
        limit = first.read_at - self._options.overlap
        return None if reached is None else min(reached, limit)

    def _first(self, stretch: Stretch) -> BookingPage:
        """The first page of a read, whose clocks are compared."""
        page, tolerance = stretch.page, self._options.clock_tolerance
        ahead = page.answered_at - page.sent_at
        if abs(ahead) > tolerance:
            side = "ahead of" if ahead > timedelta(0) else "behind"
            self._tally.notes.append(
                f"{self._listing}: Cal.com's Date is {abs(ahead).total_seconds():,.0f} s {side} this clock, more than "
                f"CALCOM_CLOCK_TOLERANCE_SECONDS ({tolerance.total_seconds():.0f}); positions follow the earlier one"
            )
        return page

    def _uncounted(self, state: ListingState, first: BookingPage, added: int) -> int:
        """Rows that Cal.com counts, and neither the mirror nor the quarantine has; 0 where counting proves nothing.

        The count of this list ignores its time filters (fact sheet 6.2), which makes it the count of everything; a
        build that has mended that counts less, never more.
        """
        if self._options.keep_past is not None or state.total is None or first.total is None:
            return 0
        if not self._listing.filters_changes or first.total <= state.total + added:
            return 0
        return max(first.total - self._mirror.live(self._listing), 0)

    # --- everything --------------------------------------------------------------------------------------

    def full(self, state: ListingState, reason: str, now: datetime, *, resume: bool) -> None:
        """Read the whole listing, from where an earlier read for the same reason stopped if it may `resume`."""
        partition = f"{self._listing} {reason}"
        position = self._mirror.position(FULL_STREAM, partition) if resume else None
        if position is not None and position.started_at > now + self._options.clock_tolerance:
            position = None  # the watermark would follow it
        if position is None:
            self._mirror.begin(FULL_STREAM, partition)
        self._everything_from(position, state, reason, partition)
        if position is not None:  # what an interrupted read had seen may have changed since
            self.changes(self.state, now)

    def _everything_from(self, position: Position | None, state: ListingState, reason: str, partition: str) -> None:
        started_at, total = position.started_at if position else None, None
        for stretch in read_ahead(self._everything(position.reached if position else None)):
            if started_at is None:
                started_at = self._first(stretch).read_at
            if total is None and stretch.page.total is not None:
                total = stretch.page.total
                self._announce(reason, total)
            reached = Position(FULL_STREAM, partition, stretch.reached, started_at) if stretch.reached else None
            self._store(stretch, position=reached, total=total)
        if started_at is None:
            raise AssertionError("a read has at least one page")
        honoured = self._listing.filters_changes or self._honours_filters()
        self._finish(
            ReadEnd(
                polled_at=started_at,
                total=total,
                watermark=started_at - self._options.overlap if honoured else None,
                full=True,
                full_because=state.needs_full if reason == state.needs_full else None,
                filters_changes=honoured,
            ),
        )

    def _announce(self, reason: str, total: int) -> None:
        o = self._options
        cost = forecast(total, page_size=o.page_size, calls_per_minute=o.calls_per_minute)
        self._tally.announce(reason, cost)

    def _everything(self, reached: datetime | None) -> Iterator[Stretch]:
        take, lateness = self._options.page_size, self._options.overlap
        if self._listing.filters_changes:
            return created_between(self._calcom, self._listing, reached, None, take=take, lateness=lateness)
        return starting_between(self._calcom, self._listing, reached, None, take=take, careful=True, lateness=lateness)

    def _honours_filters(self) -> bool:
        """Whether this build filters team lists by update time: older ones ignore that (fact sheet 6.3)."""
        page = self._calcom.page(BookingQuery(self._listing, after_updated_at=_NEVER, take=_ROWS_OF_A_PROBE))
        return page.rows == 0

    # --- a window ----------------------------------------------------------------------------------------

    def reread(self, now: datetime) -> None:
        """Read what starts around now once more, for what moves no timestamp."""
        low, high = now - self._options.reread_past, now + self._options.reread_future
        o = self._options
        source = starting_between(self._calcom, self._listing, low, high, take=o.page_size, lateness=o.overlap)
        for stretch in read_ahead(source):
            self._store(stretch)

    def _store(
        self,
        stretch: Stretch,
        *,
        watermark: datetime | None = None,
        position: Position | None = None,
        total: int | None = None,
    ) -> Stored:
        page = stretch.page
        if not (page.bookings or page.unreadable or stretch.covered or position):
            # Nothing but that there is nothing more: the end of the read moves its position.
            self._tally.add(stretch, Stored(), total=total)
            return Stored()
        stored = self._mirror.store(
            page, listing=self._listing, watermark=watermark, position=position, covered=stretch.covered
        )
        self._tally.add(stretch, stored, total=total)
        return stored
