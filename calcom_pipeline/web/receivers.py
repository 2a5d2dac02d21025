"""Receivers of many accounts in one process: each with its own secrets, inbox, spool, client and mirror.

What costs something is shared: a few threads take in and a few deal with what came in, whichever account's it is, and
connections to one PostgreSQL are those of all accounts in it. An account that nobody delivers to costs a look now and
then.
"""

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.app.tasks import BackgroundTask, TaskThreads
from calcom_pipeline.app.webhooks.receive import Intake
from calcom_pipeline.bootstrap.container import Container, open_beside
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import Settings, load_settings, serves_environment
from calcom_pipeline.settings.accounts import described_accounts
from calcom_pipeline.web.following import FollowTask, clearing_task, edits_task, rereading_task, tell_bug
from calcom_pipeline.web.webhooks import WebhookOptions

# An account whose PostgreSQL stalls holds a thread for some seconds; whose Cal.com stalls, or who has hundreds of
# deliveries, for longer. The others go on as long as one is left.
_INTAKE_THREADS = 4
_BACKGROUND_THREADS = 8
# Looks of all accounts together, up to three of 2 ms of CPU each: the first ones, and later ones.
_FIRST_LOOKS_A_SECOND = 10
_LOOKS_A_SECOND = 2

_log = event_logger("accounts")


@dataclass(frozen=True, slots=True)
class _Receiver:
    container: Container
    intake: Intake
    options: WebhookOptions
    stack: ExitStack


class AccountReceivers:
    """A receiver for every described account that has a webhook secret, open as long as the block."""

    def __init__(self, first: Container) -> None:
        """`first` has what all of them share, and is open for longer."""
        self._first = first
        self._known: dict[str, _Receiver] = {}
        self._troubles: dict[str, str] = {}
        self._guard = threading.Lock()
        self._intake_threads = TaskThreads("webhook-intake", most=_INTAKE_THREADS, failed=tell_bug)
        self._background_threads = TaskThreads("webhook-background", most=_BACKGROUND_THREADS, failed=tell_bug)

    def __enter__(self) -> Self:
        try:
            self.renew()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """What is being dealt with is; what was submitted is kept and answered. The rest is for whoever comes next."""
        self._close()

    def find(self, name: str) -> tuple[Intake, WebhookOptions] | None:
        """Who takes in what is delivered to that account; None if nobody does."""
        known = self._known.get(name)
        return None if known is None else (known.intake, known.options)

    def renew(self) -> None:
        """Read the accounts anew: secrets of known ones are renewed, new ones opened, those that are gone closed.

        One whose settings are wrong by now goes on as before; one that was never right is left out. Each is told.

        Raises:
            ConfigurationError: what all of them need is wrong; all go on as before.
        """
        with self._guard:
            own = load_settings()
            found = described_accounts(own if serves_environment() else None)
            self._tell({name: "; ".join(problems) for name, problems in found.stopped.items()})
            wanted = {name: settings for name, settings in found.right.items() if settings.webhook_secret is not None}
            for name in self._known.keys() - wanted.keys() - found.stopped.keys():
                self._known.pop(name).stack.close()
            apart = len(wanted) / _LOOKS_A_SECOND
            for number, (name, settings) in enumerate(wanted.items()):
                if name in self._known:
                    self._known[name].container.deliveries.renew_secrets(settings)
                else:
                    self._open(name, settings, first_after=number / _FIRST_LOOKS_A_SECOND, apart=apart)
            _log.info("accounts_received", accounts=len(self._known), stopped=len(found.stopped))

    def _open(self, name: str, settings: Settings, *, first_after: float, apart: float) -> None:
        """It looks by itself first after so many seconds, then so many apart, or less often as its settings say."""
        with ExitStack() as stack:
            container = stack.enter_context(open_beside(self._first, settings))

            def begun(task: FollowTask) -> BackgroundTask:
                it = self._background_threads.add(task.work, first_after=first_after)
                stack.callback(it.end)
                return it

            every = max(float(settings.look_seconds), apart)
            days = begun(clearing_task(container, look_seconds=every))
            bookings = begun(rereading_task(container, days.wake, look_seconds=every))
            following = max(settings.service_follow_seconds, apart)
            if (edits := edits_task(container, look_seconds=following)) is not None:
                begun(edits)

            def taken() -> None:
                days.wake()
                bookings.wake()

            try:
                intake = stack.enter_context(container.deliveries.intake(taken, threads=self._intake_threads))
            except ConfigurationError as error:  # the address of a server of its own
                self._tell({**self._troubles, name: "; ".join(error.problems)})
                return
            self._known[name] = _Receiver(container, intake, WebhookOptions.of(settings), stack.pop_all())

    def _tell(self, troubles: dict[str, str]) -> None:
        """What is wrong with whom, as long as it is the same once."""
        for name, reason in troubles.items():
            if self._troubles.get(name) != reason:
                _log.warning("account_stopped", account=name, reason=reason, still_received=name in self._known)
        self._troubles = troubles

    def _close(self) -> None:
        self._background_threads.close()
        with self._guard:
            for known in self._known.values():
                known.stack.close()
            self._known.clear()
        self._intake_threads.close()
