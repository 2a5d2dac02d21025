"""One log that several processes append to; it is kept over restarts and within a bound."""

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_PRIVATE = 0o600


class SharedLog:
    """`path`, `path.1` (older), ... Children have it open, so its content is copied away and the file emptied."""

    def __init__(self, path: Path, *, longest_bytes: int, files: int) -> None:
        self.path = path
        self._longest = longest_bytes
        self._files = files
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)

    def fileno(self) -> int:
        """What a child writes to."""
        return self._fd

    def say(self, what: str) -> None:
        """Append a line of the supervisor's own; on a full disk nothing is written."""
        with suppress(OSError):
            os.write(self._fd, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} +0000 - calcom-pipeline up - {what}\n".encode())

    def keep_bound(self) -> None:
        """Move what is too long aside. What is written in the very moment between copy and cut is lost."""
        with suppress(OSError):  # a full disk: tried again
            if os.fstat(self._fd).st_size <= self._longest:
                return
            for number in range(self._files - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            with self.path.open("rb") as now, os.fdopen(self._private(self._numbered(1)), "wb") as aside:
                shutil.copyfileobj(now, aside)
            os.truncate(self.path, 0)

    def last_lines(self, count: int, *, since: int = 0) -> list[str]:
        """The last lines, of what was written after byte `since`."""
        with self.path.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace").splitlines()[-count:]

    def size(self) -> int:
        """Bytes in it now."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close it; children keep theirs."""
        os.close(self._fd)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    @staticmethod
    def _private(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
