"""Progress of a running step: lines in Dagster's log, and a bar for whoever runs the step in this process."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import dagster as dg

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.domain.cleaning import printable

_LINES_PER_STEP = 5
_listener: ContextVar[Progress | None] = ContextVar("calcom_progress", default=None)


@contextmanager
def listening(listener: Progress) -> Generator[None]:
    """Hand the progress of steps that run in this thread to `listener` too."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def progress_of(context: dg.AssetExecutionContext) -> Progress:
    """Reports a step's progress: at most a few lines in the log, every step to the listener."""
    listener = _listener.get()

    def report(done: int, total: int | None, what: str) -> None:
        every = max(1, (total or _LINES_PER_STEP) // _LINES_PER_STEP)
        if total is None or done % every == 0 or done == total:
            context.log.info(printable(f"{done} of {total}: {what}" if total else f"{done} {what}"))
        if listener:
            listener(done, total, what)

    return report
