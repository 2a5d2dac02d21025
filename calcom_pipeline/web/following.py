"""What a serving process does by itself, beside its answers: changes leave the cache and reach the other side at once.

It is a short cut: the outbox, the inbox and the feed of services are also dealt with by Dagster's sensors, so whatever
fails here is theirs.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import cache, partial

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.app.availability.invalidate import apply_outbox
from calcom_pipeline.app.services.follow import follow_services
from calcom_pipeline.app.services.planning import PlanRequest
from calcom_pipeline.app.services.sync import ServicesSynced, sync_services
from calcom_pipeline.app.tasks import TaskThreads
from calcom_pipeline.app.webhooks.drain import DrainReport, QuickReads, StoresBookings, drain
from calcom_pipeline.app.webhooks.receive import Intake
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import PipelineError

# What was postponed for less is looked at together.
_SOONEST_SECONDS = 1.0
# A server that is away is asked again no more often.
_AFTER_FAILURE_SECONDS = 5.0
# Who the key is, one owner's event types to plan with, and once more just before they are written.
_CALLS_OF_A_PLAN = 3

_log = event_logger("following")


@contextmanager
def receiving(container: Container) -> Generator[Intake]:
    """An intake of a process, open as long as the block.

    What comes in leaves the cache and reaches the mirror at once. Each of the two has a thread, so that one that waits
    for the limit of calls does not hold up the other.
    """
    every = float(container.settings.look_seconds)
    with TaskThreads("webhook-background", most=2, failed=tell_bug) as threads:
        days = threads.add(clearing_task(container, look_seconds=every).work)
        bookings = threads.add(rereading_task(container, days.wake, look_seconds=every).work)

        def taken() -> None:
            days.wake()
            bookings.wake()

        with container.deliveries.intake(taken) as intake:
            yield intake


@contextmanager
def following_edits(container: Container) -> Generator[None]:
    """Edits of services reach Cal.com at once as long as the block, where that is allowed; see `edits_task`."""
    task = edits_task(container, look_seconds=container.settings.service_follow_seconds)
    with TaskThreads("following-edits", most=1, failed=tell_bug) as threads:
        if task is not None:
            threads.add(task.work)
        yield


class FollowTask:
    """What follows changes of an account, done whenever it is woken and every so many seconds."""

    def __init__(
        self, container: Container, name: str, follow: Callable[[], float | None], *, look_seconds: float
    ) -> None:
        """`follow` may answer in how many seconds it is to be called again, if that is sooner than `look_seconds`."""
        self._container = container
        self._name = name
        self._follow = follow
        self._look_seconds = look_seconds
        self._trouble = ""

    def work(self) -> float:
        """Deal with what is due; seconds until the next look."""
        try:
            again = self._follow()
        except Exception as error:  # noqa: BLE001 - a bug in one is told with its name, and ends nobody's following
            self._tell(error)
            return max(self._look_seconds, _AFTER_FAILURE_SECONDS)
        self._trouble = ""
        return self._look_seconds if again is None else min(again, self._look_seconds)

    def _tell(self, error: Exception) -> None:
        """Once, as long as it stays the same. The text of what nobody foresaw may hold anything, and is not told."""
        if self._trouble == type(error).__name__:
            return
        self._trouble = type(error).__name__
        fields = {"account": self._container.settings.account, "kind": self._trouble}
        if isinstance(error, PipelineError):
            _log.warning(f"{self._name}_failed", **fields, advice=error.advice)
        else:
            _log.error(f"{self._name}_failed", **fields)


class _DueDeliveries:
    """Deals with deliveries that are due, also with those that came in elsewhere or were postponed."""

    def __init__(self, container: Container, deal: Callable[[], object]) -> None:
        self._container = container
        self._deal = deal
        self._is_first = True

    def __call__(self) -> float | None:
        self._container.require_schema()
        inbox = self._container.deliveries.inbox
        due = inbox.seconds_until_due(now=utc_now())
        if self._is_first or (due is not None and due <= 0):
            self._deal()
            self._is_first = False
            due = inbox.seconds_until_due(now=utc_now())
        return None if due is None or due <= 0 else max(due, _SOONEST_SECONDS)


def clearing_task(container: Container, *, look_seconds: float) -> FollowTask:
    """The cached days that facts of the outbox concern are cleared."""
    due = _DueDeliveries(container, partial(clear_days, container))
    return FollowTask(container, "clearing", due, look_seconds=look_seconds)


def rereading_task(container: Container, stored: Callable[[], None], *, look_seconds: float) -> FollowTask:
    """The bookings that deliveries name are read again; `stored` hears of each that was written."""
    own = cache(container.bookings.new_mirror)  # made when PostgreSQL is there; it serves one thread at a time

    def reread() -> None:
        reread_bookings(container, own(), stored)

    return FollowTask(container, "rereading", _DueDeliveries(container, reread), look_seconds=look_seconds)


def edits_task(container: Container, *, look_seconds: float) -> FollowTask | None:
    """Edits of services are written to Cal.com; None where nothing may be written unasked, or Dagster alone does it.

    As quick as CALCOM_RATE_QUICK_SHARE allows, else in turn.
    """
    s = container.settings
    if not s.service_follow_seconds or container.services.apply_mode != "auto":
        return None
    follow = partial(_follow_edits, container)
    return FollowTask(container, "following_services", follow, look_seconds=look_seconds)


def tell_bug(error: Exception) -> None:
    """A task of ours has raised what nobody foresaw; its text may hold anything."""
    _log.error("task_failed", kind=type(error).__name__)


def clear_days(container: Container) -> None:
    """Clear the cached days that facts of the outbox concern."""
    group, limit = container.availability, container.settings.invalidation_batch
    while apply_outbox(group.outbox, group.cache, limit=limit).facts == limit:
        pass


def reread_bookings(container: Container, mirror: StoresBookings, stored: Callable[[], None]) -> DrainReport:
    """Read the bookings again that deliveries name; `stored` hears of each that was written.

    A few go before all else that comes by itself, as far as CALCOM_RATE_QUICK_SHARE allows; a flood waits in turn, so
    that the budget of those who wait for an answer is left alone.
    """
    calcom, group = container.calcom, container.deliveries
    return drain(
        calcom.in_lane("sync"),
        mirror,
        group.inbox,
        group.spool,
        now=utc_now,
        rules=group.drain_rules,
        quick=QuickReads(calcom.in_lane("interactive"), container.limits.quick.take),
        stored=stored,
    )


def _follow_edits(container: Container) -> None:
    settings, group = container.settings, container.services

    def sync(ids: Sequence[str]) -> ServicesSynced:
        is_quick = container.limits.quick.take(_CALLS_OF_A_PLAN + len(ids))
        return sync_services(
            container.calcom.in_lane("interactive" if is_quick else "sync"),
            group.store,
            group.plans,
            PlanRequest("calcom-pipeline serve", container.event_types.teams, tuple(ids)),
            plan_rules=group.plan_rules,
            apply_rules=group.apply_rules,
            may_write=True,
            now=utc_now,
        )

    container.require_schema()
    alone = partial(group.key_locks.holding, "following services")
    found = follow_services(group.feed, sync, alone, most=settings.service_follow_most)
    if found.result is not None:
        _log.info("services_followed", services=len(found.services), plan=found.result.plan.id)
        changes = container.availability
        apply_outbox(changes.outbox, changes.cache, limit=settings.invalidation_batch)
