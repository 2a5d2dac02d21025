"""Take deliveries in: judge them, keep them, and only then have them answered. Cal.com delivers once.

One thread at a time writes for all requests of an account, so that those that come together share one way to the
disk. With PostgreSQL away they go to the spool; with that full too they are lost, which is counted and answered as what
it is.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Self

from calcom_pipeline.app.tasks import BackgroundTask, TaskThreads
from calcom_pipeline.app.webhooks.delivery_ports import DeliveryEntry, DeliverySpool, Spooled, SpoolFull
from calcom_pipeline.domain.errors import PipelineError, StoreError
from calcom_pipeline.domain.webhooks.deliveries import Delivery, Refused, judge

#: `stored` and `repeated` (known before) are in the inbox, `spooled` on the local disk, `lost` nowhere.
Outcome = Literal["stored", "repeated", "spooled", "lost"]

# Deliveries that share a transaction; about half a megabyte of them.
_TOGETHER = 200
# Deliveries that wait to be written: ten seconds of the fastest storm that has to be borne. More are refused.
_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """`secrets` are those that Cal.com may sign with now; asked for each delivery, so that they can be rotated.

    `window` is how far `createdAt` may be from now. `keeps_bodies`: what is kept of people allows it. After a failure
    PostgreSQL is left alone for `pause_seconds`.
    """

    secrets: Callable[[], Sequence[bytes]]
    window: timedelta = timedelta(minutes=15)
    keeps_bodies: bool = True
    pause_seconds: float = 2.0


class Intake:
    """Judges in the caller's thread, keeps in another. Open as long as the block."""

    def __init__(
        self,
        entry: DeliveryEntry,
        spool: DeliverySpool,
        options: IntakeOptions,
        *,
        now: Callable[[], datetime],
        taken: Callable[[], None] = lambda: None,
        troubled: Callable[[str, int], None] = lambda _why, _number: None,
        clock: Callable[[], float] = time.monotonic,
        threads: TaskThreads | None = None,
    ) -> None:
        """`taken` hears that the inbox has something new; `troubled` why deliveries went elsewhere, and how many.

        It writes in one of `threads`, which are open for longer; without them it has a thread of its own.
        """
        self._entry = entry
        self._spool = spool
        self._options = options
        self._now = now
        self._taken = taken
        self._troubled = troubled
        self._clock = clock
        self._shared_threads = threads
        self._waiting: deque[tuple[Delivery, Future[Outcome]]] = deque()
        self._away_until = float("-inf")
        self._may_hold_spooled = True  # of a process before this one
        self._counts: Counter[str] = Counter()
        self._closed = False
        self._guard = threading.Lock()
        self._task: BackgroundTask | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        threads = self._shared_threads or self._stack.enter_context(
            TaskThreads("webhook-intake", most=1, failed=lambda error: self._troubled(_unexpected(error), 0))
        )
        self._task = threads.add(self._work)
        return self

    def __exit__(self, *_: object) -> None:
        """What was submitted is kept and answered before this returns."""
        with self._guard:
            self._closed = True
        if self._task is not None:
            self._task.end()
        self._stack.close()

    def counts(self) -> dict[str, int]:
        """How many deliveries of this process came to what: outcomes, and `refused_...`."""
        return dict(self._counts)

    def judge(self, raw: bytes, signature: str | None) -> Delivery | Refused:
        """The delivery, if it is Cal.com's and of now."""
        options = self._options
        found = judge(raw, signature, secrets=options.secrets(), now=self._now(), window=options.window)
        if isinstance(found, Refused):
            self._counts[f"refused_{found.why}"] += 1
            return found
        return found if options.keeps_bodies else replace(found, body=b"")

    def submit(self, delivery: Delivery) -> "Future[Outcome]":
        """Ends when the delivery is kept, or lost. Returns at once."""
        outcome: Future[Outcome] = Future()
        with self._guard:
            task = self._task if not self._closed and len(self._waiting) < _WAITING else None
            if task is not None:
                self._waiting.append((delivery, outcome))
                task.wake()
        if task is None:
            self._counts["lost"] += 1
            self._troubled("more deliveries wait than can be held", 1)
            outcome.set_result("lost")
        return outcome

    # --- the thread --------------------------------------------------------------------------------------

    def _work(self) -> float | None:
        """Keep those that wait, or the first of them; seconds until the spool is looked into, if that may hold some."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
        if batch:
            self._keep(batch)
        if self._may_hold_spooled and self._clock() >= self._away_until:
            self._move_some()
        if self._waiting:
            return 0.0
        if self._closed:
            return None
        left = max(0.0, min(self._away_until - self._clock(), self._options.pause_seconds))
        return left if self._may_hold_spooled else None

    def _keep(self, batch: Sequence[tuple[Delivery, "Future[Outcome]"]]) -> None:
        deliveries = [delivery for delivery, _ in batch]
        heard = [future.set_running_or_notify_cancel() for _, future in batch]  # a caller may have left; it is kept
        try:
            new = self._stored(deliveries)
            if new is None:
                outcomes: list[Outcome] = [self._spooled(deliveries)] * len(batch)
            else:
                outcomes = _told_apart(deliveries, new)
        except Exception as error:  # noqa: BLE001 - a bug here must neither end the thread nor leave a caller waiting
            self._troubled(_unexpected(error), len(batch))
            outcomes = ["lost"] * len(batch)
        self._counts.update(outcomes)
        for (_, future), outcome, is_heard in zip(batch, outcomes, heard, strict=True):
            if is_heard:
                future.set_result(outcome)
        if "stored" in outcomes:
            self._taken()

    def _stored(self, deliveries: Sequence[Delivery]) -> set[bytes] | None:
        """The digests of the new ones; None while PostgreSQL is away, which is found out once in a while."""
        if self._clock() < self._away_until:
            return None
        try:
            return self._entry.add(deliveries)
        except PipelineError as error:
            self._is_away(error)
            return None

    def _spooled(self, deliveries: Sequence[Delivery]) -> Outcome:
        try:
            self._spool.put(deliveries)
        except SpoolFull as full:
            self._troubled(str(full), len(deliveries))
            return "lost"
        self._may_hold_spooled = True
        return "spooled"

    def _move_some(self) -> None:
        """One file of the spool at a time: deliveries that come meanwhile are answered in between."""
        try:
            moved = move_oldest(self._spool, self._entry)
        except PipelineError as error:
            self._is_away(error)
            return
        except OSError as error:  # the spool is broken, and PostgreSQL is not: deliveries go on
            self._may_hold_spooled = False
            self._troubled(f"the spool cannot be read: {type(error).__name__}", 0)
            return
        self._may_hold_spooled = moved is not None
        if moved is not None:
            self._taken()

    def _is_away(self, error: Exception) -> None:
        self._away_until = self._clock() + self._options.pause_seconds
        self._troubled(str(error) if isinstance(error, StoreError) else type(error).__name__, 0)


def _unexpected(error: Exception) -> str:
    return f"unexpected {type(error).__name__}"


def move_oldest(spool: DeliverySpool, entry: DeliveryEntry) -> int | None:
    """Move what was spooled first into the inbox; how many deliveries, None if the spool is empty.

    One that dies in between moves them again, and the inbox knows them. Raises what the inbox does.
    """
    spooled: Spooled | None = spool.oldest()
    if spooled is None:
        return None
    entry.add(spooled.deliveries)
    spool.discard(spooled.name)
    return len(spooled.deliveries)


def _told_apart(deliveries: Sequence[Delivery], new: set[bytes]) -> list[Outcome]:
    """Of the same bytes in one batch the first is new."""
    left, outcomes = set(new), list[Outcome]()
    for delivery in deliveries:
        outcomes.append("stored" if delivery.digest in left else "repeated")
        left.discard(delivery.digest)
    return outcomes
