"""One sync of bookings: read what is asked for, then look for what lost answers have left in doubt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from calcom_pipeline.app.bookings.in_doubt import OutcomesReport, close_outcomes
from calcom_pipeline.app.bookings.mirror import BookingOptions, BookingSource, BookingsReport, Mode, pull_bookings
from calcom_pipeline.app.bookings.ports import BookingMirror, BookingWrites, OutcomeStore
from calcom_pipeline.app.calls import Lane, Progress
from calcom_pipeline.domain.bookings.positions import Forecast


class BookingSyncApi(BookingSource, BookingWrites, Protocol):
    """What a sync of bookings needs of Cal.com."""

    def in_lane(self, lane: Lane) -> Self:
        """The same client with another place in the limiter's queue."""
        ...


@dataclass(frozen=True, slots=True)
class BookingsSynced:
    """What reading brought, and what became of doubts."""

    report: BookingsReport
    doubts: OutcomesReport


def sync_bookings(
    calcom: BookingSyncApi,
    mirror: BookingMirror,
    in_doubt: OutcomeStore,
    options: BookingOptions,
    *,
    now: Callable[[], datetime],
    mode: Mode = "changes",
    resume: bool = False,
    progress: Progress | None = None,
    announce: Callable[[str, Forecast], None] | None = None,
) -> BookingsSynced:
    """Read bookings and close doubts. Whatever is more than changes waits behind everything else in the limiter.

    Raises what `pull_bookings` does.
    """
    report = pull_bookings(
        calcom if mode == "changes" else calcom.in_lane("backfill"),
        mirror,
        options,
        now=now,
        mode=mode,
        resume=resume,
        progress=progress,
        announce=announce,
    )
    return BookingsSynced(report, close_outcomes(calcom, in_doubt, now=now()))
