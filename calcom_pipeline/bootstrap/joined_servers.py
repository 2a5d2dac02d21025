"""The embedded servers as a long-lived face joins them: looked at, and joined again when their owner has died."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from calcom_pipeline.bootstrap.locations import (
    EmbeddedServersFailed,
    data_folder,
    embedded_failures,
    sandbox_companion,
)
from calcom_pipeline.settings import Settings

_LOOK_SECONDS = 2.0  # a look is a SELECT 1 and a PING: a few milliseconds
_LONGEST_PAUSE_SECONDS = 30.0  # between two tries to start servers that do not start


class JoinedServers:
    """The embedded servers, joined again by a thread when their owner has died; `moved` hears of a new address."""

    def __init__(
        self, settings: Settings, url: str, *, say: Callable[[str], None], moved: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._url = url
        self._say = say
        self._moved = moved
        self._stop = threading.Event()
        self._joined = ExitStack()
        self._thread = threading.Thread(target=self._run, name="embedded servers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_LOOK_SECONDS)
        self._joined.close()

    def _run(self) -> None:
        pause = _LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                self._look()
                pause = _LOOK_SECONDS
            except EmbeddedServersFailed as error:
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                self._say(f"{error}; tried again in {pause:g} s")

    def _look(self) -> None:
        from calcom_pipeline import local

        folder = data_folder(self._settings)
        with embedded_failures():
            if local.status(folder) is not None:
                return
            self._say("the embedded servers are gone: joining them again")
            with ExitStack() as stack:
                joined = local.join(folder, companions=[sandbox_companion(self._settings)])
                servers = stack.enter_context(joined)
                self._joined, old = stack.pop_all(), self._joined
        old.close()
        self._say("the embedded servers answer again")
        if servers.dagster_pg_url != self._url:
            self._url = servers.dagster_pg_url
            self._moved(self._url)
