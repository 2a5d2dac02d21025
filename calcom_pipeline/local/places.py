"""Where the servers of a data folder live, as whom they run, and where their sockets lie.

For a normal user: in the data folder. For root see the package's docstring; everything that differs for
root is decided here. Only the owner calls this, with its lock held.
"""

import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from calcom_pipeline.local.folder import Folder, Lock, identity, write_whole
from calcom_pipeline.local.processes import Mark, ServerUser, find
from calcom_pipeline.local.programs import Programs, copied
from calcom_pipeline.local.values import POSTGRES_SOCKET, VALKEY_SOCKET, LocalServerError

SYSTEM_ROOT = Path("/var/lib/calcom-pipeline")
SERVER_USER = "nobody"  # exists on every system, and owns nothing
SOCKET_PATH_BYTES = 100  # the kernel takes 107 (Linux) or 103 (macOS)
SERVER_PROGRAMS = frozenset({"postgres", "initdb", "valkey-server"})
SWEEP_SECONDS = 24 * 3600.0  # disposable data whose folder is gone is kept this long after its last start
PARTS = ("postgres", "postgres.new", "valkey")  # folders that the servers work in

_PRIVATE, _PASSABLE = 0o700, 0o711
_SOCKET_PREFIX = "calcom-"
_CLAIM_FILE = "belongs-to"
_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_HASH_CHARACTERS, _RANDOM_BYTES = 16, 3


@dataclass(frozen=True)
class Home:
    """Where the servers live."""

    base: Path
    """Holds `postgres/`, `valkey/` and `run/`."""
    sockets: Path
    programs: Programs
    user: ServerUser | None
    """Who runs them; None: we ourselves."""


@dataclass(frozen=True)
class _Claim:
    """Whose a system folder is; kept in it."""

    data: str
    device: int
    inode: int
    disposable: bool


def settle(folder: Folder, programs: Programs, *, durable: bool) -> Home:
    """Decide, and make, the place of the servers; moves or copies their data if they cannot stay."""
    user = _server_user() if os.geteuid() == 0 else None
    base = folder.path
    if user:
        may_run = _may(user, enter=folder.path, programs=programs)
        base = _base_for_root(folder, stay=may_run and _fits(folder.path / "run"), durable=durable)
        if base != folder.path:
            programs = programs if _may(user, enter=base, programs=programs) else copied(programs, base)
    _own_parts(base, user)
    return Home(base, _socket_folder(folder, base, user), programs, user)


def make_private(path: Path, user: ServerUser | None) -> None:
    """Make a folder that the servers' user alone may enter."""
    path.mkdir(_PRIVATE, exist_ok=True)
    path.chmod(_PRIVATE)
    if user:
        os.chown(path, user.uid, user.gid)


def discard_sockets(folder: Folder) -> None:
    """Delete the socket folder that was made outside the data folder, if there is one and it is ours."""
    with suppress(OSError, ValueError):
        outside = Path(json.loads(folder.socket_folder.read_text()))
        status = outside.lstat()
        ours = status.st_uid == os.geteuid() or (os.geteuid() == 0 and status.st_uid == _server_user().uid)
        if ours and stat.S_ISDIR(status.st_mode) and outside.name.startswith(_SOCKET_PREFIX):
            shutil.rmtree(outside)
    with suppress(FileNotFoundError):
        folder.socket_folder.unlink()


def system_folder(folder: Folder) -> Path | None:
    """The folder outside that holds this data folder's servers; None: they live inside."""
    try:
        return Path(json.loads(folder.system_folder.read_text()))
    except FileNotFoundError:
        return None


def belongs_to(outside: Path, folder: Folder) -> bool:
    """Whether the system folder was made for, or taken over by, this very data folder, moved or not.

    A disk may get another device number when the machine starts; then the inode and the path are to match.
    """
    claim, here = _claim_on(outside), identity(folder.path)
    if claim is None or here is None or claim.inode != here[1]:
        return False
    return claim.device == here[0] or claim.data == str(folder.path)


def _server_user() -> ServerUser:
    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise LocalServerError(
            f"PostgreSQL refuses to run as root and there is no user {SERVER_USER!r} to run it as: "
            f"work as a normal user, or point DATABASE_URL and REDIS_URL at servers of your own"
        ) from None
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _may(user: ServerUser, *, enter: Path, programs: Programs) -> bool:
    """Whether that user may enter the folder and run the programs: tried out, as permissions have many sources."""
    child = os.fork()
    if child == 0:
        allowed = False
        try:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            allowed = os.access(enter, os.X_OK) and os.access(programs.share, os.R_OK)
            allowed = allowed and all(os.access(program, os.R_OK | os.X_OK) for program in programs.needed)
        finally:
            os._exit(0 if allowed else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _base_for_root(folder: Folder, *, stay: bool, durable: bool) -> Path:
    outside = system_folder(folder)
    if outside is None:
        return folder.path if stay else _move_out(folder, durable=durable)
    if not outside.is_dir():
        raise LocalServerError(
            f"The servers' data of {folder.path} lay in {outside}, which is gone: bring it back, "
            f"or delete {folder.system_folder} to begin with empty servers"
        )
    if belongs_to(outside, folder):
        _claim(outside, folder, durable=durable)
        return outside
    claim = _claim_on(outside)
    owner = Folder(Path(claim.data)) if claim else folder
    if owner.path != folder.path and system_folder(owner) == outside:
        return _copy_of_another(folder, owner, outside, durable=durable)
    _claim(outside, folder, durable=durable)  # moved here from another disk
    return outside


def _copy_of_another(folder: Folder, owner: Folder, outside: Path, *, durable: bool) -> Path:
    """The data folder was copied, its system folder was not: do that now, while its servers are down."""
    with Lock(owner.owner_lock) as lock:
        if not lock.take():
            raise LocalServerError(
                f"{folder.path} is a copy of {owner.path}, whose servers are running: stop those first, "
                f"or delete {folder.system_folder} to begin with empty servers"
            )
        return _fill_new(folder, outside, durable=durable)


def _move_out(folder: Folder, *, durable: bool) -> Path:
    outside = _fill_new(folder, folder.path, durable=durable)
    for part in PARTS:
        shutil.rmtree(folder.path / part, ignore_errors=True)
    return outside


def _fill_new(folder: Folder, source: Path, *, durable: bool) -> Path:
    """A new system folder with the data that lies in `source`; the last step makes it the one that counts."""
    _sweep()
    _make_system_root()
    name = hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:_HASH_CHARACTERS]
    outside = SYSTEM_ROOT / f"{name}-{secrets.token_hex(_RANDOM_BYTES)}"
    outside.mkdir(_PASSABLE)
    outside.chmod(_PASSABLE)
    try:
        for part in ("postgres", "valkey"):
            if (source / part).is_dir():
                _copy_tree(source / part, outside)
        _claim(outside, folder, durable=durable)
        write_whole(folder.system_folder, json.dumps(str(outside)))
    except BaseException:
        shutil.rmtree(outside, ignore_errors=True)
        raise
    return outside


def _copy_tree(source: Path, into: Path) -> None:
    cp = shutil.which("cp", path=os.defpath) or "cp"
    done = subprocess.run([cp, "-a", str(source), str(into)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalServerError(f"Copying {source} to {into} failed: {done.stderr.strip()[-200:]}")


def _make_system_root() -> None:
    with suppress(FileExistsError):
        SYSTEM_ROOT.mkdir(_PASSABLE, parents=True)
        SYSTEM_ROOT.chmod(_PASSABLE)
    status = SYSTEM_ROOT.stat()
    if status.st_uid != 0 or status.st_mode & _OTHERS_WRITE:
        raise LocalServerError(f"{SYSTEM_ROOT} must belong to root and be writable by root alone: correct that first")


def _claim(outside: Path, folder: Folder, *, durable: bool) -> None:
    """Write down whose system folder this is. Once durable, always durable: such data is never swept."""
    old = _claim_on(outside)
    device, inode = identity(folder.path) or (0, 0)
    disposable = not durable and (old is None or old.disposable)
    claim = _Claim(str(folder.path), device, inode, disposable=disposable)
    write_whole(outside / _CLAIM_FILE, json.dumps(asdict(claim)))


def _claim_on(outside: Path) -> _Claim | None:
    try:
        return _Claim(**json.loads((outside / _CLAIM_FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _sweep() -> None:
    """Delete the system folders of tests whose data folder is gone."""
    for outside in _system_folders():
        claim = _claim_on(outside)
        if claim and claim.disposable and not os.path.lexists(claim.data) and _is_old(outside / _CLAIM_FILE):
            busy = any(find(Mark(outside / part, SERVER_PROGRAMS)) for part in PARTS)
            if not busy:
                shutil.rmtree(outside, ignore_errors=True)


def _is_old(claim: Path) -> bool:
    """Whether the last start was long ago: a folder that is not there may have been moved, and come back."""
    with suppress(FileNotFoundError):
        return time.time() - claim.stat().st_mtime > SWEEP_SECONDS
    return False


def _system_folders() -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from SYSTEM_ROOT.iterdir()


def _own_parts(base: Path, user: ServerUser | None) -> None:
    """Give our own folders back to the servers' user, after a copy that lost owner or permissions."""
    for part in ("postgres", "valkey"):
        path = base / part
        if not path.is_dir():
            continue
        status = path.stat()
        if status.st_mode & _OTHERS:
            path.chmod(_PRIVATE)
        if user and status.st_uid != user.uid:
            for below, folders, files in os.walk(path):
                for name in [".", *folders, *files]:
                    os.chown(Path(below, name), user.uid, user.gid, follow_symlinks=False)


def _socket_folder(folder: Folder, base: Path, user: ServerUser | None) -> Path:
    discard_sockets(folder)
    inside = base / "run"
    shutil.rmtree(inside, ignore_errors=True)
    if _fits(inside):
        make_private(inside, user)
        return inside
    outside = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=_short_temporary_folder()))
    write_whole(folder.socket_folder, json.dumps(str(outside)))
    make_private(outside, user)
    return outside


def _short_temporary_folder() -> str:
    usual = tempfile.gettempdir()
    short = os.geteuid() != 0 and _fits(Path(usual, _SOCKET_PREFIX + "x" * 8))
    return usual if short else "/tmp"  # noqa: S108  mkdtemp makes an own, private folder in it


def _fits(sockets: Path) -> bool:
    """Whether sockets in that folder have paths that the kernel and every client take."""
    try:
        longest = max(len(str(sockets / name).encode()) for name in (POSTGRES_SOCKET, VALKEY_SOCKET))
    except UnicodeEncodeError:
        return False  # bytes that are no text get lost in a URL
    return longest <= SOCKET_PATH_BYTES and "," not in str(sockets)  # libpq reads a list of hosts there
