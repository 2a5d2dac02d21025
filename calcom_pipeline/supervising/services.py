"""One service: its command line, when it is started, and when it is started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from calcom_pipeline.supervising.family import Family

FIRST_TRIES = 3  # a service that ends this often before it was ever steady is given up
RETRY_SECONDS = 0.5  # before the first new try; doubled for each further one...
RETRY_SECONDS_MAX = 30.0  # ...up to this
STEADY_SECONDS = 15.0  # after running this long, a service has its tries again


def _always() -> bool:
    return True


@dataclass(frozen=True)
class SupervisedService:
    """What is to run. `may_start` is asked before every start, and while it is false the service does not run.

    One that is not `essential` is never given up: the others are worth running without it.
    """

    name: str
    argv: Sequence[str]
    may_start: Callable[[], bool] = field(default=_always)
    before_start: Callable[[], object] = field(default=_always)
    essential: bool = True


class ServiceGivenUp(Exception):  # noqa: N818 - says what happened
    """A service ended again and again before it was ever steady."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(name, code)
        self.name = name
        self.code = code


class KeptService:
    """Keeps one service running. `tick` is called again and again, from the thread that lives longest."""

    def __init__(self, service: SupervisedService, family: Family, output: int, say: Callable[[str], None]) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self._family = family
        self._output = output
        self._say = say
        self._tries = 0
        self._was_steady = False
        self._next_start = 0.0
        self._since = 0.0

    def tick(self, environment: Mapping[str, str], now: float | None = None) -> bool:
        """Do what is due; True if it was started or has ended.

        Raises:
            ServiceGivenUp: it was never steady.
        """
        now = time.monotonic() if now is None else now
        if self.process is None:
            if now < self._next_start or not self.service.may_start():
                return False
            self._start(environment, now)
            return True
        if self.process.poll() is None:
            if now - self._since >= STEADY_SECONDS:
                self._was_steady, self._tries = True, 0
            if self.service.may_start():
                return False
            self._say(f"{self.service.name} is not to run now: it is stopped")
            self.stop()
            return True
        self._ended(now)
        return True

    def stop(self, seconds: float = 10.0) -> None:
        """Stop this one alone; it is started again when it may."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def reap(self) -> None:
        """Take note of an end that was asked for."""
        if self.process is not None:
            self.process.poll()

    def _start(self, environment: Mapping[str, str], now: float) -> None:
        leash = [sys.executable, "-m", "calcom_pipeline.supervising.leash", str(os.getpid())]
        try:
            self.service.before_start()
            self.process = subprocess.Popen(
                [*leash, *self.service.argv],
                env=self._family.environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:  # the machine is out of processes or memory: that passes
            self._next_start = now + RETRY_SECONDS_MAX
            self._say(f"{self.service.name} cannot be started ({error}); tried again in {RETRY_SECONDS_MAX:g} s")
            return
        self._since = now
        self._say(f"{self.service.name} started as process {self.process.pid}")

    def _ended(self, now: float) -> None:
        assert self.process is not None
        code, self.process = self.process.returncode, None
        self._tries += 1
        if self.service.essential and not self._was_steady and self._tries >= FIRST_TRIES:
            raise ServiceGivenUp(self.service.name, code)
        pause = min(RETRY_SECONDS * 2 ** (self._tries - 1), RETRY_SECONDS_MAX)
        self._next_start = now + pause
        self._say(f"{self.service.name} ended ({how(code)}); it is started again in {pause:g} s")


def how(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
