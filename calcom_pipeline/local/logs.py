"""The servers' logs: files that do not grow without bound, and what stands last in them."""

import os
from pathlib import Path

LOG_BYTES = 1 << 20  # a log longer than this is cut...
LOG_BYTES_KEPT = 100 << 10  # ...to this much of its end
_LAST_BYTES = 4 << 10  # where a last line is looked for

_REASON_MARKS = ("PANIC:", "FATAL:", "ERROR:", "error:", "Error")
_AFTERMATH_MARKS = ("HINT:", "DETAIL:", "LOG:  database system is shut down", "child process exited")


def open_log(path: Path) -> int:
    """A descriptor that appends; without room for a log, one that forgets."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def cut(path: Path) -> None:
    """Cut a log that became too long to its end. Who has it open to append goes on unharmed."""
    if size(path) <= LOG_BYTES:
        return
    with path.open("r+b") as log:
        log.seek(-LOG_BYTES_KEPT, os.SEEK_END)
        kept = log.read()
        log.truncate(0)
        log.seek(0)
        log.write(kept)


def size(path: Path) -> int:
    """Bytes in the log; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def last_line(path: Path, since: int = 0) -> str:
    """The last line after byte `since` that says why, else the last one; empty if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(since, size(path) - _LAST_BYTES))
            return reason_line(log.read().decode(errors="replace"))
    except OSError:
        return ""


def reason_line(text: str) -> str:
    """The last line of a server's words that says why."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not any(little in line for little in _AFTERMATH_MARKS)] or lines
    return next(
        (line for line in reversed(lines) if any(why in line for why in _REASON_MARKS)), lines[-1] if lines else ""
    )
