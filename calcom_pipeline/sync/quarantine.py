"""Reading records in quarantine once more: with today's reader, or from Cal.com where only the reason was kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from calcom_pipeline.booking_ports import BookingApi, BookingMirror
from calcom_pipeline.domain.bookings import MINE, BookingPage, Unreadable
from calcom_pipeline.domain.errors import NotFound
from calcom_pipeline.domain.models import Booking


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
    calcom: BookingApi,
    mirror: BookingMirror,
    quarantine: Quarantine,
    read: Callable[[bytes], Booking | Unreadable],
    *,
    now: Callable[[], datetime],
) -> ReplayReport:
    """Read every open record once more. One whose bytes were not kept costs a call, if its uid is known."""
    records = quarantine.open_records()
    became = gone = 0
    for record in records:
        asked_at = record.last_seen_at if record.raw else now()
        try:
            found = read(record.raw) if record.raw else _from_cal_com(calcom, record)
        except NotFound:
            quarantine.resolve(record.hash, at=now())
            gone += 1
            continue
        if isinstance(found, Booking):
            mirror.store(BookingPage([found], [], asked_at, asked_at), listing=MINE)
            quarantine.resolve(record.hash, at=now())
            became += 1
    return ReplayReport(len(records), became, gone, len(records) - became - gone)


def _from_cal_com(calcom: BookingApi, record: QuarantinedRecord) -> Booking | Unreadable:
    return calcom.booking(record.uid) if record.uid else Unreadable(b"", "neither its bytes nor its uid are known")
