"""A few threads for the tasks of any number of accounts: nobody's answer waits for them, none wakes for nothing."""

import threading
import time
from collections.abc import Callable
from typing import Self

from calcom_pipeline.app.agenda import Agenda, AgendaEntry

# Threads that stay for the next task once there is none; more begin while all are busy.
_SPARE = 2
# After a bug in a task; what it left undone is not lost, but nothing is won by trying at once.
_AFTER_A_BUG_SECONDS = 5.0


class BackgroundTask:
    """One task of some threads. It runs once at a time, and once for all that woke it meanwhile."""

    def __init__(self, threads: "TaskThreads", entry: AgendaEntry) -> None:
        self._threads = threads
        self._entry = entry

    def wake(self) -> None:
        """There is something to do. Returns at once, from any thread."""
        self._threads.wake(self._entry)

    def end(self) -> None:
        """Returns when all is done that it was woken for; from then on it runs no more."""
        self._threads.end(self._entry)


class TaskThreads:
    """At most `most` threads, as long as the block; one of them is enough for any number of idle tasks."""

    def __init__(
        self,
        name: str,
        *,
        most: int,
        failed: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`failed` hears of what a task raises: a bug, since tasks deal with what may go wrong."""
        self._name = name
        self._most = most
        self._failed = failed
        self._clock = clock
        self._agenda = Agenda()
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._ending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends after what they are doing; what waits for its turn is not begun."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            left = list(self._threads)
        for thread in left:
            thread.join()

    def add(self, work: Callable[[], float | None], *, first_after: float | None = 0.0) -> BackgroundTask:
        """Do this whenever it is woken, first after so many seconds, then after as many as it answers; None: never."""
        entry = AgendaEntry(work)
        with self._changed:
            self._agenda.plan(entry, None if first_after is None else self._clock() + first_after)
            self._one_more()
        return BackgroundTask(self, entry)

    def wake(self, entry: AgendaEntry) -> None:
        """See `BackgroundTask.wake`."""
        with self._changed:
            self._agenda.wake(entry)
            self._one_more()

    def end(self, entry: AgendaEntry) -> None:
        """See `BackgroundTask.end`."""
        with self._changed:
            while not (entry.is_at_rest or self._ending):
                self._changed.wait()
            self._agenda.plan(entry, None)

    # --- the threads -------------------------------------------------------------------------------------

    def _one_more(self) -> None:
        """Somebody looks at the agenda again."""
        if self._idle:
            self._changed.notify_all()
        elif len(self._threads) < self._most and not self._ending and self._agenda.has_more:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._threads.add(thread)
            thread.start()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            again: float | None = _AFTER_A_BUG_SECONDS
            try:
                again = entry.work()
            except Exception as error:  # noqa: BLE001 - a bug in one, or a full disk, must not end what others need
                self._failed(error)
            with self._changed:
                self._agenda.done(entry, now=self._clock(), again_seconds=again)
                self._changed.notify_all()  # who waits for its end, and who waits for a turn

    def _next(self) -> AgendaEntry | None:
        """The next task, waited for; None when this thread is needed no more."""
        with self._changed:
            while not self._ending:
                now = self._clock()
                if (entry := self._agenda.take(now)) is not None:
                    self._one_more()
                    return entry
                if self._idle >= _SPARE:
                    break
                at = self._agenda.next_at()
                self._idle += 1
                self._changed.wait(None if at is None else max(0.0, at - now))
                self._idle -= 1
            self._threads.discard(threading.current_thread())
            return None
