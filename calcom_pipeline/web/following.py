"""What a serving process does by itself, beside its answers: changes leave the cache and reach the other side at once.

Each kind of work has a thread of its own, so that one that waits for the limit of calls holds up no other.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import cache, partial

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.app.availability.invalidate import apply_outbox
from calcom_pipeline.app.background import BackgroundThread
from calcom_pipeline.app.services.follow import follow_services
from calcom_pipeline.app.services.planning import PlanRequest
from calcom_pipeline.app.services.sync import ServicesSynced, sync_services
from calcom_pipeline.app.webhooks.drain import DrainReport, QuickReads, StoresBookings, drain
from calcom_pipeline.app.webhooks.receive import Intake
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import PipelineError

# After a cancellation that Cal.com does not show yet: its row is a moment behind its webhook.
_EARLY_SECONDS = 1.0
# Who the key is, one owner's event types to plan with, and once more just before they are written.
_CALLS_OF_A_PLAN = 3

_log = event_logger("following")


@contextmanager
def receiving(container: Container) -> Generator[Intake]:
    """An intake of a process, open as long as the block.

    What comes in leaves the cache and reaches the mirror at once.
    """
    with clearing(container) as days, rereading(container, days.wake) as bookings:

        def taken() -> None:
            days.wake()
            bookings.wake()

        with container.deliveries.intake(taken) as intake:
            yield intake


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


def clearing(container: Container) -> BackgroundThread:
    """Days are cleared in a thread of this."""

    def work() -> None:
        container.require_schema()
        clear_days(container)

    return _thread(container, "clearing", work)


def rereading(container: Container, stored: Callable[[], None]) -> BackgroundThread:
    """Bookings are read again in a thread of this."""
    own = cache(container.bookings.new_mirror)  # made when PostgreSQL is there; a mirror serves one thread

    def work() -> float | None:
        container.require_schema()
        return _EARLY_SECONDS if reread_bookings(container, own(), stored).not_yet else None

    return _thread(container, "rereading", work)


def following_edits(container: Container) -> BackgroundThread | None:
    """Edits of services are followed in a thread of this; see `edits_of`."""
    follow = edits_of(container)
    if follow is None:
        return None
    return _thread(container, "following_services", follow, every_seconds=container.settings.service_follow_seconds)


def edits_of(container: Container) -> Callable[[], None] | None:
    """Writes edits of services to Cal.com; None where nothing may be written unasked, or Dagster alone does it.

    As quick as CALCOM_RATE_QUICK_SHARE allows, else in turn.
    """
    s, group = container.settings, container.services
    if not s.service_follow_seconds or group.apply_mode != "auto":
        return None

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

    def follow() -> None:
        container.require_schema()
        alone = partial(group.key_locks.holding, "following services")
        found = follow_services(group.feed, sync, alone, most=s.service_follow_most)
        if found.result is not None:
            _log.info("services_followed", services=len(found.services), plan=found.result.plan.id)
            changes = container.availability
            apply_outbox(changes.outbox, changes.cache, limit=s.invalidation_batch)

    return follow


def _thread(
    container: Container, name: str, work: Callable[[], float | None], *, every_seconds: float | None = None
) -> BackgroundThread:
    def failed(error: Exception) -> None:
        tell = _log.warning if isinstance(error, PipelineError) else _log.error
        tell(f"{name}_failed", kind=type(error).__name__)

    return BackgroundThread(
        work, name=name, every_seconds=every_seconds or float(container.settings.look_seconds), failed=failed
    )
