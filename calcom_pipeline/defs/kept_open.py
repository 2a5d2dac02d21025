"""What a process that looks again and again keeps open from one look to the next: connections, Dagster's instance.

A look that finds nothing is a millisecond of work. Opening its connections and reading `dagster.yaml` took ten. That
the tables are those of this release is not looked at each time either: a run that a look starts does so itself.
"""

import atexit
import functools
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock
from typing import Final

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from calcom_pipeline.adapters.postgres.pool import SessionPools
from calcom_pipeline.bootstrap.container import Container, open_container
from calcom_pipeline.settings import Settings

#: For so long tables that were those of this release are taken for such; a look that fails ends it.
SCHEMA_SECONDS: Final = 300


@contextmanager
def look_container(settings: Settings) -> Generator[Container]:
    """As `ready_container`, over connections to PostgreSQL that stay for the next look. Raises what that does."""
    kept = _kept(os.getpid())
    with open_container(settings, pools=kept.pools) as container, kept.schema_of(container):
        yield container


def instance_of(context: dg.SensorEvaluationContext) -> dg.DagsterInstance:
    """The instance that a sensor looks at; unlike the context's own it is not opened for each look."""
    ref = context.instance_ref
    return context.instance if ref is None else _instances(os.getpid()).opened(ref)


class _Kept:
    """Connections of all accounts, and when the schema of each was last found to be this release's."""

    def __init__(self) -> None:
        self.pools = SessionPools()
        self._found_at: dict[tuple[str, str], float] = {}

    @contextmanager
    def schema_of(self, container: Container) -> Generator[None]:
        """For the block. Raises what `Container.require_schema` does."""
        schema = container.endpoints.database_url, container.settings.schema_name
        try:
            if time.monotonic() - self._found_at.get(schema, float("-inf")) > SCHEMA_SECONDS:
                container.require_schema()
                self._found_at[schema] = time.monotonic()
            yield
        except BaseException:
            self._found_at.pop(schema, None)
            raise


@functools.cache  # by process id: a fork shares no connections
def _kept(_pid: int) -> _Kept:
    kept = _Kept()
    atexit.register(kept.pools.close)
    return kept


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
