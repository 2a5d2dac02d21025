"""The supervisor of a family: starts the guard and the services, keeps them running, and leaves nothing at the end."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from calcom_pipeline.local.folder import write_whole
from calcom_pipeline.supervising.family import Family
from calcom_pipeline.supervising.services import KeptService, SupervisedService
from calcom_pipeline.supervising.shared_log import SharedLog

TICK_SECONDS = 0.2
GRACE_SECONDS = 15.0  # what services and runs get to end by themselves: a run writes its last event
_LEFT_SECONDS = 3.0  # what a killed supervisor left was asked to end long ago
_GUARD_SECONDS = 5.0  # it has nothing to do when all is gone
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_on_signals() -> Generator[threading.Event]:
    """An event that is set by the first signal that asks us to stop; later ones change nothing.

    A shell that runs us in the background has SIGINT ignored, which children would inherit, and Dagster gives SIGTERM
    the same handler: a handled signal is reset for them instead.
    """
    asked = threading.Event()

    def note(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {each: signal.signal(each, note) for each in _SIGNALS}
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class Supervisor:
    """Keeps services running. `environment` may be exchanged at any time: what is started later gets the new one."""

    def __init__(
        self, services: Sequence[SupervisedService], environment: Mapping[str, str], log: SharedLog, record: Path
    ) -> None:
        self.environment = environment
        self._family = Family.new()
        self._log = log
        self._record = record
        self._services = [KeptService(each, self._family, log.fileno(), log.say) for each in services]
        self._guard: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._restart = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Keep them running until asked to stop; then, and on any error, end them all.

        Raises:
            ServiceGivenUp: one does not start.
        """
        try:
            while not stop.wait(TICK_SECONDS):
                self._tick()
        finally:
            self._end()

    def restart_all(self) -> None:
        """Start every service anew, soon (from any thread)."""
        self._restart.set()

    def _tick(self) -> None:
        changed = self._keep_guard()
        if self._restart.is_set():
            self._restart.clear()
            for service in reversed(self._services):
                service.stop()
        for service in self._services:
            changed |= service.tick(self.environment)
        if changed:
            self._write_record()
        self._log.keep_bound()

    def _keep_guard(self) -> bool:
        if self._guard is not None:
            if self._guard.poll() is None:
                return False
            self._log.say("the guard was killed; there is a new one")
            os.close(self._pipe)
            self._guard = None
        reading, self._pipe = os.pipe()
        argv = [sys.executable, "-m", "calcom_pipeline.supervising.guard", self._family.name, f"{GRACE_SECONDS}"]
        output = self._log.fileno()
        try:
            self._guard = subprocess.Popen(
                argv, stdin=reading, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:  # the machine is out of processes or memory: that passes
            os.close(self._pipe)
            self._log.say(f"the guard cannot be started ({error}); tried again")
            return False
        finally:
            os.close(reading)
        return True

    def _end(self) -> None:
        groups = [kept.process.pid for kept in self._services if kept.process]
        if not self._family.end(grace_seconds=GRACE_SECONDS, groups=groups):
            self._log.say("some processes could not be ended")
        if self._guard is not None:
            os.close(self._pipe)
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(_GUARD_SECONDS)
        for kept in self._services:
            kept.reap()
        with suppress(OSError):  # the next one finds that nobody of the family lives
            self._record.unlink()

    def _write_record(self) -> None:
        processes = {kept.service.name: kept.process.pid for kept in self._services if kept.process}
        guard = {"guard": self._guard.pid} if self._guard else {}
        value = {"pid": os.getpid(), "family": self._family.name, "processes": {**guard, **processes}}
        with suppress(OSError):  # a full disk: the family is found by its guard
            write_whole(self._record, json.dumps(value))


def end_leftovers(record: Path) -> bool:
    """End what a former supervisor left, if it and its guard were killed at once. The caller holds the lock of `up`."""
    try:
        family = Family(str(json.loads(record.read_text())["family"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    found = bool(family.members())
    family.end(grace_seconds=_LEFT_SECONDS)
    record.unlink(missing_ok=True)
    return found
