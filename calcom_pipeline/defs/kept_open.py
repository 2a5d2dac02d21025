"""What a process that looks again and again keeps open from one look to the next: connections, Dagster's instance.

A look that finds nothing is a millisecond of work. Opening its connections and reading `dagster.yaml` took ten.
"""

import atexit
import functools
import os
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from calcom_pipeline.adapters.postgres.pool import SessionPools
from calcom_pipeline.bootstrap.container import Container, ready_container
from calcom_pipeline.settings import Settings


@contextmanager
def look_container(settings: Settings) -> Generator[Container]:
    """As `ready_container`, over connections to PostgreSQL that stay for the next look. Raises what that does."""
    with ready_container(settings, pools=_pools(os.getpid())) as container:
        yield container


def instance_of(context: dg.SensorEvaluationContext) -> dg.DagsterInstance:
    """The instance that a sensor looks at; unlike the context's own it is not opened for each look."""
    ref = context.instance_ref
    return context.instance if ref is None else _instances(os.getpid()).opened(ref)


@functools.cache  # by process id: a fork shares no connections
def _pools(_pid: int) -> SessionPools:
    pools = SessionPools()
    atexit.register(pools.close)
    return pools


class _Instances:
    """The instance that was asked for last; there is another one only where tests have several."""

    def __init__(self) -> None:
        self._ref: InstanceRef | None = None
        self._instance: dg.DagsterInstance | None = None
        self._guard = Lock()

    def opened(self, ref: InstanceRef) -> dg.DagsterInstance:
        with self._guard:
            if self._instance is None or self._ref != ref:
                self._ref, self._instance = ref, dg.DagsterInstance.from_ref(ref)
            return self._instance


@functools.cache
def _instances(_pid: int) -> _Instances:
    return _Instances()
