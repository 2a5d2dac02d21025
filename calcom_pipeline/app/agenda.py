"""Whose turn it is, of many tasks that are done whenever something has come in, and now and then anyway.

No thread and no clock: `tasks` has both.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count


@dataclass(slots=True, eq=False)
class AgendaEntry:
    """A task. `work` does what there is to do and answers after how many seconds it is due unasked; None: never."""

    work: Callable[[], float | None]
    at: float | None = None
    is_in_line: bool = field(default=False, init=False)
    is_running: bool = field(default=False, init=False)

    @property
    def is_at_rest(self) -> bool:
        """Neither running nor about to: whatever it was woken for is done."""
        return not self.is_running and not self.is_in_line


class Agenda:
    """Tasks in their order: first those that were woken, as they were, then those that are due by themselves.

    A task runs once at a time, and once for all that woke it meanwhile. Not safe for several threads.
    """

    def __init__(self) -> None:
        self._line: deque[AgendaEntry] = deque()
        self._due: list[tuple[float, int, AgendaEntry]] = []
        self._numbers = count()  # tasks of one moment stay in their order

    def plan(self, entry: AgendaEntry, at: float | None) -> None:
        """It is due then, unless woken before; None: only when woken."""
        entry.at = at
        if at is not None:
            heapq.heappush(self._due, (at, next(self._numbers), entry))

    def wake(self, entry: AgendaEntry) -> None:
        """There is something for it to do."""
        if entry.is_in_line:
            return
        entry.is_in_line = True
        if not entry.is_running:
            self._line.append(entry)

    def take(self, now: float) -> AgendaEntry | None:
        """The next one, which runs from now on; None if none is due."""
        if self._line:
            entry = self._line.popleft()
        elif (at := self.next_at()) is not None and at <= now:
            _, _, entry = heapq.heappop(self._due)
        else:
            return None
        entry.is_in_line, entry.is_running, entry.at = False, True, None
        return entry

    def done(self, entry: AgendaEntry, *, now: float, again_seconds: float | None) -> None:
        """It has run, and is due again after so long. If it was woken meanwhile, it goes to the end of the line."""
        entry.is_running = False
        if entry.is_in_line or again_seconds == 0:
            entry.is_in_line = True
            self._line.append(entry)
        self.plan(entry, None if again_seconds is None else now + again_seconds)

    def next_at(self) -> float | None:
        """When the first one is due by itself."""
        while self._due and self._due[0][2].at != self._due[0][0]:  # it ran meanwhile, or was taken off
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    @property
    def has_more(self) -> bool:
        """Whether one is in line, or will be due by itself."""
        return bool(self._line) or self.next_at() is not None
