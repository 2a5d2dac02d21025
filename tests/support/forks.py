"""Processes that are forked from one that has everything imported, so that they begin within milliseconds."""

import multiprocessing
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any
from unittest.mock import patch

_CONTEXT = multiprocessing.get_context("forkserver")
_ONE_AT_A_TIME = Lock()


class Forks:
    """A server of forks of its own. The one that all of a process share is the sandbox's, and has imported the sandbox
    alone: whatever else is forked from it has to import all it needs, which takes most of a second of a core.
    """

    def __init__(self, *modules: str) -> None:
        self._server = forkserver.ForkServer()
        self._server.set_forkserver_preload(list(modules))

    def start(self, target: Callable[..., object], *arguments: Any) -> BaseProcess:
        """A process at work, which ends with this one at the latest."""
        process = _CONTEXT.Process(target=target, args=arguments, daemon=True)
        with (
            _ONE_AT_A_TIME,
            patch.object(forkserver, "connect_to_new_process", self._server.connect_to_new_process),
        ):
            process.start()
        return process
