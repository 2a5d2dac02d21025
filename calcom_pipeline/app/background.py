"""Work that follows changes at once, in a thread of its own: nobody's answer waits for it.

It is a short cut: the outbox, the inbox and the feed of services are also dealt with by Dagster's sensors, so whatever
fails here is theirs.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

# A server that is away is asked again, and told of, no more often.
_AFTER_FAILURE_SECONDS = 5.0


class BackgroundThread:
    """Does its work whenever it is woken, once for all that woke it meanwhile, and every `every_seconds` anyway.

    Work that returns a number of seconds is done again after so long, if that is sooner. After a failure it rests for
    some seconds, unless it is woken.
    """

    def __init__(
        self, work: Callable[[], float | None], *, name: str, every_seconds: float, failed: Callable[[Exception], None]
    ) -> None:
        """`failed` hears of whatever `work` raises: any `PipelineError`, and what nobody foresaw."""
        self._work = work
        self._every_seconds = every_seconds
        self._failed = failed
        self._woken = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends after what it is doing."""
        self._ending = True
        self._woken.set()
        self._thread.join()

    def wake(self) -> None:
        """There is something to do. Returns at once, from any thread."""
        self._woken.set()

    def _run(self) -> None:
        pause = self._every_seconds
        while not self._ending:
            self._woken.wait(pause)
            self._woken.clear()
            if self._ending:
                return
            pause = self._every_seconds
            try:
                pause = min(pause, self._work() or pause)
            except Exception as error:  # noqa: BLE001 - a bug in it, or a full disk, must not end what follows changes
                self._failed(error)
                pause = max(pause, _AFTER_FAILURE_SECONDS)
