"""Waiting for what another thread or process does: for the event, however busy the machine, and never for ever."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
LOOK_SECONDS = 0.02


def until(look: Callable[[], _T], seconds: float = 60.0, *, what: str = "") -> _T:
    """What `look` finds, as soon as that is something. Raises TimeoutError where it never is."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {seconds:g} s for {what or look}")
        time.sleep(LOOK_SECONDS)
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(*pids: int) -> None:
    """End processes at once, and wait until they are gone: until then they hold their locks."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        until(lambda pid=pid: not is_running(pid))
