"""Processes: starting one that dies with us, finding ours again, ending exactly those.

A process id alone proves nothing: ids are reused, and a copied or restored data folder brings old ones
along. What proves that a process is one of a server's is that it runs that server's program in that
server's folder: every server has a folder that it works in (its current directory), and no other does.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from calcom_pipeline.local.folder import identity, wait_until
from calcom_pipeline.local.values import Deadline

LEAVING_SECONDS = 5.0  # PostgreSQL's processes leave by themselves when their postmaster has died
KILLED_SECONDS = 10.0  # SIGKILL works at once, except on a process that waits for a disk
ENDING_POLL_SECONDS = 0.02

#: Names the family of processes that a process belongs to (`supervising`), and ends with. The owner of the servers
#: belongs to none, whoever starts it: others use them too.
FAMILY_VARIABLE = "_CALCOM_PROCESS_FAMILY"

_LINUX = sys.platform == "linux"
_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PRIVATE_UMASK = 0o077


@dataclass(frozen=True)
class ServerUser:
    """The unprivileged user that root's servers run as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """How a server is started."""

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    user: ServerUser | None
    """None: as ourselves."""
    dying_wish: signal.Signals
    """The signal that the kernel sends it when we die (Linux; elsewhere the next owner ends it)."""


def spawn(command: Command, output: BinaryIO | int) -> subprocess.Popen[bytes]:
    """Start a process that ends when we do, even when we are killed; raises OSError if it cannot be run."""
    user = command.user
    return subprocess.Popen(
        command.argv,
        cwd=command.folder,
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        umask=_PRIVATE_UMASK,
        preexec_fn=_dies_with_us(command.dying_wish),  # noqa: PLW1509  the owner has one thread, and only the child itself can ask for this signal
    )


def _dies_with_us(wish: signal.Signals) -> Callable[[], None] | None:
    if not _LINUX:
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(wish))
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask


@dataclass(frozen=True)
class Mark:
    """What a server's processes are known by."""

    folder: Path
    programs: frozenset[str]
    """Names of the program files; empty: any program..."""
    argument: str = ""
    """...that has this in its command line."""


def find(mark: Mark) -> list[int]:
    """Ids of the living processes that carry the mark."""
    if not _LINUX:
        return _find_by_command(mark)
    place = identity(mark.folder)
    if place is None:
        return []
    pids = [int(process.name) for process in _PROC.iterdir() if process.name.isdigit()]
    return [pid for pid in pids if _carries(pid, mark, place)]


def signal_process(pid: int, wish: signal.Signals, is_right: Callable[[], bool]) -> bool:
    """Signal a process if it is (still) the right one; False if it is not, or is gone.

    The check is made with the process held open, so that the id cannot change hands in between.
    """
    if not _LINUX:
        with suppress(ProcessLookupError):
            if is_right():
                os.kill(pid, wish)
                return True
        return False
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_right():
            return False
        signal.pidfd_send_signal(handle, wish)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def end(mark: Mark, ways: Sequence[tuple[signal.Signals, float]], leaders: Callable[[list[int]], list[int]]) -> bool:
    """End all processes that carry the mark; False if there were none.

    `ways` are signals for the leaders, each with the seconds to wait for its effect. What has no leader
    gets some seconds to leave by itself. What is left then is killed.
    """
    pids = find(mark)
    if not pids:
        return False
    for wish, seconds in ways:
        signalled = [pid for pid in leaders(pids) if signal_process(pid, wish, lambda pid=pid: _still(pid, mark))]
        if signalled and wait_until(lambda: not find(mark), Deadline(seconds), ENDING_POLL_SECONDS):
            return True
        pids = find(mark)
    if not wait_until(lambda: not find(mark), Deadline(LEAVING_SECONDS), ENDING_POLL_SECONDS):
        for pid in find(mark):
            signal_process(pid, signal.SIGKILL, lambda pid=pid: _still(pid, mark))
        wait_until(lambda: not find(mark), Deadline(KILLED_SECONDS), ENDING_POLL_SECONDS)
    return True


def runs_module(pid: int, module: str) -> bool:
    """Whether that process is `python -m module`; True where the system does not tell."""
    return not _LINUX or f"\0{module}\0".encode() in _command_line(pid)


def _still(pid: int, mark: Mark) -> bool:
    place = identity(mark.folder)
    return place is not None and _carries(pid, mark, place) if _LINUX else pid in find(mark)


def _carries(pid: int, mark: Mark, place: tuple[int, int]) -> bool:
    process = _PROC / str(pid)
    if identity(process / "cwd") != place:
        return False
    if mark.argument:
        return os.fsencode(mark.argument) in _command_line(pid)
    try:
        program = (process / "exe").readlink().name.removesuffix(" (deleted)")  # replaced by an upgrade
    except OSError:
        return False
    return program in mark.programs


def _command_line(pid: int) -> bytes:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _find_by_command(mark: Mark) -> list[int]:
    """The same without /proc: the command lines of our servers name their folder."""
    ps = shutil.which("ps", path=os.defpath) or "ps"
    listing = subprocess.run([ps, "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    wanted = mark.argument or str(mark.folder)
    return [
        int(pid)
        for pid, _, command in (line.strip().partition(" ") for line in listing.stdout.splitlines())
        if wanted in command and (not mark.programs or _first_program(command, mark.programs))
    ]


def _first_program(command: str, programs: frozenset[str]) -> bool:
    """Whether the command line starts with one of the programs; their paths may hold spaces."""
    return any(f"/{program} " in f"/{command} " for program in programs)
