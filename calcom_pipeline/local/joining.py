"""What callers do: join, pin, look, stop, delete. Everything here runs in the caller's process.

Nobody but the owner starts or stops a server. Who finds no owner starts one; if several do at once, one of
the owners gets the lock and all wait for its servers.
"""

import os
import signal
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from calcom_pipeline.local import logs, probes
from calcom_pipeline.local.clearing import delete_all, end_leftovers
from calcom_pipeline.local.folder import FORMAT, Folder, FolderRecord, FolderRequest, Lock
from calcom_pipeline.local.launch import OWNER_MODULE, Launch
from calcom_pipeline.local.processes import runs_module, signal_process
from calcom_pipeline.local.values import (
    DATABASE,
    Companion,
    Deadline,
    LocalServerError,
    Servers,
    Terms,
    explained,
    full_disk,
    servers_at,
)

START_SECONDS = 60.0  # a first start takes 2 s; crash recovery after much work may take a minute
STOP_SECONDS = 60.0  # PostgreSQL writes out what it holds in memory
LINGER_SECONDS = 10.0  # the next command of the same person finds the servers still there
BUSY_SECONDS = 5.0  # how long `down` waits for others to leave before it says who is there
FULL_DISK_SECONDS = 2.0  # a server that was killed gets this long to come back
POLL_SECONDS = 0.02
LAUNCHES_MAX = 10  # owners that died without a word, one after another, before we give up


@contextmanager
def join(
    data: Path,
    *,
    companions: Sequence[Companion] = (),
    timeout_seconds: float = START_SECONDS,
    durable: bool = True,
    linger_seconds: float = LINGER_SECONDS,
    keep_data: bool = True,
) -> Generator[Servers]:
    """The servers of the data folder, started if need be; they stay up at least while this is held.

    Any number of processes and threads may hold it at once. `durable=False` starts servers that do not wait
    for the disk (for tests: a crash of the machine may lose the data; a crash of a server does not).
    `linger_seconds` is how long they stay after the last user. `keep_data=False` deletes the data, as
    `remove` does, when they stop (for tests). These three are decided by whoever starts the servers.
    A companion that is missing is started beside the running servers.

    Raises LocalServerError, one line with the cause and what to do: the disk is full, the folder may not be
    written or belongs to another user, binaries are missing, the data was made by another major version of
    PostgreSQL, the servers did not answer in time.
    """
    terms = Terms(durable=durable, linger_seconds=linger_seconds, keep_data=keep_data)
    with ExitStack() as stack:
        yield _join(stack, Folder(data), companions, terms, Deadline(timeout_seconds))


def make_folder(data: Path) -> Path:
    """Make the data folder as the servers want it, closed to other users; the folder of its logs.

    Raises LocalServerError: it may not be written, or belongs to another user.
    """
    folder = Folder(data)
    with explained("Making or opening", folder.path):
        folder.make()
    return folder.logs


def up(
    data: Path,
    *,
    companions: Sequence[Companion] = (),
    timeout_seconds: float = START_SECONDS,
    durable: bool = True,
) -> Servers:
    """Start the servers if need be and pin them: they stay up until `down`, also after a restart.

    Raises LocalServerError as `join` does; then nothing is pinned.
    """
    folder = Folder(data)
    terms = Terms(durable=durable, linger_seconds=LINGER_SECONDS, keep_data=True)
    with ExitStack() as stack:
        servers = _join(stack, folder, companions, terms, Deadline(timeout_seconds))
        with explained("Writing in", folder.path):
            folder.pin.touch()
        return servers


def status(data: Path) -> Servers | None:
    """The running servers, asked whether they live (`SELECT 1`, `PING`); None if they do not. Starts nothing."""
    folder = Folder(data)
    with explained("Looking into", folder.path):
        record = folder.published()
    return _living(folder, record) if record and record.format == FORMAT else None


def down(data: Path, *, timeout_seconds: float = STOP_SECONDS, force: bool = False) -> bool:
    """Unpin the servers and stop them; True if something was stopped, False if nothing ran.

    Servers that others use are not taken from them: after some seconds LocalServerError says who they are,
    and the servers stop when those have left. `force` stops them at once.
    """
    folder = Folder(data)
    if not folder.path.is_dir():
        return False
    with explained("Working in", folder.path):
        folder.pin.unlink(missing_ok=True)
        if not folder.owner_lock.exists():
            return False
        with Lock(folder.owner_lock) as lock:
            owner = folder.owner()
            _wait_for_stop(folder, lock, Deadline(timeout_seconds), force=force)
            left = end_leftovers(folder)
    return owner is not None or left


def remove(data: Path, *, timeout_seconds: float = STOP_SECONDS) -> bool:
    """Stop the servers, whoever uses them, and delete all that was made for this data folder.

    That is also the folder outside that root's servers may have had. True if there was something. What
    others have put into the data folder stays.
    """
    folder = Folder(data)
    if not folder.owner_lock.exists():
        return False
    down(folder.path, timeout_seconds=timeout_seconds, force=True)
    with explained("Deleting", folder.path), Lock(folder.owner_lock) as owner, Lock(folder.users_lock) as users:
        if not (owner.take() and users.take()):
            raise LocalServerError(f"The local servers in {folder.path} were started again meanwhile: try again")
        delete_all(folder)
    return True


def _join(
    stack: ExitStack, folder: Folder, companions: Sequence[Companion], terms: Terms, deadline: Deadline
) -> Servers:
    stack.enter_context(folder.used(deadline))
    with explained("Working in", folder.path), ExitStack() as waiting:
        joiner = _Joiner(folder, companions, terms, deadline)
        waiting.callback(joiner.forget)
        return joiner.wait()


class _Joiner:
    """Waits for servers that answer, and for companions; starts an owner when there is none."""

    def __init__(self, folder: Folder, companions: Sequence[Companion], terms: Terms, deadline: Deadline) -> None:
        self._folder = folder
        self._wanted = {companion.name: companion for companion in companions}
        self._terms = terms
        self._deadline = deadline
        self._launch: Launch | None = None
        self._launches = 0
        self._asked: dict[str, FolderRequest] = {}  # by name; what the owner `_asked_owner` was asked for
        self._asked_owner = 0
        self._patience: Deadline | None = None

    def wait(self) -> Servers:
        """The servers, once all is there."""
        while True:
            servers = self._look()
            if servers:
                return servers
            self._advance()
            if not self._deadline.pause(POLL_SECONDS):
                raise LocalServerError(self._what_is_missing())

    def forget(self) -> None:
        """Listen to no owner any more."""
        if self._launch:
            self._launch.forget()
            self._launch = None

    def _look(self) -> Servers | None:
        record = self._folder.published()
        if record is None:
            return None
        self._check(record)
        missing = [name for name in self._wanted if name not in record.companions]
        for name in missing:
            self._ask(record, name)
        servers = None if missing else _living(self._folder, record)
        if not servers:
            self._check_room(record)
        return servers

    def _check_room(self, record: FolderRecord) -> None:
        """Servers that ran and do not answer on a full disk will not, however long we wait."""
        self._patience = self._patience or Deadline(FULL_DISK_SECONDS)
        full = full_disk(Path(record.sockets)) if self._patience.passed else None
        if full:
            raise LocalServerError(full)

    def _check(self, record: FolderRecord) -> None:
        stop_first = f"in {self._folder.path}: stop them first (calcom-pipeline local down)"
        if record.format != FORMAT:
            raise LocalServerError(f"Another version of this program runs the local servers {stop_first}")
        if self._terms.durable and not record.durable:
            raise LocalServerError(f"The local servers that run do not keep data safe from a crash {stop_first}")
        for name, companion in self._wanted.items():
            if record.commands.get(name, list(companion.argv)) != list(companion.argv):
                raise LocalServerError(f"The companion {name!r} runs with another command line {stop_first}")
            failure = record.failures.get(self._asked[name].id) if name in self._asked else None
            if failure:
                raise LocalServerError(failure)

    def _ask(self, record: FolderRecord, name: str) -> None:
        if self._asked_owner not in (0, record.owner_pid):
            self._asked = {}  # that owner is gone, and the requests with it
        self._asked_owner = record.owner_pid
        if name not in self._asked:
            self._asked[name] = FolderRequest.of(self._wanted[name])
            self._folder.ask(self._asked[name])

    def _advance(self) -> None:
        outcome = self._launch.poll() if self._launch else None
        if outcome:
            self.forget()
            if outcome.error:
                raise LocalServerError(outcome.error)
            if not outcome.ready:
                self._asked = {}
        if self._launch is None and self._folder.owner() is None:
            self._start()

    def _start(self) -> None:
        if self._launches == LAUNCHES_MAX:
            last_line = logs.last_line(self._folder.log("owner"))
            raise LocalServerError(
                f"The owner of the local servers keeps dying: {last_line} ({self._folder.log('owner')})"
            )
        self._launches += 1
        self._asked = {name: FolderRequest.of(companion) for name, companion in self._wanted.items()}
        self._asked_owner = 0
        self._launch = Launch(self._folder, list(self._asked.values()), self._terms)

    def _what_is_missing(self) -> str:
        within = f"within {self._deadline.seconds:g} s"
        record = self._folder.published()
        missing = [name for name in self._wanted if record and name not in record.companions]
        if missing:
            title, log = f"The companion {missing[0]!r}", self._folder.log(missing[0])
        elif record and _postgres_lives(record) and not probes.valkey_answers(Path(record.sockets)):
            title, log = "Valkey", self._folder.log("valkey")
        else:
            title, log = "PostgreSQL", self._folder.log("postgres")
        last_line = logs.last_line(log) or "it said nothing"
        full = full_disk(self._folder.path, last_line)
        if full:
            return full
        return f"{title} did not answer {within}; its last word: {last_line} ({log}). Try again, or give it more time"


def _living(folder: Folder, record: FolderRecord) -> Servers | None:
    """The recorded servers if both answer now."""
    if not (_postgres_lives(record) and probes.valkey_answers(Path(record.sockets))):
        return None
    return servers_at(Path(record.sockets), data=folder.path, owner_pid=record.owner_pid, companions=record.companions)


def _postgres_lives(record: FolderRecord) -> bool:
    return probes.postgres_answers(Path(record.sockets), role=DATABASE, database=DATABASE)


def _wait_for_stop(folder: Folder, lock: Lock, deadline: Deadline, *, force: bool) -> None:
    """Tell the owner to stop, until its lock is ours."""
    busy = Deadline(BUSY_SECONDS)
    signalled_owner: int | None = None
    while not lock.take():
        owner = lock.pid()
        if owner and owner != signalled_owner:
            wish = signal.SIGTERM if force else signal.SIGHUP
            signal_process(owner, wish, lambda owner=owner: runs_module(owner, OWNER_MODULE))
            signalled_owner = owner
        users = [] if force or not busy.passed else _users(folder)
        if users:
            raise LocalServerError(
                f"The local servers in {folder.path} are in use by {_names(users)}: they stop when that has ended"
            )
        if not deadline.pause(POLL_SECONDS):
            raise LocalServerError(
                f"The local servers in {folder.path} did not stop within {deadline.seconds:g} s: "
                f"see {folder.log('owner')}, and try again"
            )


def _users(folder: Folder) -> list[int]:
    """Process ids of those who hold the users' lock (Linux: the kernel lists its locks)."""
    try:
        place = folder.users_lock.stat()
        listing = Path("/proc/locks").read_text()
    except OSError:
        return []
    key = f"{os.major(place.st_dev):02x}:{os.minor(place.st_dev):02x}:{place.st_ino}"
    found = [line.split() for line in listing.splitlines() if " FLOCK " in line and " READ " in line]
    return sorted({int(fields[4]) for fields in found if fields[5] == key} - {0, -1})


def _names(pids: Sequence[int]) -> str:
    return "process " + ", ".join(str(pid) for pid in pids)
