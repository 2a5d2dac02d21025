"""The owner: the detached process that keeps a data folder's servers running, and stops them in the end.

Started by `joining` as `python -m calcom_pipeline.local.owner`; never imported for its functions. What it
has to report to its starter before the servers answer goes, as one line of JSON, to its standard output; the
rest goes to `log/owner.log`.

Signals: SIGHUP stops it once nobody uses the servers any more, without the usual linger (unless it is
pinned); SIGTERM and SIGINT stop it now.
"""

import argparse
import json
import logging
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType

from calcom_pipeline.local import places, programs
from calcom_pipeline.local.clearing import delete_all, end_leftovers
from calcom_pipeline.local.companions import CompanionServer
from calcom_pipeline.local.folder import Folder, FolderRecord, FolderRequest, Lock, identity, wait_until
from calcom_pipeline.local.monitor import ServerMonitor
from calcom_pipeline.local.servers import Postgres, Valkey
from calcom_pipeline.local.values import Deadline, LocalServerError, Terms, explained

STARTING_TICK_SECONDS = 0.02
TICK_SECONDS = 0.2  # when all is well; a dying server or a signal wakes the owner at once
LOCK_SECONDS = 1.0  # somebody may be looking, for a moment, whether the lock is free
OWNER_LOG_BYTES = 256 << 10
HOUSEKEEPING_SECONDS = 30.0
FAILURES_KEPT = 20  # who asked reads the answer within milliseconds

_log = logging.getLogger("calcom_pipeline.local.owner")


class Signals:
    """The requests that came as signals, and a sleep that they end."""

    def __init__(self) -> None:
        self.stop_now = False
        self.drain = False
        self._woken, waker = socket.socketpair()
        self._woken.setblocking(False)
        waker.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note)

    def sleep(self, seconds: float) -> None:
        """Sleep, but not past a signal."""
        select.select([self._woken], [], [], seconds)
        with suppress(BlockingIOError):
            self._woken.recv(1 << 10)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.stop_now |= number in (signal.SIGTERM, signal.SIGINT)
        self.drain |= number == signal.SIGHUP


class Report:
    """The line that the starter reads; it may be gone."""

    def __init__(self) -> None:
        self._sent = False

    def send(self, kind: str, text: str = "") -> None:
        """Say it, once, and close the pipe."""
        if self._sent:
            return
        self._sent = True
        with suppress(OSError):
            os.write(1, json.dumps({kind: text}).encode() + b"\n")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


class FolderOwner:
    """Keeps the servers of one data folder."""

    def __init__(self, folder: Folder, users: Lock, signals: Signals, terms: Terms) -> None:
        self._folder = folder
        self._identity = identity(folder.path)
        self._users = users
        self._signals = signals
        self._terms = terms
        self._servers: list[ServerMonitor] = []
        self._companions: dict[str, ServerMonitor] = {}
        self._askers: dict[str, list[str]] = {}  # name of a companion -> ids of the requests for it
        self._failures: dict[str, str] = {}
        self._home: places.Home | None = None
        self._outdated = True
        self._stamp = 0.0
        self._last_used = time.monotonic()
        self._next_housekeeping = 0.0

    def start(self, requests: Sequence[FolderRequest]) -> None:
        """Take over: end what a dead owner left, settle, begin to start the servers."""
        folder = self._folder
        end_leftovers(folder)
        folder.asked()  # of a former owner
        self._home = places.settle(folder, programs.installed(), durable=self._terms.durable)
        postgres = Postgres(self._home, durable=self._terms.durable)
        self._servers = [ServerMonitor(Valkey(self._home, durable=self._terms.durable), folder)]
        for request in requests:
            self._keep_companion(request)
        self._tick_all()  # these start while the cluster is made
        postgres.make_cluster()
        self._servers.append(ServerMonitor(postgres, folder))

    def tick(self) -> None:
        """One round: servers, requests, what is published."""
        if self._tick_all():
            self._outdated = True
        for request in self._folder.asked():
            self._keep_companion(request)
            self._outdated = True
        if self.is_ready and self._outdated:
            self._publish()
        now = time.monotonic()
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING_SECONDS
            for monitor in self._monitors:
                monitor.cut_log()

    @property
    def is_ready(self) -> bool:
        """Whether both servers have answered."""
        return all(monitor.ever_lived for monitor in self._servers)

    @property
    def pause_seconds(self) -> float:
        """How long to sleep between rounds."""
        return TICK_SECONDS if all(monitor.lives for monitor in self._monitors) else STARTING_TICK_SECONDS

    def stop_reason(self) -> str | None:
        """Why to stop now, if so; then nobody uses the servers, or it does not matter."""
        if self._signals.stop_now:
            return "told to"
        if identity(self._folder.path) != self._identity:
            return "the data folder was moved or deleted"
        if self._folder.pin.exists():
            self._signals.drain = False
            return None
        if not self._users.take():
            self._last_used = time.monotonic()
            return None
        last_use = self._last_use()
        if self._signals.drain or time.monotonic() - last_use >= self._terms.linger_seconds:
            return "nobody uses them any more"
        self._users.let_go()
        return None

    def stop(self) -> None:
        """Stop all servers, side by side, and leave nothing that a successor could mistake."""
        still_there = identity(self._folder.path) == self._identity
        if still_there:
            self._folder.withdraw()
        for monitor in self._monitors:
            monitor.ask_to_stop()
        for monitor in self._monitors:
            monitor.stop()
        if still_there:
            places.discard_sockets(self._folder)
        if self._home and (still_there or self._home.sockets.parent != self._home.base):
            # If the folder is gone, another one's servers may use the same path inside it by now.
            shutil.rmtree(self._home.sockets, ignore_errors=True)
        if still_there and not self._terms.keep_data and self._users.take():
            delete_all(self._folder)

    @property
    def _monitors(self) -> list[ServerMonitor]:
        return [*self._servers, *self._companions.values()]

    def _tick_all(self) -> bool:
        changed = [monitor.tick() for monitor in self._servers]
        for name, monitor in list(self._companions.items()):
            try:
                changed.append(monitor.tick())
            except (LocalServerError, OSError) as error:
                del self._companions[name]
                for asker in self._askers.pop(name, []):
                    self._failures[asker] = str(error)
                changed.append(True)
        return any(changed)

    def _keep_companion(self, request: FolderRequest) -> None:
        kept = self._companions.get(request.name)
        if kept is None:
            server = CompanionServer(self._folder, request)
            self._companions[request.name] = ServerMonitor(server, self._folder)
        self._askers.setdefault(request.name, []).append(request.id)

    def _publish(self) -> None:
        assert self._home is not None
        companions = {name: monitor.server for name, monitor in self._companions.items()}
        servers = {name: server for name, server in companions.items() if isinstance(server, CompanionServer)}
        record = FolderRecord(
            owner_pid=os.getpid(),
            data=str(self._folder.path),
            sockets=str(self._home.sockets),
            durable=self._terms.durable,
            companions={name: server.url for name, server in servers.items() if self._answers(name) and server.url},
            commands={name: list(server.argv) for name, server in servers.items()},
            failures=dict(list(self._failures.items())[-FAILURES_KEPT:]),
        )
        self._folder.publish(record)
        self._outdated = False

    def _answers(self, companion: str) -> bool:
        """Whether it has since it was started: one of a former owner has left a ready file, too."""
        return self._companions[companion].lives

    def _last_use(self) -> float:
        """When somebody used the servers last, on our own clock: the lock's time stamp is only compared."""
        stamp = os.fstat(self._users.fd).st_mtime
        if stamp != self._stamp:
            self._stamp, self._last_used = stamp, time.monotonic()
        return self._last_used


def run(folder: Folder, arguments: argparse.Namespace, report: Report) -> None:
    """Be the owner until it is time to stop; raises LocalServerError if the servers do not start."""
    signals = Signals()
    requests = [FolderRequest.parse(text) for text in arguments.companion]
    terms = Terms(
        durable=not arguments.fast, linger_seconds=arguments.linger_seconds, keep_data=not arguments.delete_data
    )
    with Lock(folder.users_lock) as users:
        owner = FolderOwner(folder, users, signals, terms)
        try:
            owner.start(requests)
            while (reason := owner.stop_reason()) is None:
                _round(owner, folder)
                if owner.is_ready:
                    report.send("ready")
                signals.sleep(owner.pause_seconds)
            _log.info("Stopping: %s", reason)
        finally:
            owner.stop()


def _round(owner: FolderOwner, folder: Folder) -> None:
    """Once the servers have lived, trouble with a disk is no reason to take them down."""
    try:
        with explained("Working in", folder.path):
            owner.tick()
    except LocalServerError as error:
        if not owner.is_ready:
            raise
        _log.warning("%s", error)


def main(argv: Sequence[str] | None = None) -> int:
    """Detach, become the owner of the data folder unless there is one, work, and say how it went."""
    arguments = _parser().parse_args(argv)
    if os.fork():  # the starter waits for this process only; the next one is nobody's child
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    folder, report = Folder(arguments.data), Report()
    _log_to(folder.log("owner"))
    try:
        with explained("Working in", folder.path):
            lock = Lock(folder.owner_lock)  # never closed: whoever gets it next knows that this process is gone
            if not (wait_until(lock.take, Deadline(LOCK_SECONDS)) and lock.is_current()):
                report.send("taken")
                return 0
            lock.write_pid()
            _log.info("Owner of %s is process %s", folder.path, os.getpid())
            run(folder, arguments, report)
    except LocalServerError as error:
        _log.error("%s", error)
        report.send("error", str(error))
        return 1
    _log.info("Stopped")
    return 0


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=OWNER_LOG_BYTES, backupCount=1, delay=True)
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.raiseExceptions = False  # a full disk must not stop the owner from saying what is wrong
    root = logging.getLogger("calcom_pipeline.local")
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m calcom_pipeline.local.owner", description=__doc__)
    parser.add_argument("data", type=Path, help="the data folder")
    parser.add_argument("--fast", action="store_true", help="do not wait for the disk: for data that may be lost")
    parser.add_argument("--linger-seconds", type=float, required=True, help="how long to stay after the last user")
    parser.add_argument("--delete-data", action="store_true", help="delete the data at the end")
    parser.add_argument("--companion", action="append", default=[], help="a companion to keep, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
