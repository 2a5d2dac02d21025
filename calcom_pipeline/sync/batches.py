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

from calcom_pipeline.domain.models import EventType
from calcom_pipeline.domain.plans import Action
from calcom_pipeline.domain.services import Service
from calcom_pipeline.ports import EventTypeApi
from calcom_pipeline.service_ports import ActionResult, ServiceStore

#: Actions of one owner scope, each with its position in the plan.
Batch = Sequence[tuple[int, Action]]

# A look is expected to take twice as long as the last one did: it is better a little early than late.
_LOOKS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Look:
    """Both sides as they stood at `at`: an owner's event types by id, a batch's services by id."""

    listed: Mapping[int, EventType]
    rows: Mapping[str, Service]
    at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """A batch that has ended, and when it had been looked at."""

    results: list[ActionResult]
    looked_at: datetime


def look_at(batch: Batch, calcom: EventTypeApi, services: ServiceStore, now: Callable[[], datetime]) -> Look:
    """One listing of the batch's owner, one read of its services."""
    owner = batch[0][1].owner
    listed = {e.id: e for e in calcom.list_owner(owner)} if owner else {}
    return Look(listed, {s.id: s for s in services.services([a.service_id for _, a in batch])}, now())


def write_batches(
    batches: Iterable[Batch],
    *,
    look: Callable[[Batch], Look],
    write: Callable[[Look, int, Action], ActionResult],
    workers: int,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Written]:
    """Look at and write every batch, at most `workers` actions at once; with one worker everything happens in turn."""
    with ThreadPoolExecutor(workers) as pool:
        last: _UnderWay | None = None
        seconds, took, free_at = 0.0, 0.0, clock()
        try:
            for batch in batches:
                if last is not None:
                    last.wait(None if workers == 1 else seconds - _LOOKS_AHEAD * took)
                began = clock()
                seen = look(batch)
                took = clock() - began
                this = _UnderWay(seen.at, [pool.submit(write, seen, position, action) for position, action in batch])
                if last is not None:
                    ended = last.ended()
                    seconds, free_at = clock() - free_at, clock()
                    yield ended
                last = this
            if last is not None:
                yield last.ended()
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """Writes of a batch."""

    looked_at: datetime
    results: list[Future[ActionResult]]

    def wait(self, seconds: float | None) -> None:
        """Wait so long, or until all are done."""
        if seconds is None or seconds > 0:
            wait(self.results, seconds)

    def ended(self) -> Written:
        """Wait for all of them. Raises what a write raised."""
        return Written([result.result() for result in self.results], self.looked_at)
