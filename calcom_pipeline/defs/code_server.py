"""Dagster's code server: `python -m calcom_pipeline.defs.code_server api grpc`, with the options of that command.

Dagster's own starts each run as a new Python, which imports everything that a run may need: half of the CPU of a small
run, and most of its memory. Here runs are forked from a process that has imported it and does nothing else: it has no
thread, no connection, no definitions and no settings, so that a run begins as it would in a Python of its own.
"""

import gc
import multiprocessing
import os
import pkgutil
import sys
from threading import Thread
from typing import Any

from dagster._cli import main as dagster
from dagster._grpc import server

import calcom_pipeline
from calcom_pipeline.bootstrap.dagster_instance import FONTS

# What runs of the code location use; the rest belongs to other processes.
_ROOMS = ("adapters", "app", "bootstrap", "defs", "domain", "local", "settings")
#: numpy's threads would not survive a fork, and nothing here multiplies matrices.
BEFORE_FORKS = {"OPENBLAS_NUM_THREADS": "1"}
#: When what is loaded by then is left out of all looks for garbage; Dagster makes much of it only as it is asked.
_KEPT_AFTER_SECONDS = (5.0, 60.0, 240.0)
_NOT_OF_RUNS = ("__main__", "daemon", "code_server")


class ForkingServer(server.DagsterApiServer):
    """Dagster's, with runs that are forked from a process that is ready for them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # pyright: ignore[reportUnknownMemberType] - Dagster leaves a dict untyped
        self._mp_ctx = multiprocessing.get_context("forkserver")
        self._mp_ctx.set_forkserver_preload(modules_of_runs())
        Thread(target=self._keep_what_is_loaded, daemon=True, name="keeping what is loaded").start()

    def _keep_what_is_loaded(self) -> None:
        """Definitions stay: of a hundred accounts each look for garbage among them took half a second of a core."""
        for pause in _KEPT_AFTER_SECONDS:
            if self._server_termination_event.wait(pause):
                return
            gc.collect()
            gc.freeze()


def modules_of_runs() -> list[str]:
    """What the process that runs are forked from imports."""
    name = calcom_pipeline.__name__
    rooms = {f"{name}.{room}": [f"{folder}/{room}" for folder in calcom_pipeline.__path__] for room in _ROOMS}
    ours = [found.name for room, folders in rooms.items() for found in pkgutil.walk_packages(folders, f"{room}.")]
    drawing = ["matplotlib.pyplot"] if FONTS in os.environ else []
    wanted = [module for module in ours if module.rpartition(".")[2] not in _NOT_OF_RUNS]
    return ["dagster._grpc.server", *wanted, *drawing]


def main() -> None:
    """Run it."""
    if sys.platform == "linux":  # elsewhere the libraries of a system may not survive a fork
        os.environ.update(BEFORE_FORKS)
        server.DagsterApiServer = ForkingServer
    dagster()


if __name__ == "__main__":
    main()
