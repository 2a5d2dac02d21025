"""A watch over the whole run: what is logged, raised, stored or shown holds no API key and no mail address.

Every test is watched: lines of our loggers and of urllib3, the texts of our errors, Dagster's events with their
metadata, what stands in Redis, and all rows in PostgreSQL but those of the mirror and of quarantine, which are meant to
hold addresses. A leak fails the test in which it happened. `conftest.py` imports the fixture.
"""

import logging
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import redis

from calcom_pipeline.adapters.postgres.database import Database
from calcom_pipeline.domain import errors

_LEAK = re.compile(r"\bcal_(?:live_)?[a-z0-9]{8,}|[\w.+-]+(?:@|%40)[\w-]+\.[a-z]{2,}", re.IGNORECASE)
#: Tables that are meant to hold addresses: the mirror with its users, and records that could not be read.
_MEANT_TO = ("bookings", "booking_attendees", "booking_hosts", "calcom_users", "quarantine", "webhook_inbox")
_SHOWN_CHARACTERS = 60

_written: list[tuple[str, str]] = []


def leaks_of(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Where a key or an address stands, with a few characters before it and none of it."""
    found: list[str] = []
    for where, text in texts:
        if match := _LEAK.search(text):
            found.append(f"{where}: ...{text[max(0, match.start() - _SHOWN_CHARACTERS) : match.start()]}<here>")
    return found


class _Watch(logging.Handler):
    """Keeps every line that is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        _written.append((f"log of {record.name}", record.getMessage()))


def _watch_logs() -> None:
    watch = _Watch(level=logging.DEBUG)
    for name in ("calcom_pipeline", "urllib3"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(watch)


def _watch_errors() -> None:
    """Every error that is made is written down, whether it is ever shown or not."""
    plain = errors.PipelineError.__init__

    def told(self: errors.PipelineError, message: str, *, advice: str = "") -> None:
        plain(self, message, advice=advice)
        _written.append((f"text of {type(self).__name__}", f"{message} {advice}"))

    errors.PipelineError.__init__ = told  # type: ignore[method-assign]  # this is the watch
    plain_calcom = errors.CalcomError.__init__

    def told_with_body(self: errors.CalcomError, message: str, **more: Any) -> None:
        plain_calcom(self, message, **more)
        _written.append((f"body of {type(self).__name__}", self.exchange.body))

    errors.CalcomError.__init__ = told_with_body  # type: ignore[method-assign]  # same


def _watch_dagster() -> None:
    """Dagster's events, once a test has imported it: what a person reads in the UI."""
    dagster = sys.modules.get("dagster")
    if dagster is None or hasattr(dagster.DagsterInstance, "_is_watched"):
        return
    plain = dagster.DagsterInstance.handle_new_event

    def watched(self: Any, event: Any, *args: Any, **kwargs: Any) -> Any:
        _written.append(("an event of Dagster", f"{event.user_message} {event.dagster_event}"))
        return plain(self, event, *args, **kwargs)

    dagster.DagsterInstance.handle_new_event = watched
    dagster.DagsterInstance._is_watched = True


_watch_logs()
_watch_errors()


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test during which a key or an address was written where it must not be."""
    _watch_dagster()
    _written.clear()
    # Asked for here so that they are still there when this fixture looks.
    database = request.getfixturevalue("empty_database") if "empty_database" in request.fixturenames else None
    store = request.getfixturevalue("redis_client") if "redis_client" in request.fixturenames else None
    yield
    found = leaks_of(_written)
    if database is not None:
        found += leaks_of(_rows(database))
    if store is not None:
        found += leaks_of(_values(store))
    assert not found, "a key or an address was written: " + "; ".join(found[:5])


def _rows(database: Database) -> Iterator[tuple[str, str]]:
    with database.transaction("Looking for leaks") as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        )
        tables = [name for (name,) in cursor.fetchall() if name not in _MEANT_TO]
        for table in tables:
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t LIMIT 2000')
            for (row,) in cursor.fetchall():
                yield f"table {table}", row


def _values(store: redis.Redis) -> Iterator[tuple[str, str]]:
    for key in store.scan_iter(count=1000):
        kind = store.type(key)
        values: Any = {
            b"string": lambda key=key: store.get(key),
            b"hash": lambda key=key: store.hgetall(key),
            b"zset": lambda key=key: store.zrange(key, 0, -1),
            b"set": lambda key=key: store.smembers(key),
        }.get(kind, lambda: "")()
        yield "a value in Redis", f"{key!r} {values!r}"
