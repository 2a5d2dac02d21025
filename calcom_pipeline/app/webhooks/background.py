"""Work that follows deliveries at once, in a thread of its own: nobody's answer waits for it.

It is a short cut: the outbox and the inbox are also dealt with by Dagster's sensors, so whatever fails here is theirs.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class BackgroundThread:
    """Does its work whenever it is woken, once for all that woke it meanwhile, and every `every_seconds` anyway."""

    def __init__(self, work: Callable[[], None], *, every_seconds: float, failed: Callable[[Exception], None]) -> None:
        """`failed` hears of whatever `work` raises: any `PipelineError`, and what nobody foresaw."""
        self._work = work
        self._every_seconds = every_seconds
        self._failed = failed
        self._woken = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="webhook-background", daemon=True)

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
        while not self._ending:
            self._woken.wait(self._every_seconds)
            self._woken.clear()
            if self._ending:
                return
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - a bug in it, or a full disk, must not end what follows deliveries
                self._failed(error)
