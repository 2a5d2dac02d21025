"""One backfill: its cost is announced first, then the months that are left are read, behind everything else."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, Self

from calcom_pipeline.app.bookings.history import BackfillPlan, BackfillReport, HistorySource, plan_backfill, read_months
from calcom_pipeline.app.bookings.mirror import BookingOptions
from calcom_pipeline.app.bookings.ports import BookingMirror
from calcom_pipeline.app.calls import Lane, Progress
from calcom_pipeline.domain.bookings.positions import Month


class History(HistorySource, Protocol):
    """What a backfill needs of Cal.com."""

    def in_lane(self, lane: Lane) -> Self:
        """The same client with another place in the limiter's queue."""
        ...


def forecast_backfill(
    calcom: History,
    new_mirror: Callable[[], BookingMirror],
    months: Sequence[Month],
    options: BookingOptions,
    *,
    most_workers: int,
    now: datetime,
    again: bool = False,
) -> BackfillPlan:
    """Which months are left, and what reading them costs at most. One call."""
    slow = calcom.in_lane("backfill")
    return plan_backfill(slow, new_mirror(), months, options, most_workers=most_workers, again=again, now=now)


def backfill(
    calcom: History,
    new_mirror: Callable[[], BookingMirror],
    plan: BackfillPlan,
    options: BookingOptions,
    *,
    now: Callable[[], datetime],
    again: bool = False,
    progress: Progress | None = None,
) -> BackfillReport:
    """Read the months of a plan. Raises what `read_months` does."""
    slow = calcom.in_lane("backfill")
    return read_months(slow, new_mirror, plan, options, now=now, again=again, progress=progress)
