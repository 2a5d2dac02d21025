"""A whole `up` with everything embedded, and every process of it by its kind: what a storm strikes."""

import http.client
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psycopg

from calcom_pipeline import local
from calcom_pipeline.sandbox.testing import Control
from tests.support.up import START_SECONDS, Up, wait_for

SERVICES: Final = ("code server", "daemon", "webserver", "guard")
BACK_SECONDS = 120.0


class Away(OSError):  # noqa: N818 - says what happened
    """What was asked for is not there at this moment."""


class Stage:
    """One `up` after the other on one data folder. `count` hears the counters of a sandbox that is about to die."""

    #: A start of a run that takes longer is given up by Dagster's run monitoring (dagster.yaml), at its next look.
    run_start_seconds: float = 120

    def __init__(self, port: int) -> None:
        self.data = Path(os.environ["CALCOM_DATA_DIR"])
        self.up = Up(port)
        self.ended_by_itself: list[int] = []
        self.refused = 0
        self._port = port

    # --- what there is -------------------------------------------------------------------------------------

    def servers(self) -> local.Servers:
        """The embedded servers. Raises Away."""
        found = local.status(self.data)
        if found is None or "sandbox" not in found.companions:
            raise Away("the embedded servers are away")
        return found

    def sandbox(self) -> tuple[str, Control]:
        """The sandbox's address, which changes with every start of it, and its control surface."""
        url = self.servers().companions["sandbox"]
        return url, Control(url)

    def runs(self) -> list[int]:
        """Processes that execute runs, or are about to."""
        return [run for forking in self.fork_servers() for run in _children(forking)]

    def fork_servers(self) -> list[int]:
        """What the code server has its runs forked from."""
        servers = self.pids("code server")
        return [pid for server in servers for pid in _children(server) if "forkserver" in _command(pid)]

    def pids(self, kind: str) -> list[int]:
        """Processes of that kind that live now."""
        if kind in (own := {"run": self.runs, "fork server": self.fork_servers, "up": lambda: [self.up.process.pid]}):
            return own[kind]()
        if kind in SERVICES:
            with suppress(AssertionError):
                return [pid for name, pid in self.up.pids().items() if name == kind and _command(pid)]
            return []
        found = local.status(self.data)
        if found is None:
            return []
        return [found.owner_pid] if kind == "owner" else list(_of_owner(found.owner_pid, kind))

    # --- what happens to it --------------------------------------------------------------------------------

    def keep(self) -> None:
        """What a service manager does: start it again when it has ended."""
        if self.up.process.poll() is not None:
            self.ended_by_itself.append(self.up.process.returncode)
            self.up = Up(self._port)

    def strike(self, kind: str, dice: Callable[[list[int]], int]) -> bool:
        """Kill one process of that kind; False if there was none in time."""

        def look() -> bool:
            self.keep()
            return self.strike_now(kind, dice)

        try:
            wait_for(look, BACK_SECONDS, every=0.2)
        except AssertionError:
            return False
        return True

    def strike_now(self, kind: str, dice: Callable[[list[int]], int]) -> bool:
        """The same, of those that live at this moment."""
        found = self.pids(kind)
        if not found:
            return False
        if kind in ("sandbox", "owner"):
            self.count()
        with suppress(ProcessLookupError):
            os.kill(dice(found), signal.SIGKILL)
        if kind == "up":
            self.up.process.wait()
            self.up = Up(self._port)
        return True

    def count(self) -> None:
        """Add up what the sandbox counted: it forgets it when it dies."""
        with suppress(OSError):
            endpoints = self.sandbox()[1].counters()["endpoints"]
            self.refused += sum(statuses.get("429", 0) for statuses in endpoints.values())

    def settled(self) -> None:
        """Wait until all of it runs again."""

        def look() -> bool:
            self.keep()
            with suppress(AssertionError, Away):
                self.servers()
                return {*SERVICES} <= self.up.pids().keys() and self.up.answers()
            return False

        wait_for(look, START_SECONDS + BACK_SECONDS)

    def persist(self, action: Callable[[], object]) -> None:
        """Do it until it is done, whoever is killed meanwhile."""
        end = time.monotonic() + BACK_SECONDS
        while True:
            try:
                action()
            except (OSError, psycopg.OperationalError, EOFError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return


def _of_owner(owner: int, kind: str) -> Iterator[int]:
    for pid in _children(owner):
        command = _command(pid)
        if kind == "valkey" and "valkey-server" in command:
            yield pid
        if kind == "sandbox" and "calcom_pipeline.sandbox" in command:
            yield pid
        if "postgres -D" in command.replace("\0", " "):
            if kind == "postmaster":
                yield pid
            if kind == "backend":
                yield from (each for each in _children(pid) if _command(each).startswith("postgres: calcom"))


def _children(parent: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                if int((entry / "stat").read_bytes().rpartition(b") ")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""
