"""Jumps of the wall clock of every Python process with this folder in PYTHONPATH and a file in SOAK_CLOCK.

The file that SOAK_CLOCK names holds by how many seconds the clock is wrong. `time.time`, `datetime.now` and their like
follow it; `time.monotonic` does not, as it does not on a machine whose clock is set. The stand-in and the owner of
the embedded servers keep the right time: they are other machines, of which ours differs.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.25
_RIGHT = (b"calcom_pipeline.sandbox", b"calcom_pipeline.local")


_wrong_by: float = 0.0
_jump: Any = None


def _follow(file: Path) -> None:
    import time_machine

    global _wrong_by, _jump  # noqa: PLW0603 - a fork goes on from where its parent's clock stood
    while True:
        try:
            wanted = float(file.read_text() or 0)
        except (OSError, ValueError):
            wanted = _wrong_by
        if wanted != _wrong_by:
            if _jump is not None:
                _jump.stop()
            _jump = time_machine.travel(time.time() + wanted, tick=True) if wanted else None
            if _jump is not None:
                _jump.start()
            _wrong_by = wanted
        time.sleep(_LOOK_SECONDS)


def _begin() -> None:
    threading.Thread(target=_follow, args=[Path(os.environ["SOAK_CLOCK"])], daemon=True, name="soak clock").start()


if os.environ.get("SOAK_CLOCK"):
    _words = Path("/proc/self/cmdline").read_bytes()
    if not any(each in _words for each in _RIGHT):
        _begin()
        os.register_at_fork(after_in_child=_begin)
