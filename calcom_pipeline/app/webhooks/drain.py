"""Deal with deliveries: the booking that one names is read again, and what Cal.com says now is what counts.

A delivery may be late, doubled or early: a cancellation is told before it is done (fact sheet 7.5). So one that closes
a booking stays open until a read shows it, or two minutes have passed; the sweep finds what comes even later.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from calcom_pipeline.app.webhooks.delivery_ports import Claimed, DeliveryEntry, DeliverySpool, Inbox
from calcom_pipeline.app.webhooks.receive import move_oldest
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, Listing, Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.errors import (
    CertificateRefused,
    CircuitOpen,
    PermanentError,
    RateLimited,
    TransientError,
)
from calcom_pipeline.domain.webhooks.deliveries import State
from calcom_pipeline.domain.webhooks.triggers import MOVED, TRIGGERS, trigger_of

_CLOSED = frozenset({"cancelled", "rejected"})
# A process that is killed by what it deals with counts no attempt; nobody is killed by chance that often.
_CLAIMS_PER_ATTEMPT = 10
_UNAUTHORIZED = 401  # the key itself; a 403 is about one booking


class ReadsBookings(Protocol):
    """Bookings at Cal.com, one by one."""

    def booking(self, uid: str) -> Booking | Unreadable:
        """One booking, whoever may see it. Raises `NotFound` when there is none with this uid."""
        ...


class StoresBookings(Protocol):
    """The mirror of bookings: an older read never overwrites a newer one."""

    def store(self, page: BookingPage, *, listing: Listing) -> object:
        """Write what was read, with the facts of what changed."""
        ...


@dataclass(frozen=True, slots=True)
class DrainRules:
    """How many are claimed at once and for how long, how often one is tried, how long a closing one is looked at.

    One that fails is tried again after `first_retry`, doubled each time.
    """

    batch: int = 20
    lease: timedelta = timedelta(minutes=2)
    attempts: int = 8
    first_retry: timedelta = timedelta(seconds=5)
    patience: timedelta = timedelta(minutes=2)
    #: Bookings of one claim that may be read at once: a move names two, a series some more. Others are a flood.
    few: int = 5

    def after(self, attempts: int) -> timedelta:
        """How long a delivery waits that has failed so often."""
        return self.first_retry * 2 ** min(attempts, 10)


@dataclass(frozen=True, slots=True)
class QuickReads:
    """How a few bookings are read before all else that comes by itself; `take` says whether so many more may be."""

    calcom: ReadsBookings
    take: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a drain did: deliveries by what came of them, bookings read, and why it stopped early, if it did."""

    unspooled: int = 0
    done: int = 0
    unknown: int = 0
    not_yet: int = 0
    failed: int = 0
    quarantined: int = 0
    bookings: int = 0
    stopped: str = ""

    @property
    def settled(self) -> int:
        """Deliveries that are dealt with."""
        return self.done + self.unknown + self.quarantined


@dataclass
class _DrainTally:
    """What one drain has done so far."""

    claim: str
    report: DrainReport = field(default_factory=DrainReport)

    def add(self, **numbers: int) -> None:
        self.report = replace(
            self.report, **{name: getattr(self.report, name) + number for name, number in numbers.items()}
        )


def unspool(spool: DeliverySpool, entry: DeliveryEntry) -> int:
    """Move all that is in the spool into the inbox; how many deliveries. Raises what the inbox does."""
    moved = 0
    while (number := move_oldest(spool, entry)) is not None:
        moved += number
    return moved


def drain(
    calcom: ReadsBookings,
    mirror: StoresBookings,
    inbox: Inbox,
    spool: DeliverySpool,
    *,
    now: Callable[[], datetime],
    rules: DrainRules | None = None,
    quick: QuickReads | None = None,
    stored: Callable[[], None] = lambda: None,
) -> DrainReport:
    """Deal with all deliveries that are due. Several at once share the work; one that is killed leaves it to others.

    `quick` reads what is claimed while that is little. `stored` hears of each booking that was written.

    Raises:
        StoreError: PostgreSQL is away; whatever was claimed is due again after its lease.
        Unauthorized, CertificateRefused: Cal.com cannot be asked at all; the same.
    """
    rules = rules or DrainRules()
    tally = _DrainTally(uuid.uuid4().hex)
    inbox.tighten()
    tally.add(unspooled=unspool(spool, inbox))
    while not tally.report.stopped:
        at = now()
        claimed = inbox.claim(tally.claim, now=at, until=at + rules.lease, limit=rules.batch)
        if not claimed:
            break
        named = {uid for delivery in claimed for uid in delivery.uids}
        quickly = quick if len(named) <= rules.few else None
        _Batch(calcom, mirror, inbox, rules, now, tally, quickly, stored).deal_with(claimed)
    return tally.report


@dataclass
class _Batch:
    """Deliveries that were claimed together; a booking that several of them name is read once."""

    calcom: ReadsBookings
    mirror: StoresBookings
    inbox: Inbox
    rules: DrainRules
    now: Callable[[], datetime]
    tally: _DrainTally
    quick: QuickReads | None
    stored: Callable[[], None]
    statuses: dict[str, str] = field(default_factory=dict[str, str])

    def deal_with(self, claimed: Sequence[Claimed]) -> None:
        """One after the other; the first that Cal.com cannot be asked about for now ends the drain."""
        finished: dict[State, list[int]] = {"done": [], "unknown": []}
        for place, delivery in enumerate(claimed):
            try:
                state = self._state_of(delivery)
            except (RateLimited, CircuitOpen) as busy:
                self._leave(claimed[place:], busy)
                break
            if state is not None:
                finished[state].append(delivery.id)
        for state, ids in finished.items():
            if ids:
                closed = self.inbox.close(ids, state, claim=self.tally.claim, now=self.now())
                self.tally.add(**{state: closed})

    def _state_of(self, delivery: Claimed) -> State | None:
        """What a delivery has come to; None if it stays open or was put away."""
        if delivery.claims > self.rules.attempts * _CLAIMS_PER_ATTEMPT:
            return self._put_away(delivery, "nobody who set out to deal with it came to an end")
        try:
            for uid in delivery.uids:
                self._read(uid)
        except (RateLimited, CircuitOpen):
            raise
        except TransientError as error:
            return self._no_answer(delivery, str(error))
        except PermanentError as error:
            if error.status == _UNAUTHORIZED or isinstance(error, CertificateRefused):
                raise
            return self._failed(delivery, str(error))
        if self._may_be_early(delivery):
            return self._not_yet(delivery)
        return "done" if delivery.trigger in TRIGGERS else "unknown"

    def _read(self, uid: str) -> None:
        """Read a booking again and store it, unless this batch has just done so."""
        if uid in self.statuses:
            return
        calcom = self.quick.calcom if self.quick and self.quick.take(1) else self.calcom
        asked_at = self.now()
        found = calcom.booking(uid)
        if isinstance(found, Unreadable):  # the bookings' own quarantine keeps it
            self.mirror.store(BookingPage([], [found], asked_at, asked_at), listing=MINE)
            self.statuses[uid] = ""
        else:
            self.mirror.store(BookingPage([found], [], asked_at, asked_at), listing=MINE)
            self.statuses[uid] = found.status
        self.tally.add(bookings=1)
        self.stored()

    def _may_be_early(self, delivery: Claimed) -> bool:
        """Whether the booking that the trigger closes is still shown as it was, and may yet be closed."""
        closing = delivery.old_uid if delivery.trigger == MOVED else None
        if trigger_of(delivery.trigger).closes:
            closing = delivery.uid
        shown = self.statuses.get(closing) if closing else None
        if not shown or shown in _CLOSED:
            return False
        return self.now() < delivery.received_at + self.rules.patience

    def _not_yet(self, delivery: Claimed) -> None:
        """It is looked at again after as long as it has waited by now: soon at first, and at the end of patience."""
        now = self.now()
        wait = max(now - delivery.received_at, timedelta(seconds=1))
        at = min(now + wait, delivery.received_at + self.rules.patience)
        self._postpone([delivery], max(at, now), "Cal.com does not show it yet", counted=False)
        self.tally.add(not_yet=1)

    def _failed(self, delivery: Claimed, reason: str) -> State | None:
        if delivery.attempts + 1 >= self.rules.attempts:
            return self._put_away(delivery, reason)
        self._postpone([delivery], self.now() + self.rules.after(delivery.attempts), reason, counted=True)
        self.tally.add(failed=1)
        return None

    def _no_answer(self, delivery: Claimed, reason: str) -> None:
        """Cal.com may be away, for whatever is asked or for this booking alone: no fault of the delivery."""
        self._postpone([delivery], self.now() + self.rules.after(delivery.claims - 1), reason, counted=False)
        self.tally.add(failed=1)

    def _put_away(self, delivery: Claimed, reason: str) -> None:
        closed = self.inbox.close([delivery.id], "quarantined", claim=self.tally.claim, now=self.now(), reason=reason)
        self.tally.add(quarantined=closed)

    def _leave(self, left: Sequence[Claimed], busy: RateLimited | CircuitOpen) -> None:
        """Nothing is wrong with these: they wait until Cal.com can be asked again."""
        self._postpone(left, self.now() + timedelta(seconds=busy.retry_after), str(busy), counted=False)
        self.tally.report = replace(self.tally.report, stopped=str(busy))

    def _postpone(self, left: Iterable[Claimed], at: datetime, reason: str, *, counted: bool) -> None:
        ids = [delivery.id for delivery in left]
        self.inbox.postpone(ids, claim=self.tally.claim, at=at, reason=reason, counted=counted)
