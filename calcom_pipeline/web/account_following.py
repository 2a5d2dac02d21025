"""What follows deliveries of one account of many: the same as in `following`, in threads that all accounts share.

It is a short cut: the outbox and the inbox are also dealt with by Dagster's sensors, so whatever fails here is theirs.
"""

from collections.abc import Callable
from functools import cache, partial

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.web.following import clear_days, reread_bookings

# What was postponed for less is looked at together.
_SOONEST_SECONDS = 1.0

_log = event_logger("following")


class AccountTask:
    """A task of an account: woken by its receiver, and due by itself when a delivery is that was postponed."""

    def __init__(self, container: Container, name: str, deal: Callable[[], object], *, look_seconds: float) -> None:
        """`look_seconds`: how often PostgreSQL is asked for what has come in elsewhere."""
        self._container = container
        self._name = name
        self._deal = deal
        self._look_seconds = look_seconds
        self._is_first = True
        self._trouble = ""

    def work(self) -> float:
        """Deal with what is due; seconds until the next look."""
        try:
            again = self._follow()
        except PipelineError as error:
            self._tell(error)
            return self._look_seconds
        self._trouble = ""
        return again

    def _follow(self) -> float:
        self._container.require_schema()
        inbox = self._container.deliveries.inbox
        due = inbox.seconds_until_due(now=utc_now())
        if self._is_first or (due is not None and due <= 0):
            self._deal()
            self._is_first = False
            due = inbox.seconds_until_due(now=utc_now())
        if due is None or due <= 0:
            return self._look_seconds
        return min(max(due, _SOONEST_SECONDS), self._look_seconds)

    def _tell(self, error: PipelineError) -> None:
        """Once, as long as it stays the same."""
        if self._trouble != type(error).__name__:
            self._trouble = type(error).__name__
            account = self._container.settings.account
            _log.warning(f"{self._name}_failed", account=account, kind=self._trouble, advice=error.advice)


def clearing_of(container: Container, *, look_seconds: float) -> AccountTask:
    """The cached days that facts of the outbox concern are cleared."""
    return AccountTask(container, "clearing", partial(clear_days, container), look_seconds=look_seconds)


def rereading_of(container: Container, stored: Callable[[], None], *, look_seconds: float) -> AccountTask:
    """The bookings that deliveries name are read again; `stored` hears of each that was written."""
    own = cache(container.bookings.new_mirror)  # made when PostgreSQL is there; it serves one thread at a time

    def reread() -> None:
        reread_bookings(container, own(), stored)

    return AccountTask(container, "rereading", reread, look_seconds=look_seconds)


def tell_bug(error: Exception) -> None:
    """A task of ours has raised what nobody foresaw; its text may hold anything."""
    _log.error("task_failed", kind=type(error).__name__)
