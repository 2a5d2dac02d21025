"""Every process that executes a run holds a lease on it, renewed until it ends: Dagster's launcher does not look.

Held by the executor for the run's own process, and by the `pipeline` resource for processes of single steps (and for
runs inside a program, which have another executor). Whose lease is gone is dead: see `reaping`.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import dagster as dg

from calcom_pipeline.adapters.postgres.maintenance.run_leases import RunLeases
from calcom_pipeline.adapters.process_identity import this_process
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.domain.maintenance.liveness import RENEW_SECONDS

_AGAIN_SECONDS = 3.0  # after a renewal that failed: the lease must not run out over one lost connection
_LEAVING_SECONDS = 1.0
_held: dict[str, "_Held"] = {}
_guard = threading.Lock()
_log = logging.getLogger(__name__)


def leases_of(instance: dg.DagsterInstance) -> RunLeases | None:
    """The leases beside an instance's runs; None for an instance that is not on PostgreSQL."""
    url = getattr(instance.run_storage, "postgres_url", None)
    return RunLeases(url) if isinstance(url, str) else None


@contextmanager
def held(instance: dg.DagsterInstance, run_id: str, *, whole: bool = False) -> Generator[None]:
    """This process executes the run, all of it (`whole`) or a step, during the block; several may enter it at once."""
    leases = leases_of(instance)
    if leases is None:
        yield
        return
    with _guard:
        mine = _held.setdefault(run_id, _Held(leases, run_id, whole=whole))
        mine.users += 1
    try:
        mine.begin()
        yield
    finally:
        with _guard:
            mine.users -= 1
            ended = not mine.users
            if ended:
                del _held[run_id]
        if ended:
            mine.end()


class _Held:
    """One lease of this process, and the thread that renews it."""

    def __init__(self, leases: RunLeases, run_id: str, *, whole: bool) -> None:
        self.users = 0
        self._leases = leases
        self._run_id = run_id
        self._whole = whole
        self._holder = this_process()
        self._ended = threading.Event()
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Hold it, from now on; a database that is away is asked again by the thread."""
        with self._beginning:
            if self._thread is None:
                pause = self._renew()
                name = f"lease of run {self._run_id}"
                self._thread = threading.Thread(target=self._keep, args=(pause,), name=name, daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Hold it no longer. A reaper gives the run a minute from here, to write its last event."""
        self._ended.set()
        if self._thread:
            self._thread.join(_LEAVING_SECONDS)
        with suppress(StoreError):  # then it runs out
            self._leases.release(self._run_id, self._holder)

    def _keep(self, pause: float) -> None:
        while not self._ended.wait(pause):
            if self._is_orphaned_step():
                _log.warning("The process of run %s is gone: its step ends too", self._run_id)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            pause = self._renew()

    def _renew(self) -> float:
        """Seconds until the next time."""
        try:
            kept = self._leases.renew(self._run_id, self._holder)
        except StoreError as error:
            _log.warning("The lease of run %s was not renewed: %s", self._run_id, error)
            return _AGAIN_SECONDS
        if not kept:
            self._taken()
        return RENEW_SECONDS

    def _taken(self) -> None:
        """The run was given up, and may run elsewhere. A process of its own ends; another program gets an event."""
        _log.error("Run %s was taken for dead and given up; this process is to execute it no longer", self._run_id)
        self._ended.set()
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGTERM)  # Dagster raises it in the step

    def _is_orphaned_step(self) -> bool:
        """Whether a process of a single step has lost the run's: nobody hears it any more.

        A run's own process goes on without its code server.
        """
        parent = multiprocessing.parent_process()
        return not self._whole and parent is not None and not parent.is_alive()


class _Leased(dg.Executor):
    """An executor under which the run's process holds a lease."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        """What an executor has beside these: Celery's loop asks the one of the run for its broker."""
        return getattr(self._inner, name)

    @property
    def retries(self) -> Any:
        """As the executor itself has it."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        """As the executor itself has it."""
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Execute, with the lease held from before the first step to after the last one."""
        with held(plan_context.instance, plan_context.run_id, whole=True):
            yield from self._inner.execute(plan_context, execution_plan)


def leased(executor: dg.ExecutorDefinition) -> dg.ExecutorDefinition:
    """The same executor, with leases."""

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        assert executor.executor_creation_fn is not None
        return _Leased(executor.executor_creation_fn(context))

    return dg.ExecutorDefinition(
        name=executor.name,
        config_schema=cast("Any", executor.config_schema),
        requirements=executor.get_requirements,
        executor_creation_fn=create,
        description=executor.description,
    )
