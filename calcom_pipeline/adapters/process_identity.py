"""Which process this is, said so that others can tell whether it still lives. Process ids alone are reused."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_LINUX = sys.platform == "linux"
_STATE_FIELD, _START_FIELD = 0, 19  # of /proc/<pid>/stat, counted after the command's closing bracket (proc(5))
_ENDED = ("Z", "X")


def this_process() -> str:
    """`host/system/pid/start`: `system` names one start of one kernel and one namespace of process ids in it."""
    return f"{socket.gethostname()}/{_system()}/{os.getpid()}/{_start(os.getpid())}"


def is_gone(identity: str) -> bool:
    """Whether that process ran under this very kernel and namespace, and is not there any more.

    False for processes elsewhere, and where the system has no /proc: nothing is known about them then.
    """
    with suppress(ValueError):
        _, system, pid, start = identity.rsplit("/", 3)
        return _LINUX and system == _system() and _start(int(pid)) != start
    return False


def _system() -> str:
    with suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{(_PROC / 'self/ns/pid').stat().st_ino}"
    return "unknown"


def _start(pid: int) -> str:
    """When it started, in ticks of the kernel's clock; empty if it is not there or has ended."""
    with suppress(OSError, IndexError):
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
        return "" if fields[_STATE_FIELD] in _ENDED else fields[_START_FIELD]
    return ""
