"""The data folder: the names of what lies in it, its locks, and what the owner publishes there.

The locks are `flock`s: the kernel drops them with the process that holds them, so there are no stale ones.

- `owner.lock`: held alone by the owner from its first to its last moment; holds its process id.
- `users.lock`: shared by every user. The owner takes it alone before it stops and keeps it to its end, so
  a newcomer either gets running servers or waits until the old owner is gone.
"""

import fcntl
import json
import os
import pwd
import stat
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calcom_pipeline.local.values import Companion, Deadline, LocalServerError, explained

FORMAT = 1  # of the published record; a running owner of another format has to be stopped first
LOCK_POLL_SECONDS = 0.01

_PRIVATE = 0o700
_PASSABLE = 0o711  # root's: its servers run as another user, who has to get through
_PRIVATE_FILE = 0o600
_OF_OTHERS = 0o077
_PID_BYTES = 20  # fixed width: rewriting the process id needs no new room on a full disk


class Lock:
    """A lock file that is open; who closes it, or dies, lets go."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0), _PRIVATE_FILE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def share(self) -> bool:
        """Try to hold it together with others."""
        return self._try(fcntl.LOCK_SH)

    def take(self) -> bool:
        """Try to hold it alone."""
        return self._try(fcntl.LOCK_EX)

    def let_go(self) -> None:
        """Hold it no more."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file. A forked child that still has it open keeps the lock: it may use the servers."""
        os.close(self.fd)

    def is_current(self) -> bool:
        """Whether the path still leads to the file that was opened (the folder may have been deleted)."""
        return identity(self.path) == _identity(os.fstat(self.fd))

    def write_pid(self) -> None:
        """Say who holds it."""
        os.pwrite(self.fd, str(os.getpid()).ljust(_PID_BYTES).encode(), 0)

    def pid(self) -> int | None:
        """Who said so last; to be believed only while the lock is held by somebody."""
        text = os.pread(self.fd, _PID_BYTES, 0).strip()
        return int(text) if text.isdigit() else None

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self.fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@dataclass(frozen=True)
class FolderRequest:
    """A companion that somebody wants kept; `id` is how a failure finds its way back to them."""

    id: str
    name: str
    argv: tuple[str, ...]

    @classmethod
    def of(cls, companion: Companion) -> Self:
        """A new request."""
        return cls(uuid.uuid4().hex, companion.name, companion.argv)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The request in a JSON text; raises ValueError or TypeError for anything else."""
        found = json.loads(text)
        return cls(found["id"], found["name"], tuple(found["argv"]))

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class FolderRecord:
    """What a running owner publishes."""

    owner_pid: int
    data: str
    sockets: str
    durable: bool
    companions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Name and URL of those that answer."""
    commands: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Name and command line of all that are kept."""
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Id of a request and why it could not be met."""
    format: int = FORMAT

    @classmethod
    def parse(cls, text: str) -> Self:
        """The record in a JSON text, of this format or a later one; raises ValueError or TypeError."""
        found = dict[str, Any](json.loads(text))
        return cls(**{known.name: found[known.name] for known in fields(cls) if known.name in found})


class Folder:
    """One data folder, by its real absolute path."""

    def __init__(self, data: Path) -> None:
        self.path = Path(os.path.realpath(data))
        self.owner_lock = self.path / "owner.lock"
        self.users_lock = self.path / "users.lock"
        self.pin = self.path / "pinned"
        self.requests = self.path / "requests"
        self.companions = self.path / "companions"
        self.logs = self.path / "log"
        self.system_folder = self.path / "system-folder"  # root's: names the folder outside
        self.socket_folder = self.path / "socket-folder"  # names the one outside, if there is one
        self._record = self.path / "servers.json"

    def log(self, name: str) -> Path:
        """The log of the owner or a server."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Make what is missing, and refuse a folder that others may change; raises OSError too.

        They could swap a file for a link at any moment, or ask the owner for a "companion" of theirs.
        """
        as_root = os.geteuid() == 0
        self.path.mkdir(_PASSABLE if as_root else _PRIVATE, parents=True, exist_ok=True)
        _check_ours(self.path)
        for folder in (self.logs, self.requests, self.companions):
            folder.mkdir(_PRIVATE, exist_ok=True)
            _check_ours(folder)
            if folder.stat().st_mode & _OF_OTHERS:  # an earlier release made it so
                folder.chmod(_PRIVATE)

    @contextmanager
    def used(self, deadline: Deadline) -> Generator[None]:
        """Be a user: while this is held, the owner does not stop by itself."""
        with self._shared(deadline) as lock:
            self.make()  # who deletes the data takes the locks away last, so now all of it stays
            os.utime(lock.fd)  # the owner reads from it when somebody was here last
            try:
                yield
            finally:
                with suppress(OSError):
                    os.utime(lock.fd)

    def owner(self) -> int | None:
        """The living owner's process id (0 if it is not written yet); None: there is no owner."""
        try:
            with Lock(self.owner_lock, create=False) as lock:
                return None if lock.share() else lock.pid() or 0
        except FileNotFoundError:
            return None

    def publish(self, record: FolderRecord) -> None:
        """Let others find the servers."""
        write_whole(self._record, json.dumps(asdict(record)))

    def withdraw(self) -> None:
        """Take the record back: nobody new is to come."""
        self._record.unlink(missing_ok=True)

    def published(self) -> FolderRecord | None:
        """The record of a living owner of this very folder.

        None for one left behind by a dead owner, copied along with the folder, or written before the
        folder was moved.
        """
        try:
            record = FolderRecord.parse(self._record.read_text())
        except (FileNotFoundError, ValueError, TypeError):
            return None
        moved = identity(Path(record.data)) != identity(self.path)
        return None if moved or self.owner() != record.owner_pid else record

    def ask(self, request: FolderRequest) -> None:
        """Leave a request for the owner."""
        write_whole(self.requests / request.id, request.text())

    def asked(self) -> list[FolderRequest]:
        """Take the requests that lie there; an unreadable one is dropped."""
        found: list[FolderRequest] = []
        for path in sorted(self.requests.iterdir()):
            if path.suffix:
                continue  # still being written
            with suppress(ValueError, TypeError, KeyError):
                found.append(FolderRequest.parse(path.read_text()))
            path.unlink(missing_ok=True)
        return found

    @contextmanager
    def _shared(self, deadline: Deadline) -> Generator[Lock]:
        while True:
            with self._users(deadline) as lock:
                if not wait_until(lock.share, deadline):
                    raise LocalServerError(
                        f"The local servers in {self.path} are still stopping after {deadline.seconds:g} s: try again"
                    )
                if lock.is_current():  # else the folder was deleted while we waited
                    yield lock
                    return

    def _users(self, deadline: Deadline) -> Lock:
        """The users' lock, in a folder that has all it needs; a stopping owner may be deleting it."""
        with explained("Making or opening", self.path):
            while True:
                try:
                    self.make()
                    return Lock(self.users_lock)
                except FileNotFoundError:
                    if not deadline.pause(LOCK_POLL_SECONDS):
                        raise


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a folder or file from any other, moved or not: its device and inode."""
    try:
        return _identity(path.stat())
    except OSError:
        return None


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader, or the next start of the machine, sees the old or the new text whole."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text)
        sync(new)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def wait_until(condition: Callable[[], bool], deadline: Deadline, pause: float = LOCK_POLL_SECONDS) -> bool:
    """Ask again and again; False if the deadline passed first."""
    while not condition():
        if not deadline.pause(pause):
            return False
    return True


def _check_ours(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise LocalServerError(
            f"The folder {folder} belongs to {_user_name(status.st_uid)}, not to {_user_name(os.geteuid())}: "
            f"work as that user, or choose a folder of your own"
        )
    if status.st_mode & stat.S_IWOTH:
        raise LocalServerError(
            f"Every user of this machine may write in the folder {folder}: choose another one, "
            f"or take that right away (chmod o-w)"
        )


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _user_name(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user number {uid}"
