"""Readers of bookings for the harness: ours in every way, and what connectors do instead."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.bookings.mirror import PostgresBookingMirror
from calcom_pipeline.adapters.postgres.database import Database, open_database
from calcom_pipeline.app.bookings.history import plan_backfill, read_months
from calcom_pipeline.app.bookings.mirror import BookingOptions, Mode, pull_bookings
from calcom_pipeline.app.calls import CallRecord
from calcom_pipeline.domain.bookings.listing import BookingQuery
from calcom_pipeline.domain.bookings.positions import Month
from calcom_pipeline.domain.errors import PipelineError
from tests.faults.harness import SCHEMA, Desk

#: What readers in a storm do, and how often.
_ROUND: tuple[Mode | None, ...] = ("changes", "changes", "changes", "changes", "full", "reread", None)
_MONTHS_READ = 3


@dataclass(frozen=True)
class Reading:
    """How bookings are read. `sky` is the port to ask before each page."""

    page_size: int
    overlap: timedelta
    sky: int

    @property
    def options(self) -> BookingOptions:
        return BookingOptions(page_size=self.page_size, overlap=self.overlap)


class _Asking:
    """An observer that lets the weather strike before each page is asked for."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._answers = self._connection.makefile("rb")

    def started(self, record: CallRecord) -> None:
        if record.operation == "Listing bookings":
            self._connection.sendall(b"\n")
            self._answers.readline()

    def completed(self, record: CallRecord) -> None:
        """Nothing."""

    failed = completed


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def opened(desk: Desk, reading: Reading) -> Generator[tuple[CalcomClient, Database]]:
    with (
        desk.calcom(observers=[_Asking(reading.sky)]) as calcom,
        open_database(desk.place.database_url, schema=SCHEMA) as database,
    ):
        yield calcom, database


def reader(desk: Desk, reading: Reading) -> None:
    """Reads in every way, for ever; no failure ends it."""
    with opened(desk, reading) as (calcom, database):
        while True:
            mode = desk.random.choice(_ROUND)
            try:
                if mode is None:
                    read_history(desk, calcom, database, reading)
                else:
                    read(desk, calcom, database, reading, mode)
            except PipelineError as error:
                desk.tell("failed", mode=mode, kind=type(error).__name__, why=str(error))


def read(desk: Desk, calcom: CalcomClient, database: Database, reading: Reading, mode: Mode) -> None:
    resume = mode == "full" and desk.random.random() < 0.5
    mirror = PostgresBookingMirror(database)
    report = pull_bookings(calcom, mirror, reading.options, now=now, mode=mode, resume=resume)
    told = {"pages": report.pages, "rows": report.read, "written": report.stored.changes.written}
    desk.tell("read", mode=mode, full=report.full, gone=report.proven.gone, open=report.proven.why_open, **told)


def read_history(desk: Desk, calcom: CalcomClient, database: Database, reading: Reading) -> None:
    """A few months of creation, several at once."""
    mirror, options = PostgresBookingMirror(database), reading.options
    last = Month.of(now())
    months = desk.random.sample(Month(last.year - 1, last.month).through(last), _MONTHS_READ)
    plan = plan_backfill(calcom, mirror, sorted(months), options, most_workers=2, again=True)
    if plan.months:
        read_months(calcom, lambda: PostgresBookingMirror(database), plan, options, now=now, again=True)
        desk.tell("read", mode="history", months=len(plan.months))


def offset_reader(desk: Desk, reading: Reading) -> None:
    """What connectors do: sort, skip, take, until a page is short. Tells the uids that it has seen."""
    seen: set[str] = set()
    skip = 0
    with opened(desk, reading) as (calcom, _):
        while True:
            query = BookingQuery(sort="updatedAt", after_updated_at=datetime(2000, 1, 1, tzinfo=UTC), skip=skip,
                                 take=reading.page_size)  # fmt: skip
            page = calcom.page(query)
            seen.update(booking.uid for booking in page.bookings)
            if page.rows < reading.page_size:
                break
            skip += reading.page_size
    desk.tell("offset", uids=sorted(seen))
