"""A companion as a server: its command line, its ready file, its URL."""

import json
import os
import signal
from collections.abc import Sequence

from calcom_pipeline.local.folder import Folder, FolderRequest
from calcom_pipeline.local.processes import Command, Mark

READY_FILE = "ready.json"


class CompanionServer:
    """One companion, running in `companions/<name>` of the data folder as the owner's user."""

    ways_to_end: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 10.0),)

    def __init__(self, folder: Folder, request: FolderRequest) -> None:
        self.name = request.name
        self.title = f"The companion {request.name!r}"
        self.argv = request.argv
        self._data = folder
        self._folder = folder.companions / request.name
        self._ready = self._folder / READY_FILE
        self.mark = mark_of(folder, request.name)

    @property
    def url(self) -> str | None:
        """Where it answers; None until it has written its ready file."""
        try:
            url = json.loads(self._ready.read_text())["url"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return url if isinstance(url, str) else None

    def leaders(self, pids: list[int]) -> list[int]:
        """All of its processes."""
        return pids

    def prepare(self) -> None:
        """Forget that it was ready."""
        self._folder.mkdir(exist_ok=True)
        self._ready.unlink(missing_ok=True)

    def command(self) -> Command:
        """The caller's command line, with the two paths filled in."""
        paths = {"{ready_file}": str(self._ready), "{data}": str(self._data.path)}
        argv = list(self.argv)
        for name, path in paths.items():
            argv = [argument.replace(name, path) for argument in argv]
        return Command(argv, self._folder, os.environ, None, signal.SIGTERM)

    def lives(self) -> bool:
        """Whether it has said so."""
        return self.url is not None

    def is_reachable(self) -> bool:
        """Whether its ready file is still there."""
        return self._ready.exists()


def mark_of(folder: Folder, name: str) -> Mark:
    """What a companion's process is known by: its folder, and the ready file that it was given to write."""
    place = folder.companions / name
    return Mark(place, frozenset(), READY_FILE)
