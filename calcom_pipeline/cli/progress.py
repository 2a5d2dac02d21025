"""Progress of a long command: how far, how fast, how long it still takes, and whether it waits for the limit.

A bar on a terminal; in a pipe a line now and then, for the log of a CI job.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from calcom_pipeline.app.calls import Progress

#: A pipe gets a line no more often: a command that ends before prints none on the way.
LINE_EVERY_SECONDS = 30.0
# Cal.com answers within a second; what stands still for longer may be waiting for its turn.
_STILL_SECONDS = 2.0
# A wait that is shorter is no news.
_SHORTEST_SHOWN_WAIT_SECONDS = 1.0
_BAR_CELLS = 16
_MINUTE, _HOUR = 60, 3600


class Turns(Protocol):
    """Who knows how long a call would have to wait for its turn now: the client of Cal.com."""

    def seconds_until_available(self) -> float:
        """About so many seconds; 0 is now."""
        ...


@dataclass(slots=True)
class Pace:
    """How far and how fast, by the reports of a job of one part or of several. Instants are seconds of one clock."""

    began: float
    done: int = 0
    total: int | None = None
    _last: float | None = None

    def note(self, done: int, total: int | None, now: float) -> None:
        """A report. One that is behind the last is of a new part, which began with the last report."""
        if done < self.done:
            self.began = self._last if self._last is not None else self.began
        self.done, self.total, self._last = done, total, now

    def per_minute(self, now: float) -> float | None:
        """Steps a minute so far, all waits included; None while nothing was done."""
        took = now - self.began
        return self.done / took * _MINUTE if self.done and took > 0 else None

    def seconds_left(self, now: float) -> float | None:
        """At this pace; None while nobody knows the pace or the end."""
        if self.total is None or not self.done or now <= self.began:
            return None
        return max(self.total - self.done, 0) * (now - self.began) / self.done

    def still_for(self, now: float) -> float:
        """Seconds since the last report."""
        return now - (self._last if self._last is not None else self.began)

    def summary(self, now: float) -> str:
        """`1,180 a minute, 41 s left`; as much of it as is known, nothing of a part that is done."""
        if self.done == self.total:
            return ""
        rate, left = self.per_minute(now), self.seconds_left(now)
        parts = [f"{rate:,.0f} a minute"] if rate is not None else []
        return ", ".join([*parts, f"{duration(left)} left"] if left else parts)


def duration(seconds: float) -> str:
    """`41 s`, `6 min`, `2 h 5 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


class WaitForTurn:
    """Says that a job which stands still waits for the limit, and for how long; asks once a second at most."""

    def __init__(self, turns: Turns | None) -> None:
        self._turns = turns
        self._asked: float | None = None
        self._message = ""

    def message(self, pace: Pace, now: float) -> str:
        """`waiting for the limit, 43 s`; nothing while the job moves."""
        if self._turns is None or pace.still_for(now) < _STILL_SECONDS:
            return ""
        if self._asked is None or now - self._asked >= 1:
            self._asked = now
            wait = self._turns.seconds_until_available()
            self._message = f"waiting for the limit, {duration(wait)}" if wait >= _SHORTEST_SHOWN_WAIT_SECONDS else ""
        return self._message


@contextmanager
def bar(title: str, shown: Callable[[str], str], turns: Turns | None) -> Generator[Progress]:
    """A bar on standard error, gone when the block ends. `shown` takes from a text what no terminal may get.

    It has a way to the terminal of its own: a step of Dagster turns standard error into its log while it runs.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    pace, waiting = Pace(time.monotonic()), WaitForTurn(turns)

    class PaceColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            del task
            now = time.monotonic()
            return Text(waiting.message(pace, now) or pace.summary(now), no_wrap=True, overflow="ellipsis")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=_BAR_CELLS),
        MofNCompleteColumn(),
        PaceColumn(),
        TimeElapsedColumn(),
    )
    width = shutil.get_terminal_size().columns
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        console = Console(file=terminal, width=width, force_terminal=True)
        with Bars(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bars:
            task = bars.add_task(shown(title), total=None)

            def report(done: int, total: int | None, what: str) -> None:
                pace.note(done, total, time.monotonic())
                bars.update(task, completed=done, total=total, description=shown(what))

            yield report


def lines(
    title: str, say: Callable[[str], None], turns: Turns | None, *, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """A line for a pipe, at most every `LINE_EVERY_SECONDS`, the first one after as long."""
    pace, waiting = Pace(clock()), WaitForTurn(turns)
    printed_at = clock()

    def report(done: int, total: int | None, what: str) -> None:
        nonlocal printed_at
        now = clock()
        wait = waiting.message(pace, now)
        pace.note(done, total, now)
        if now - printed_at < LINE_EVERY_SECONDS:
            return
        printed_at = now
        far = f"{done:,} of {total:,}" if total else f"{done:,}"
        say(", ".join(part for part in (f"{title}: {far} {what}", pace.summary(now), wait) if part))

    return report


def silent(done: int, total: int | None, what: str) -> None:
    """For programs: their one object says enough."""
    del done, total, what


def is_watched() -> bool:
    """Whether somebody looks at standard error."""
    return sys.stderr.isatty()
