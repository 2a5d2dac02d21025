"""Rows into tables by binary COPY: psycopg writes them in C once it has been told the types of the columns.

Finding out about every value of every row anew is else most of what storing a page costs, and PostgreSQL has no text
to parse.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.adapt import PyFormat, Transformer

from calcom_pipeline.adapters.postgres.database import Cursor, statement

#: Types by column, as PostgreSQL calls them.
Columns = Mapping[str, str]
#: Of a column whose values are bytes in its type's binary form: psycopg adds nothing to those of a `bytea`.
AS_IT_IS = "bytea"


def copy_rows(cursor: Cursor, table: str, columns: Columns, rows: Iterable[Sequence[Any]]) -> None:
    """Send rows, whose values stand in the order of the columns, while they are being made.

    A value of another type than its column's is a psycopg.Error or a TypeError; None is NULL.
    """
    with cursor.copy(statement(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)")) as sink:
        sink.set_types(list(columns.values()))
        for row in rows:
            sink.write_row(row)


def array_of(text: str) -> bytes:
    """An array of one text in PostgreSQL's binary form, for a column that is written as `AS_IT_IS`.

    psycopg would find out the dimensions of each row's anew, which takes as long as ten other columns.
    """
    return bytes(Transformer().get_dumper([text], PyFormat.BINARY).dump([text]) or b"")


def as_json(text: bytes) -> bytes:
    """What is JSON in UTF-8 already in jsonb's binary form, its text behind a version, written as `AS_IT_IS`."""
    return b"\x01" + text
