"""Waiting for what another thread or process does: for the event, however busy the machine, and never for ever."""

import time
from collections.abc import Callable
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
