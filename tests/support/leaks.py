"""A watch over the whole run: what is logged, raised, stored or shown holds no API key and no mail address.

Every test is watched, and a leak fails the test in which it happened: lines of all loggers with their tracebacks, the
texts of our errors, what our processes say (a watched `subprocess` hands it over), Dagster's events with their
metadata, what stands in Redis, and all rows in PostgreSQL but those of the mirror and of quarantine, which are meant
to hold addresses. At the end of the run whole databases are looked through, Dagster's storage among them (which is
written by processes of Dagster, too), and the log files of the embedded servers and of everything under pytest's own
folder. `conftest.py` imports the fixture and ends the servers with `nothing_leaked_anywhere`.
"""

import logging
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import redis
from psycopg import sql

from calcom_pipeline.domain import errors

if TYPE_CHECKING:
    from tests.support.schemas import Schemas

_KEY = r"\mcal_(?:live_)?[a-z0-9]{8,}"
# Bounded by what an address may be: texts of a hundred thousand letters are logged, too.
_ADDRESS = r"[\w.+-]{1,64}(?:@|%40)[\w-]{1,63}\.[a-z]{2,}"
#: As PostgreSQL spells it; `\m`, the beginning of a word, is `\b` in Python.
_LEAK_IN_SQL = f"{_KEY}|{_ADDRESS}"
_LEAK = re.compile(_LEAK_IN_SQL.replace(r"\m", r"\b"), re.IGNORECASE)
#: Tables that are meant to hold addresses: the mirror with its users, and records that could not be read.
_MEANT_TO = ("bookings", "booking_attendees", "booking_hosts", "calcom_users", "quarantine", "webhook_inbox")
_SHOWN_CHARACTERS = 60
_SHOWN_LEAKS = 5
#: What processes leave behind: logs of servers and of Dagster's steps.
_LOGS = ("*.log", "*.jsonl", "*.out", "*.err")

_written: list[tuple[str, str]] = []


def leaks_of(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Where a key or an address stands, with a few characters before it and none of it."""
    found: list[str] = []
    for where, text in texts:
        if match := _LEAK.search(text):
            found.append(f"{where}: ...{text[max(0, match.start() - _SHOWN_CHARACTERS) : match.start()]}<here>")
    return found


def said(who: str, *texts: str | bytes | None) -> None:
    """Hand over what a command or a process wrote to its terminal."""
    for text in texts:
        plain = text.decode(errors="replace") if isinstance(text, bytes) else text
        _written.append((f"output of {who}", plain or ""))


def forget() -> None:
    """What was written until now was meant to be."""
    _written.clear()


# --- while tests run -----------------------------------------------------------------------------------------


class _Watch(logging.Handler):
    """Keeps every line that is logged, with its traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        _written.append((f"log of {record.name}", self.format(record)))


def _watch_logs() -> None:
    watch = _Watch(level=logging.DEBUG)
    logging.getLogger().addHandler(watch)
    for name in ("calcom_pipeline", "urllib3"):
        logging.getLogger(name).setLevel(logging.DEBUG)


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


def _watch_processes() -> None:
    """What a process of ours writes to its pipes is read by `communicate`, also for `subprocess.run`."""
    plain = subprocess.Popen.communicate

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        out, err = plain(self, *args, **kwargs)
        said("a process", out, err)
        return out, err

    subprocess.Popen.communicate = watched  # type: ignore[method-assign]  # same


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
_watch_processes()


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test during which a key or an address was written where it must not be."""
    _watch_dagster()
    _written.clear()
    # Asked for here so that they are still there when this fixture looks.
    asked = {
        name: request.getfixturevalue(name)
        for name in ("servers", "schema_name", "environment", "empty_database", "redis_client")
        if name in request.fixturenames
    }
    schemas: Schemas | None = request.getfixturevalue("schemas") if "schema_name" in asked else None
    yield
    found = leaks_of(_written)
    if schemas is not None:
        found += schemas.ask(lambda connection: leaks_of(_stored_in(connection, asked["schema_name"])))
    if "redis_client" in asked:
        found += leaks_of(_values(asked["redis_client"]))
    _refuse(found)


# --- what is left of a run -----------------------------------------------------------------------------------


def nothing_leaked_anywhere(servers: Any | None, *folders: Path) -> None:
    """Fails the run when a database of the servers, Dagster's too, or a log below the folders holds a leak."""
    urls = (servers.database_url, servers.dagster_pg_url) if servers else ()
    found = [leak for url in urls for leak in leaks_of(_stored(url))]
    _refuse(found + [leak for folder in folders for leak in leaks_of(_logged(folder))])


def _stored(url: str) -> Iterator[tuple[str, str]]:
    """Rows that hold a leak, of a whole database; the tables that are meant to are left out."""
    with psycopg.connect(url.replace("+psycopg2", ""), autocommit=True) as connection:
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'")
        for (schema,) in schemas.fetchall():
            yield from _stored_in(connection, schema)


def _stored_in(connection: psycopg.Connection, schema: str) -> Iterator[tuple[str, str]]:
    """The same of one schema."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'"
        " AND pg_relation_size(oid) > 0",
        (f'"{schema}"',),
    ).fetchall()
    for (table,) in tables:
        if table not in _MEANT_TO:
            yield from _rows(connection, schema, table)


def _rows(connection: psycopg.Connection, home: str, table: str) -> Iterator[tuple[str, str]]:
    named = sql.Identifier(home, table)
    statement = sql.SQL("SELECT t::text FROM {} t WHERE t::text ~* %s LIMIT 5").format(named)
    try:
        for (row,) in connection.execute(statement, (_LEAK_IN_SQL,)).fetchall():
            yield f"table {home}.{table}", row
    except psycopg.errors.UndefinedTable:
        return  # of another test that has ended meanwhile


def _logged(folder: Path) -> Iterator[tuple[str, str]]:
    for pattern in _LOGS:
        for file in folder.rglob(pattern):
            if not file.is_file():
                continue
            for line in file.read_text(errors="replace").splitlines():
                yield f"file {file.relative_to(folder)}", line


def _values(store: redis.Redis) -> Iterator[tuple[str, str]]:
    ways: dict[bytes, Any] = {
        b"none": lambda key: "",  # has expired meanwhile
        b"string": store.get,
        b"hash": store.hgetall,
        b"zset": lambda key: store.zrange(key, 0, -1),
        b"set": store.smembers,
        b"list": lambda key: store.lrange(key, 0, -1),
        b"stream": store.xrange,
    }
    for key in store.scan_iter(count=1000):
        yield "a value in Redis", f"{key!r} {ways[store.type(key)](key)!r}"


def _refuse(found: list[str]) -> None:
    assert not found, "a key or an address was written: " + "; ".join(found[:_SHOWN_LEAKS])
