"""Dagster's storage in PostgreSQL, over connections that are kept.

Dagster's own opens a connection for each statement: 290 of them for a full sync, which cost PostgreSQL 1.5 s of CPU
where the statements cost 0.6 s. It also lists all tables of the database with most statements, to see which it may use:
half of what its daemon did while nothing happened. What is found there once is not looked for again.

A connection is tried before it is used, which is a statement more; not so where that was done just now.
"""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from weakref import WeakKeyDictionary

from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import (
    create_pg_connection,
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
)

if TYPE_CHECKING:
    from dagster._core.storage.config import PostgresStorageConfig
    from dagster._serdes import ConfigurableClassData

#: Connections of a process, as many as it uses at once; the daemon's sensors have four threads (`dagster.yaml`). What
#: more threads need is closed after use.
KEPT: Final = 5
LONGEST_SECONDS: Final = 300  # that one is kept
#: For so long a connection that was tried is taken for whole. A server that went away since is not back yet either.
SURE_SECONDS: Final = 0.5

# Those by which Dagster tells that its tables have been made.
_HAS_ALL_TABLES: Final = (
    "SELECT count(to_regclass(name)) = 4 FROM unnest(ARRAY['runs', 'instance_info', 'event_logs', 'jobs']) AS name"
)


_C = TypeVar("_C", bound=type["_OverSharedEngine"])


class _OverSharedEngine:
    """A part of the storage whose statements go through an engine of SQLAlchemy's that all parts share."""

    _engine: Any
    found: set[tuple[str, ...]]  # what this database has: tables, columns, migrations

    def over(self, engine: Any) -> Self:
        self._engine = engine
        self.found = set()
        return self


def _looking_once(*looks: str) -> Callable[[_C], _C]:
    """Of the class's methods that look for a table, a column or a migration, these remember what they found.

    Dagster never takes away what a migration brought; what is not there yet is looked for each time.
    """

    def remembering(part: _C) -> _C:
        for name in looks:
            setattr(part, name, _remembered(getattr(part, name)))
        return part

    return remembering


def _remembered(look: Callable[..., bool]) -> Callable[..., bool]:
    @functools.wraps(look)
    def once(self: _OverSharedEngine, *args: Any) -> bool:
        what = (look.__name__, *(arg for arg in args if isinstance(arg, str)))  # others are connections
        if what not in self.found and look(self, *args):
            self.found.add(what)
        return what in self.found

    return once


@_looking_once(
    "has_run_stats_index_cols",
    "has_bulk_actions_selector_cols",
    "has_backfill_id_column",
    "has_bulk_action_job_name_column",
    "has_backfill_tags_table",
)
class _PooledRuns(_OverSharedEngine, PostgresRunStorage):
    def dispose(self) -> None:
        """Close the connections of all parts: an instance that ends calls this for its runs."""
        super().dispose()
        self._engine.dispose()


@_looking_once("has_table", "_has_asset_key_col_on_connection")
class _PooledEvents(_OverSharedEngine, PostgresEventLogStorage):
    pass


@_looking_once(
    "has_instigators_table",
    "_has_instigators_table",
    "_has_asset_daemon_asset_evaluations_table",
    "has_secondary_index_table",
    "has_built_index",
)
class _PooledSchedules(_OverSharedEngine, PostgresScheduleStorage):
    pass


def _has_all_tables(engine: Any) -> bool:
    """Whether Dagster need not look for its tables: it lists all that there are, three times over new connections."""
    with create_pg_connection(engine) as connection:
        return bool(connection.exec_driver_sql(_HAS_ALL_TABLES).scalar())


def _try_seldom(engine: Any) -> None:
    """Trying a connection before each statement was a quarter of what the daemon did."""
    ping, tried_at = engine.dialect.do_ping, WeakKeyDictionary[Any, float]()

    def seldom(connection: Any) -> bool:
        now = time.monotonic()
        if now - tried_at.get(connection, float("-inf")) < SURE_SECONDS:
            return True
        alive = ping(connection)
        tried_at[connection] = now
        return alive

    engine.dialect.do_ping = seldom


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's own, with its configuration and tables. A kept connection that broke is replaced before it is used."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,  # noqa: FBT001, FBT002 - Dagster's own signature
        inst_data: "ConfigurableClassData | None" = None,
        token_provider: Any = None,
    ) -> None:
        engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT,
            max_overflow=-1,
            pool_pre_ping=True,
            pool_recycle=LONGEST_SECONDS,
        )
        _try_seldom(engine)
        incomplete = should_autocreate_tables and not _has_all_tables(engine)
        super().__init__(postgres_url, incomplete, inst_data, token_provider)
        made: dict[str, Any] = {"should_autocreate_tables": False, "token_provider": token_provider}
        self._run_storage = _PooledRuns(postgres_url, **made).over(engine)
        self._event_log_storage = _PooledEvents(postgres_url, **made).over(engine)
        self._schedule_storage = _PooledSchedules(postgres_url, **made).over(engine)

    @classmethod
    def from_config_value(
        cls, inst_data: "ConfigurableClassData | None", config_value: "PostgresStorageConfig"
    ) -> "PooledPostgresStorage":
        """As Dagster makes it from dagster.yaml."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )
