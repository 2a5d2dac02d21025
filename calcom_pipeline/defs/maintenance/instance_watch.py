"""What `calcom-pipeline up` does beside its services, in a thread: one daemon an instance, and no dead run.

It needs no run, no daemon and no code server to work. An instance that cannot be asked now is asked again.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack

import dagster as dg

from calcom_pipeline.adapters.postgres.maintenance.daemon_claim import LOST_SECONDS, DaemonClaim
from calcom_pipeline.adapters.process_identity import this_process
from calcom_pipeline.defs.maintenance.reaping import reap
from calcom_pipeline.defs.pools import opened_instance

LOOK_SECONDS = 10.0
#: Dagster's daemons beat every 30 s; one that has not for this long does not run.
QUIET_SECONDS = 60.0
#: The daemon is stopped before another holder may have taken the claim.
_CLAIM_SECONDS = LOST_SECONDS - 2 * LOOK_SECONDS
_CLAIM_LOOK_SECONDS = 2.0
_COMING_BACK = 2  # one of two may have beaten once more and ended


class Beats:
    """The heartbeats of an instance's daemons, as seen so far; all instants are those of the daemons' clocks."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._turns: list[str] = []
        self._changed_at: float | None = None

    def see(self, beats: Iterable[tuple[str, float]], now: float) -> None:
        """Note the daemons' ids and when each beat last; `now` is our own monotonic clock."""
        self._changed_at = now if self._changed_at is None else self._changed_at
        for name, at in sorted(beats, key=lambda beat: beat[1]):
            if at <= self._last.get(name, float("-inf")):
                continue  # seen before
            self._last[name], self._changed_at = at, now
            if self._turns[-1:] != [name]:
                self._turns.append(name)

    def are_two(self) -> bool:
        """Whether two daemons beat in turn: each came back after the other. One that replaced another does not."""
        return len(self._turns) >= len(self._last) + _COMING_BACK

    def are_quiet(self, now: float) -> bool:
        """Whether none has beaten for so long that none runs."""
        return self._changed_at is not None and now - self._changed_at >= QUIET_SECONDS


class InstanceWatch:
    """The thread. `may_run_daemon` says whether the daemon of this family may run now."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._me = this_process()
        self._stop = threading.Event()
        self._claimed_at: float | None = None
        self._yielding = False
        self._beats = Beats()
        self._url = ""
        self._last_message = ""
        self._thread = threading.Thread(target=self._run, name="instance watch", daemon=True)

    def may_run_daemon(self) -> bool:
        """Whether we hold the claim, surely, and no stranger's daemon runs."""
        claimed = self._claimed_at
        return not self._yielding and claimed is not None and time.monotonic() - claimed < _CLAIM_SECONDS

    def begin(self, url: str) -> str | None:
        """Claim the daemon of the instance whose database `url` names; the living holder if somebody else has it.

        A holder of whom nothing is known is watched until it renews, which a living one does every LOOK_SECONDS.

        Raises:
            StoreError: PostgreSQL is away.
            ConfigurationError: Dagster refuses its configuration.
        """
        self._url = url
        with opened_instance() as instance:  # first: a claim is for those who can use it
            claim = first = DaemonClaim(url).take(self._me)
            while claim.other is not None and claim.renewed == first.renewed:
                self._stop.wait(_CLAIM_LOOK_SECONDS)
                claim = DaemonClaim(url).take(self._me)
            if claim.other is None:
                self._claimed_at = time.monotonic()
                self._meet(instance, of_ours=claim.from_the_dead)
        return claim.other

    def _meet(self, instance: dg.DagsterInstance, *, of_ours: bool) -> None:
        """Beats that are fresh may be those of a daemon that runs; unless they are our own dead one's."""
        if of_ours:
            instance.wipe_daemon_heartbeats()
        beats = instance.get_daemon_heartbeats().values()
        self._yielding = any(time.time() - beat.timestamp < QUIET_SECONDS for beat in beats)
        if self._yielding:
            self._say("a daemon was running on this instance a moment ago: ours waits until it is surely gone")

    def start(self) -> None:
        """Watch, from now on."""
        self._thread.start()

    def moved(self, url: str) -> None:
        """The instance's database has another address now."""
        self._url = url

    def end(self) -> None:
        """Watch no longer, now that our daemon has ended; the claim is free for the next one."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_SECONDS)
        try:
            if self.may_run_daemon():  # else the beats are a stranger's
                with opened_instance() as instance:
                    instance.wipe_daemon_heartbeats()
            DaemonClaim(self._url).release(self._me)
        except Exception as error:  # noqa: BLE001 - the next one waits a little longer, that is all
            self._say(f"the claim on the daemon was not released ({type(error).__name__})")

    def _run(self) -> None:
        """One instance is kept open: opening one anew for each look costs five times as much, and leaves memory."""
        with ExitStack() as opened:
            instance: dg.DagsterInstance | None = None
            while not self._stop.wait(LOOK_SECONDS):
                try:
                    instance = instance or opened.enter_context(opened_instance())
                    self._look(instance)
                    self._last_message = ""
                except Exception as error:  # noqa: BLE001 - whatever a database that comes and goes makes Dagster raise
                    self._say_once(f"the instance cannot be looked at ({type(error).__name__}); tried again")
                    opened.close()
                    instance = None

    def _look(self, instance: dg.DagsterInstance) -> None:
        other = DaemonClaim(self._url).take(self._me).other
        self._claimed_at = time.monotonic() if other is None else None
        if other is not None:
            self._say_once(f"the daemon of this instance is run by {other}; ours does not run")
        self._watch_daemons(instance)
        done = reap(instance)
        if done.runs or done.slots:
            self._say(f"{len(done.runs)} dead runs were given up, the slots of {len(done.slots)} runs freed")

    def _watch_daemons(self, instance: dg.DagsterInstance) -> None:
        beats = [(beat.daemon_id or "", beat.timestamp) for beat in instance.get_daemon_heartbeats().values()]
        self._beats.see(beats, time.monotonic())
        if self._yielding:
            if self._beats.are_quiet(time.monotonic()):
                self._say("the other daemon has ended; ours is started again")
                self._yielding, self._beats = False, Beats()
        elif self._beats.are_two():
            self._say("another daemon was started on this instance (dagster dev? dagster-daemon?); ours makes room")
            self._yielding, self._beats = True, Beats()

    def _say_once(self, what: str) -> None:
        """Say it once, until it is over."""
        if what != self._last_message:
            self._last_message = what
            self._say(what)
