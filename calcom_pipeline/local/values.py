"""What passes between a caller, the owner and the servers: values, their URLs, their errors. No I/O."""

import errno
import os
import re
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

DATABASE = "calcom"  # the pipeline's database, and the role that owns both
DAGSTER_DATABASE = "dagster"
POSTGRES_SOCKET = ".s.PGSQL.5432"  # PostgreSQL builds this name itself, from its (unused) port
VALKEY_SOCKET = "valkey.sock"

_COMPANION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large")
_FULL_BYTES = 1 << 20  # with less than this free, a failure without a word is a full disk's


class LocalServerError(RuntimeError):
    """The embedded servers cannot do what was asked: one line with the cause and what to do."""


@dataclass(frozen=True)
class Companion:
    """Another server that the owner keeps running beside the two.

    `argv` is its command line; in every argument `{ready_file}` and `{data}` are replaced by the path of
    the ready file and of the data folder. The command writes its ready file as JSON
    `{"url": ..., "port": ..., "pid": ...}` once it answers. SIGTERM ends it. It is started with the
    environment of the process that started the owner, in a folder of its own, and its output goes to
    `log/<name>.log` in the data folder.
    """

    name: str
    argv: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _COMPANION_NAME.fullmatch(self.name) or self.name in ("owner", "postgres", "valkey"):
            raise ValueError(f"{self.name!r} cannot name a companion: use lower-case letters, digits, - and _")
        if not self.argv:
            raise ValueError(f"Companion {self.name!r} has no command line")


@dataclass(frozen=True)
class Servers:
    """The running servers of one data folder, and how to reach them."""

    data: Path
    database_url: str
    """`postgresql://...` of the database "calcom", for psycopg 3, SQLAlchemy and psql."""
    dagster_pg_url: str
    """`postgresql+psycopg2://...` of the database "dagster"."""
    redis_url: str
    """`unix://...` of Valkey, for redis-py."""
    companions: Mapping[str, str]
    """Name and URL of every companion that answers."""
    owner_pid: int


@dataclass(frozen=True)
class Terms:
    """What is decided by whoever starts the servers."""

    durable: bool
    """Whether they wait for the disk."""
    linger_seconds: float
    """How long they stay after the last user."""
    keep_data: bool
    """Whether the data outlives them."""


def servers_at(
    sockets: Path, *, data: Path, owner_pid: int, companions: Mapping[str, str] = MappingProxyType({})
) -> Servers:
    """The servers whose sockets lie in `sockets`."""
    host = quote(os.fsencode(sockets), safe="")
    return Servers(
        data=data,
        database_url=f"postgresql://{DATABASE}@/{DATABASE}?host={host}",
        dagster_pg_url=f"postgresql+psycopg2://{DATABASE}@/{DAGSTER_DATABASE}?host={host}",
        redis_url=f"unix://{quote(os.fsencode(sockets / VALKEY_SOCKET))}?db=0",
        companions=dict(companions),
        owner_pid=owner_pid,
    )


class Deadline:
    """A moment by which something must have happened; `seconds` counts from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the moment is over."""
        return time.monotonic() >= self._end

    def pause(self, seconds: float) -> bool:
        """Sleep that long, at most until the deadline; False (at once) if it has passed."""
        left = self._end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(seconds, left))
        return True


def full_disk(path: Path, text: str = "") -> str | None:
    """The sentence about a full disk, if `text` (a server's last words) or the disk at `path` says so."""
    free = _free_bytes(path)
    if not any(known in text for known in _FULL_TEXTS) and (free is None or free >= _FULL_BYTES):
        return None
    room = "" if free is None else f" ({free >> 20} MB free)"
    return f"No room left for the local servers in {path}{room}: free some space or lift the limit, then try again"


@contextmanager
def explained(doing: str, path: Path) -> Generator[None]:
    """Turn an error of the system into a `LocalServerError` with its cause and what to do."""
    try:
        yield
    except OSError as error:
        raise LocalServerError(_explanation(error, doing, path)) from error


def _explanation(error: OSError, doing: str, path: Path) -> str:
    if error.errno in _FULL:
        return full_disk(path, _FULL_TEXTS[0]) or ""
    path = Path(error.filename) if isinstance(error.filename, str) else path
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{doing} {path} is not permitted ({error.strerror}): choose a folder that you may write"
    return f"{doing} {path} failed: {error.strerror or error}"


def _free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None
