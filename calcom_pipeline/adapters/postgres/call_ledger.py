"""The table `api_calls`: one row per request to Cal.com, written by a thread of its own, never in the calls' way.

Rows wait in memory until there are enough of them, some seconds have passed, or the recorder is closed. While
PostgreSQL is away or the table is locked they are kept up to a bound, then the oldest are dropped and counted. Closing
waits for the last rows for a few seconds (`ledger_seconds`) and no longer: whose calls they tell of has done its work.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.calls import CallRecord
from calcom_pipeline.domain.errors import StoreError, StoreTimeout

_log = event_logger("api_calls")

_BATCH_ROWS = 100
_OLDEST_SECONDS = 5.0
# After a failure the database is left alone for this long: an unreachable one costs seconds to find out.
_AGAIN_SECONDS = 30.0
_KEPT_ROWS = 5_000  # about 2 MB; hours of calls under Cal.com's limit
#: Partitions of so many months are made ahead.
MONTHS_AHEAD = 2

_COPY = (
    "COPY api_calls (called_at, operation, endpoint_group, method, status, outcome, duration_ms, waited_ms, attempt, "
    "lane, request_id) FROM STDIN"
)
_MAKE_PARTITIONS = "SELECT make_api_calls_partitions(%(months)s)"


class ApiCallRecorder:
    """Observes calls and writes a row for each that was sent. Safe to use from several threads. Close it."""

    def __init__(
        self, database: Database, *, kept_rows: int = _KEPT_ROWS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._kept_rows = kept_rows
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._rows: deque[CallRecord] = deque()
        self._dropped = 0
        self._next_write = clock() + _OLDEST_SECONDS
        self._failed = False
        self._partitioned = False
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Rows that were lost so far, since PostgreSQL did not take them."""
        return self._dropped

    def started(self, record: CallRecord) -> None:
        """Nothing: a row is written when its end is known."""

    def completed(self, record: CallRecord) -> None:
        """Keep the row."""
        self._keep(record)

    def failed(self, record: CallRecord) -> None:
        """Keep the row, if a request was sent at all."""
        if record.sent:
            self._keep(record)

    def flush(self) -> None:
        """Write what is kept, in the caller's thread. Never raises `StoreError`: the record matters less than calls."""
        with self._writing:
            with self._lock:
                rows, self._rows = list(self._rows), deque()
            if rows and not self._written(rows):
                with self._lock:
                    self._rows.extendleft(reversed(rows))
                    self._drop_the_oldest()

    def close(self) -> None:
        """Write what is kept, as far as that takes no longer than `ledger_seconds`."""
        with self._lock:
            self._closing = True
            if self._rows:
                self._started()
            writer = self._thread
        self._wake.set()
        if writer is not None:
            writer.join(self._database.bounds.ledger_seconds)
        with self._lock:
            lost = self._dropped + len(self._rows)
        if writer is not None and writer.is_alive():
            _log.warning("calls_not_recorded", reason="PostgreSQL did not take the last rows in time")
        elif lost:
            _log.warning("calls_not_recorded", dropped=lost)

    def _keep(self, record: CallRecord) -> None:
        with self._lock:
            self._rows.append(record)
            self._drop_the_oldest()
            now = self._clock()
            due = now >= self._next_write or (len(self._rows) >= _BATCH_ROWS and not self._failed)
            if due:
                self._next_write = now + _OLDEST_SECONDS
            self._started()
        if due:
            self._wake.set()

    def _drop_the_oldest(self) -> None:
        while len(self._rows) > self._kept_rows:
            self._rows.popleft()
            self._dropped += 1

    def _started(self) -> None:
        """Start the thread that writes. It is no reason for a process to stay, and ends while nothing is called."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_on, name="api_calls", daemon=True)
            self._thread.start()

    def _write_on(self) -> None:
        while True:
            woken = self._wake.wait(_OLDEST_SECONDS)
            self._wake.clear()
            if woken or self._clock() >= self._next_write:
                self.flush()
            with self._lock:
                if self._closing:
                    return
                if not self._rows:  # the next row starts another
                    self._thread = None
                    return

    def _written(self, rows: list[CallRecord]) -> bool:
        try:
            self._make_partitions()
            with self._database.transaction("Recording calls", "ledger") as cursor, cursor.copy(_COPY) as copy:
                for row in rows:
                    copy.write_row(_columns(row))
        except StoreError as error:
            with self._lock:
                first, self._failed = not self._failed, True
                self._next_write = self._clock() + _AGAIN_SECONDS
            if first:
                _log.warning("calls_not_recorded", reason=str(error))
            return False
        with self._lock:
            self._failed = False
        return True

    def _make_partitions(self) -> None:
        """Months ahead, once per process; somebody else may be doing so at the same moment."""
        if self._partitioned:
            return
        self._partitioned = True
        try:
            with self._database.transaction("Making partitions", "ledger") as cursor:
                cursor.execute(_MAKE_PARTITIONS, {"months": MONTHS_AHEAD})
        except StoreTimeout:
            raise  # nor would the rows get in
        except StoreError as error:
            _log.info("partitions_not_made", reason=str(error))


@contextmanager
def recording_calls(database: Database) -> Generator[ApiCallRecorder]:
    """A recorder whose last rows are written at the end of the block."""
    recorder = ApiCallRecorder(database)
    try:
        yield recorder
    finally:
        recorder.close()


def _columns(row: CallRecord) -> tuple[object, ...]:
    return (
        row.started_at,
        row.operation,
        row.endpoint_group,
        row.method,
        row.status,
        row.outcome,
        round(row.duration_seconds * 1000),
        round(row.waited_seconds * 1000),
        row.attempt,
        row.lane,
        row.request_id,
    )
