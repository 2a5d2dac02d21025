"""The history of bookings, month by month of creation: resumable, several months at once where the limit feeds them.

Each month has its own position. A month that has ended and was read is done; the current one goes on where it was.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Event, Semaphore
from typing import Protocol

from calcom_pipeline.app.bookings.deletions import Proven, prove_missing
from calcom_pipeline.app.bookings.mirror import BookingOptions
from calcom_pipeline.app.bookings.paging import created_between
from calcom_pipeline.app.bookings.ports import BookingApi, BookingMirror, Stored
from calcom_pipeline.app.bookings.prefetch import in_background, read_ahead
from calcom_pipeline.app.calls import AccountApi, Progress
from calcom_pipeline.domain.bookings.listing import MINE, TICK, BookingPage, BookingQuery
from calcom_pipeline.domain.bookings.positions import HISTORY_STREAM, Forecast, Month, Position, forecast, workers_for
from calcom_pipeline.domain.errors import PipelineError


class HistorySource(BookingApi, AccountApi, Protocol):
    """What a backfill needs of Cal.com."""

    def limit_seen(self) -> int | None:
        """Calls a minute that Cal.com named last; None where it names none."""
        ...


@dataclass(frozen=True, slots=True)
class MonthReport:
    """What one month brought. `done`: it needs no further read."""

    month: Month
    read: int = 0
    pages: int = 0
    stored: Stored = field(default_factory=Stored)
    quarantined: int = 0
    unknown_fields: Mapping[str, int] = field(default_factory=dict[str, int])
    done: bool = False


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What a backfill would read, and what that costs. `done` were read before, `empty` lie before any booking."""

    months: tuple[Month, ...]
    done: tuple[Month, ...]
    empty: tuple[Month, ...]
    cost: Forecast


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill brought, month by month; `failures` say why some are not complete."""

    months: tuple[MonthReport, ...]
    failures: Mapping[str, str]
    proven: Proven

    @property
    def total(self) -> MonthReport:
        """All months together."""
        whole = MonthReport(Month(1, 1))
        for report in self.months:
            whole = replace(
                whole,
                read=whole.read + report.read,
                pages=whole.pages + report.pages,
                stored=whole.stored + report.stored,
                quarantined=whole.quarantined + report.quarantined,
                unknown_fields=dict(Counter(whole.unknown_fields) + Counter(report.unknown_fields)),
            )
        return whole


def plan_backfill(
    calcom: HistorySource,
    mirror: BookingMirror,
    months: Sequence[Month],
    options: BookingOptions,
    *,
    most_workers: int,
    again: bool = False,
    now: datetime | None = None,
) -> BackfillPlan:
    """Which of the months have to be read, and what that costs at most. One call: the oldest booking, and the count.

    With `again` months that were read before are read once more. With `now` none is done that is not over yet.
    """
    page = calcom.page(BookingQuery(MINE, sort="createdAt", take=1))
    created = [keys.created_at for keys in page.keys if keys.created_at is not None]
    oldest = Month.of(created[0]) if created else None
    # A row that is deleted while the page is read leaves it empty (fact sheet 8.2); then nothing is known.
    none_at_all = page.rows == 0 and not page.total
    empty = tuple(m for m in months if none_at_all or (oldest is not None and m < oldest))
    done = tuple(m for m in months if m not in empty and not again and is_done(mirror, m, now=now))
    left = tuple(m for m in months if m not in empty and m not in done)
    limit = min(calcom.limit_seen() or options.calls_per_minute, options.calls_per_minute)
    workers = min(workers_for(limit, most_workers), max(len(left), 1))
    cost = forecast(
        (page.total or 0) if left else 0,
        page_size=options.page_size,
        calls_per_minute=limit,
        parts=len(left),
        workers=workers,
    )
    return BackfillPlan(left, done, empty, cost)


def is_done(mirror: BookingMirror, month: Month, *, now: datetime | None = None) -> bool:
    """Whether a month was read to its end; not one that is not over at `now`, whatever a wrong clock has written."""
    position = mirror.position(HISTORY_STREAM, str(month))
    is_over = now is None or month.next.begin <= now
    return is_over and position is not None and position.reached >= month.next.begin


def read_month(
    calcom: BookingApi,
    mirror: BookingMirror,
    month: Month,
    options: BookingOptions,
    *,
    again: bool = False,
    now: datetime | None = None,
) -> MonthReport:
    """Read what was created in a month, from where an earlier read stopped. One that is done is read anew.

    So is one whose position lies ahead of `now`: a wrong clock has set it.

    Raises:
        CalcomError: Cal.com could not be read; the next read of the month goes on there.
    """
    position = mirror.position(HISTORY_STREAM, str(month))
    latest = None if now is None else now + options.clock_tolerance
    if (
        position is None
        or again
        or position.reached >= month.next.begin
        or (latest is not None and max(position.reached, position.started_at) > latest)
    ):
        mirror.begin(HISTORY_STREAM, str(month))
        position = None
    report, first, last, started_at = MonthReport(month), None, None, position.started_at if position else None
    low = position.reached if position else month.begin
    source = created_between(
        calcom, MINE, low, month.next.begin - TICK, take=options.page_size, lateness=options.overlap
    )
    for stretch in read_ahead(source):
        last = stretch.page
        first, started_at = first or last, started_at or last.read_at
        # Commits may be late: what was created since then may be followed by rows with earlier stamps.
        settled = max(first.read_at - options.overlap, low)
        at = min(stretch.reached, settled) if stretch.reached else None
        reached = Position(HISTORY_STREAM, str(month), at, started_at) if at else None
        stored = mirror.store(last, listing=MINE, position=reached, covered=stretch.covered)
        report = _added(report, last, stored)
    if first is None or last is None or started_at is None:
        raise AssertionError("a read has at least one page")
    # A month that is not over was read up to when the read began.
    reached_at = min(month.next.begin, max(first.read_at - options.overlap, low))
    end = replace(last, bookings=(), unreadable=(), keys=())
    mirror.store(end, listing=MINE, position=Position(HISTORY_STREAM, str(month), reached_at, started_at))
    return replace(report, done=reached_at == month.next.begin)


def _added(report: MonthReport, page: BookingPage, stored: Stored) -> MonthReport:
    return replace(
        report,
        read=report.read + page.rows,
        pages=report.pages + 1,
        stored=report.stored + stored,
        quarantined=report.quarantined + len(page.unreadable),
        unknown_fields=dict(Counter(report.unknown_fields) + Counter(page.unknown_fields)),
    )


def read_months(
    calcom: HistorySource,
    new_mirror: Callable[[], BookingMirror],
    plan: BackfillPlan,
    options: BookingOptions,
    *,
    now: Callable[[], datetime],
    again: bool = False,
    progress: Progress | None = None,
) -> BackfillReport:
    """Read the months of a plan, several at once. One month's failure is that month's result; the others go on.

    Each thread has a mirror of its own. Raises the first failure when no month could be read.
    """
    slots, stopped = Semaphore(plan.cost.workers), Event()

    def read(month: Month) -> MonthReport:
        with slots:
            if stopped.is_set():  # nobody asks for the months that are left
                return MonthReport(month)
            return read_month(calcom, new_mirror(), month, options, again=again, now=now())

    reports: list[MonthReport] = []
    failures: dict[str, str] = {}
    errors: list[PipelineError] = []
    running = {in_background(partial(read, month), name=f"backfill-{month}"): month for month in plan.months}
    try:
        for future in _finished(running):
            try:
                reports.append(future.result())
            except PipelineError as error:
                errors.append(error)
                failures[str(running[future])] = str(error)
            if progress:
                done = len(reports) + len(failures)
                progress(done, len(running), f"months, {sum(r.read for r in reports):,} bookings")
    finally:
        stopped.set()
    if errors and not reports:
        raise errors[0]
    proven = prove_missing(calcom, new_mirror(), [MINE], limit=options.proofs, now=now)
    return BackfillReport(tuple(sorted(reports, key=lambda r: r.month)), failures, proven)


def _finished(futures: Iterable["Future[MonthReport]"]) -> Iterable["Future[MonthReport]"]:
    left = set(futures)
    while left:
        done, left = wait(left, return_when=FIRST_COMPLETED)
        yield from done
