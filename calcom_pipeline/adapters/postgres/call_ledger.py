"""The table `api_calls`: one row per request to Cal.com, written in batches beside the calls, never in their way.

Rows wait in memory until there are enough of them, some seconds have passed, or the recorder is closed. While
PostgreSQL is away they are kept up to a bound, then the oldest are dropped; both are said once, in the log.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.app.calls import CallRecord
from calcom_pipeline.domain.errors import StoreError

_log = event_logger("api_calls")

_BATCH_ROWS = 100
_OLDEST_SECONDS = 5.0
# After a failure the database is left alone for this long: an unreachable one costs seconds to find out.
_AGAIN_SECONDS = 30.0
_KEPT_ROWS = 5_000
#: Partitions of so many months are made ahead.
MONTHS_AHEAD = 2

_COPY = (
    "COPY api_calls (called_at, operation, endpoint_group, method, status, outcome, duration_ms, waited_ms, attempt, "
    "lane, request_id) FROM STDIN"
)
_MAKE_PARTITIONS = "SELECT make_api_calls_partitions(%(months)s)"


class ApiCallRecorder:
    """Observes calls and writes a row for each that was sent. Safe to use from several threads."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._rows: deque[CallRecord] = deque(maxlen=_KEPT_ROWS)
        self._next_write = clock() + _OLDEST_SECONDS
        self._failed = False
        self._partitioned = False

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
        """Write what is kept. Never raises `StoreError`: calls are more important than their record."""
        with self._writing:
            with self._lock:
                rows, self._rows = list(self._rows), deque(maxlen=_KEPT_ROWS)
            if rows and not self._written(rows):
                with self._lock:  # the oldest are dropped when there are too many
                    self._rows = deque([*rows, *self._rows], maxlen=_KEPT_ROWS)

    def _keep(self, record: CallRecord) -> None:
        with self._lock:
            self._rows.append(record)
            now = self._clock()
            due = now >= self._next_write or (len(self._rows) >= _BATCH_ROWS and not self._failed)
            if due:
                self._next_write = now + _OLDEST_SECONDS
        if due and not self._writing.locked():
            self.flush()

    def _written(self, rows: list[CallRecord]) -> bool:
        try:
            self._make_partitions()
            with self._database.transaction("Recording calls") as cursor, cursor.copy(_COPY) as copy:
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
            with self._database.transaction("Making partitions") as cursor:
                cursor.execute(_MAKE_PARTITIONS, {"months": MONTHS_AHEAD})
        except StoreError as error:
            _log.info("partitions_not_made", reason=str(error))


@contextmanager
def recording_calls(database: Database) -> Generator[ApiCallRecorder]:
    """A recorder whose last rows are written at the end of the block."""
    recorder = ApiCallRecorder(database)
    try:
        yield recorder
    finally:
        recorder.flush()


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
