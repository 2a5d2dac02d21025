r"""Rows in PostgreSQL's COPY text format, a page at a time.

psycopg's `write_row` finds out about every value of every row anew; for the rows of a booking that is most of what
storing them costs. Here only the types that our tables have are known. Format: PostgreSQL manual, COPY, text format.

A row whose texts all come from a JSON document without a backslash needs no escaping: JSON writes line breaks, tabs
and backslashes with one.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from calcom_pipeline.adapters.postgres.database import Cursor, statement

_NULL = r"\N"
# About 100 KB of bookings: PostgreSQL is busy for milliseconds with it.
_LINES_AT_ONCE = 50
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _bytes(value: bytes) -> str:
    return r"\\x" + value.hex()


def _flag(value: object) -> str:
    return "t" if value else "f"


_WRITERS: dict[type, Callable[[Any], str]] = {
    int: str,
    bool: _flag,
    datetime: datetime.isoformat,
    bytes: _bytes,
}


def line(values: Iterable[Any], *, plain: bool) -> str:
    """One row. Values are texts, whole numbers, flags, times, bytes or None; `plain` promises texts to need no escape.

    A text for an array or JSON column is written in its own notation. Raises KeyError for a value of another kind.
    """
    writers = _WRITERS
    if plain:
        return "\t".join([v if type(v) is str else _NULL if v is None else writers[type(v)](v) for v in values])
    return "\t".join(
        [v.translate(_ESCAPES) if type(v) is str else _NULL if v is None else writers[type(v)](v) for v in values]
    )


def copy_lines(cursor: Cursor, copy: str, lines: Sequence[str]) -> None:
    """Send rows to a `COPY ... FROM STDIN`; nothing for no rows."""
    if lines:
        with copying(cursor, copy) as send:
            send(lines)


@contextmanager
def copying(cursor: Cursor, copy: str) -> Generator[Callable[[Iterable[str]], None]]:
    """A `COPY ... FROM STDIN` as long as the block; hand rows over as they are made.

    They go out in small parts: PostgreSQL stores the first while the next are being made, and the end of the block
    waits for the last.
    """
    with cursor.copy(statement(copy)) as sink:

        def send(lines: Iterable[str]) -> None:
            rest = iter(lines)
            while part := list(islice(rest, _LINES_AT_ONCE)):
                sink.write("\n".join(part) + "\n")

        yield send
