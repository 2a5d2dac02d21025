"""What follows changes of one account of many: the same as in `following`, in threads that all accounts share.

It is a short cut: the outbox, the inbox and the feed of services are also dealt with by Dagster's sensors, so whatever
fails here is theirs.
"""

from collections.abc import Callable
from functools import cache, partial

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.web.following import clear_days, edits_of, reread_bookings

# What was postponed for less is looked at together.
_SOONEST_SECONDS = 1.0

_log = event_logger("following")


class AccountTask:
    """A task of an account, done whenever it is woken and every so many seconds."""

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
        except PipelineError as error:
            self._tell(error)
            return self._look_seconds
        self._trouble = ""
        return self._look_seconds if again is None else min(again, self._look_seconds)

    def _tell(self, error: PipelineError) -> None:
        """Once, as long as it stays the same."""
        if self._trouble != type(error).__name__:
            self._trouble = type(error).__name__
            account = self._container.settings.account
            _log.warning(f"{self._name}_failed", account=account, kind=self._trouble, advice=error.advice)


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


def clearing_of(container: Container, *, look_seconds: float) -> AccountTask:
    """The cached days that facts of the outbox concern are cleared."""
    due = _DueDeliveries(container, partial(clear_days, container))
    return AccountTask(container, "clearing", due, look_seconds=look_seconds)


def rereading_of(container: Container, stored: Callable[[], None], *, look_seconds: float) -> AccountTask:
    """The bookings that deliveries name are read again; `stored` hears of each that was written."""
    own = cache(container.bookings.new_mirror)  # made when PostgreSQL is there; it serves one thread at a time

    def reread() -> None:
        reread_bookings(container, own(), stored)

    return AccountTask(container, "rereading", _DueDeliveries(container, reread), look_seconds=look_seconds)


def edits_followed_of(container: Container, *, look_seconds: float) -> AccountTask | None:
    """Edits of services are written to Cal.com; None where `following.edits_of` answers that."""
    follow = edits_of(container)
    return None if follow is None else AccountTask(container, "following_services", follow, look_seconds=look_seconds)


def tell_bug(error: Exception) -> None:
    """A task of ours has raised what nobody foresaw; its text may hold anything."""
    _log.error("task_failed", kind=type(error).__name__)
