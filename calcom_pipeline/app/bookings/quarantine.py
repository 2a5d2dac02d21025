"""Reading records in quarantine once more: with today's reader, and where that does not help, from Cal.com."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from calcom_pipeline.app.bookings.deletions import ProofSource, why_absence_proves_nothing
from calcom_pipeline.app.bookings.ports import BookingApi, BookingMirror
from calcom_pipeline.domain.bookings.listing import MINE, BookingPage, Unreadable
from calcom_pipeline.domain.bookings.models import Booking
from calcom_pipeline.domain.errors import NotFound


class QuarantinedRecord(Protocol):
    """One open record; `raw` is empty where people are not kept."""

    @property
    def hash(self) -> str:
        """Names the record."""
        ...

    @property
    def uid(self) -> str | None:
        """Its booking, where that could be read."""
        ...

    @property
    def raw(self) -> bytes:
        """Its bytes as they came."""
        ...

    @property
    def last_seen_at(self) -> datetime:
        """When Cal.com showed it last, UTC."""
        ...


class Quarantine(Protocol):
    """The table of records that could not be read."""

    def open_records(self) -> Sequence[QuarantinedRecord]:
        """All that are not settled, oldest first."""
        ...

    def resolve(self, name: str, *, at: datetime) -> None:
        """A record has been read after all."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """How many records were looked at, became bookings, are of bookings that are gone, and still cannot be read."""

    looked_at: int = 0
    read: int = 0
    gone: int = 0
    still_unreadable: int = 0


def replay(
    calcom: ProofSource,
    mirror: BookingMirror,
    quarantine: Quarantine,
    read: Callable[[bytes], Booking | Unreadable],
    *,
    now: Callable[[], datetime],
) -> ReplayReport:
    """Read every open record once more: the bytes that were kept, else the booking at Cal.com if its uid is known.

    One that is deleted there is settled once it is proven; `booking_proofs` says why a 404 alone is no proof.
    """
    records = quarantine.open_records()
    became, absent = 0, list[QuarantinedRecord]()
    for record in records:
        try:
            page = _read_again(calcom, record, read, now)
        except NotFound:
            absent.append(record)
            continue
        if page is not None:
            mirror.store(page, listing=MINE)
            quarantine.resolve(record.hash, at=now())
            became += 1
    if absent and why_absence_proves_nothing(calcom, mirror, [MINE]):
        absent = []
    for record in absent:
        quarantine.resolve(record.hash, at=now())
    return ReplayReport(len(records), became, len(absent), len(records) - became - len(absent))


def _read_again(
    calcom: BookingApi,
    record: QuarantinedRecord,
    read: Callable[[bytes], Booking | Unreadable],
    now: Callable[[], datetime],
) -> BookingPage | None:
    """The booking, as of the moment from which it is; None if it still cannot be read."""
    kept = read(record.raw) if record.raw else None
    if isinstance(kept, Booking):
        return BookingPage([kept], [], record.last_seen_at, record.last_seen_at)
    if record.uid is None:
        return None
    asked_at = now()
    found = calcom.booking(record.uid)
    return BookingPage([found], [], asked_at, asked_at) if isinstance(found, Booking) else None
