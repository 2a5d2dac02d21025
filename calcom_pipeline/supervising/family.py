"""All processes that carry a family's name in their environment, found and ended. Standard library only."""

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calcom_pipeline.local.processes import FAMILY_VARIABLE

_LINUX = sys.platform == "linux"
_PROC = Path("/proc")
_LOOK_SECONDS = 0.1
_ENDED = (b"Z", b"X")
KILLED_SECONDS = 10.0  # SIGKILL works at once, except on a process that waits for a disk


@dataclass(frozen=True, slots=True)
class Family:
    """A family by its name, which no other has."""

    name: str

    @classmethod
    def new(cls) -> "Family":
        """One without members."""
        return cls(uuid.uuid4().hex)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """These variables, for a member."""
        return {**variables, FAMILY_VARIABLE: self.name}

    def members(self) -> list[int]:
        """Process ids of those that live; only on Linux, and only of this user (root sees everybody's)."""
        if not _LINUX:
            return []
        mark = f"{FAMILY_VARIABLE}={self.name}".encode()
        pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if pid != os.getpid() and mark in _environment(pid) and _lives(pid)]

    def end(self, *, grace_seconds: float, groups: Iterable[int] = ()) -> bool:
        """End all members: asked first, killed after the grace; False if some live on even then.

        `groups` are the process groups of the services, for systems where members cannot be found.
        """
        groups = list(groups)
        for wish, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, KILLED_SECONDS)):
            deadline, signalled = time.monotonic() + seconds, set[int]()
            if not _LINUX:
                _signal_groups(groups, wish)
            while members := self.members() if _LINUX else [g for g in groups if _group_lives(g)]:
                for pid in set(members) - signalled if _LINUX else ():  # also those that were started meanwhile
                    with suppress(ProcessLookupError):
                        os.kill(pid, wish)
                signalled.update(members)
                if time.monotonic() >= deadline:
                    break
                time.sleep(_LOOK_SECONDS)
            else:
                return True
        return False


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _lives(pid: int) -> bool:
    with suppress(OSError, IndexError):
        return (_PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2][:1] not in _ENDED
    return False


def _signal_groups(groups: Iterable[int], wish: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, wish)


def _group_lives(group: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, 0)
        return True
    return False
