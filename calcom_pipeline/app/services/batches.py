"""Batches of a plan one after the other, each looked at just before it is written, without time lost in between.

A listing takes as long as a write. So the next batch is looked at while the last one is being written, and its writes
take the workers as they become free. So that a look does not get old in the meantime, it is begun as late as the last
batch says that it still comes in time: where a limiter spreads a batch over seconds, looks are spread as well.
"""

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from calcom_pipeline.app.event_types.ports import EventTypeApi
from calcom_pipeline.app.services.ports import ActionResult, ServiceStore
from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import Action

#: Actions of one owner scope, each with its position in the plan.
Batch = Sequence[tuple[int, Action]]

# A look is expected to take twice as long as the last one did: it is better a little early than late.
_LOOKS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class OwnerLook:
    """Both sides as they stood at `at`: an owner's event types by id, a batch's services by id."""

    listed: Mapping[int, EventType]
    rows: Mapping[str, Service]
    at: datetime


@dataclass(frozen=True, slots=True)
class BatchWritten:
    """A batch that has ended, and when it had been looked at."""

    results: list[ActionResult]
    looked_at: datetime


def look_at(batch: Batch, calcom: EventTypeApi, services: ServiceStore, now: Callable[[], datetime]) -> OwnerLook:
    """One listing of the batch's owner, one read of its services."""
    owner = batch[0][1].owner
    listed = {e.id: e for e in calcom.list_owner(owner)} if owner else {}
    return OwnerLook(listed, {s.id: s for s in services.services([a.service_id for _, a in batch])}, now())


def write_batches(
    batches: Iterable[Batch],
    *,
    look: Callable[[Batch], OwnerLook],
    write: Callable[[OwnerLook, int, Action], ActionResult],
    workers: int,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[BatchWritten]:
    """Look at and write every batch, at most `workers` actions at once; with one worker everything happens in turn.

    Raises what a look or a write raised; of a look only after the batch before it was handed out.
    """
    todo = iter(batches)
    lookout = _Lookout(look, in_turn=workers == 1, clock=clock)
    pool, looker = ThreadPoolExecutor(workers), ThreadPoolExecutor(1)
    last: _UnderWay | None = None
    try:
        batch = next(todo, None)
        coming = looker.submit(lookout.look, batch) if batch else None
        while batch and coming:
            if coming.exception() is not None and last is not None:
                yield last.ended()
            seen = coming.result()
            this = _UnderWay(seen.at, [pool.submit(write, seen, position, action) for position, action in batch])
            batch = next(todo, None)
            coming = looker.submit(lookout.look_in_time, batch, last, this) if batch else None
            if last is not None:
                yield last.ended()
            last = this
        if last is not None:
            yield last.ended()
    finally:
        looker.shutdown(cancel_futures=True)
        pool.shutdown(cancel_futures=True)


class _Lookout:
    """Looks at batches in a thread of its own, each as late as still comes in time."""

    def __init__(self, look: Callable[[Batch], OwnerLook], *, in_turn: bool, clock: Callable[[], float]) -> None:
        self._look = look
        self._in_turn = in_turn
        self._clock = clock
        self._took = 0.0
        self._free_at = clock()

    def look(self, batch: Batch) -> OwnerLook:
        """Look now."""
        began = self._clock()
        seen = self._look(batch)
        self._took = self._clock() - began
        return seen

    def look_in_time(self, batch: Batch, ending: "_UnderWay | None", before: "_UnderWay") -> OwnerLook:
        """Look before the batch `before` has ended, which will take about as long as the one that is `ending`."""
        seconds = 0.0
        if ending is not None:
            ending.settle()
            seconds, self._free_at = self._clock() - self._free_at, self._clock()
        before.wait(None if self._in_turn else seconds - _LOOKS_AHEAD * self._took)
        return self.look(batch)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """Writes of a batch."""

    looked_at: datetime
    results: list[Future[ActionResult]]

    def wait(self, seconds: float | None) -> None:
        """Wait so long, or until all are done."""
        if seconds is None or seconds > 0:
            wait(self.results, seconds)

    def settle(self) -> None:
        """Wait for all of them, whatever became of them."""
        for result in self.results:
            result.exception()

    def ended(self) -> BatchWritten:
        """Wait for all of them. Raises what a write raised."""
        return BatchWritten([result.result() for result in self.results], self.looked_at)
