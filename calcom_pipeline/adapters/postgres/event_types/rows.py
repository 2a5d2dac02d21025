"""Rows of the table `event_types` to and from values: each column as its type wants it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Generic, TypeVar

import orjson
from psycopg.types.json import Jsonb

from calcom_pipeline.domain.columns import Column, columns_of
from calcom_pipeline.domain.event_types.models import EventType, Owner

E = TypeVar("E", bound=EventType)


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=orjson.dumps)


class EventTypeRows(Generic[E]):
    """Turns values of a class with columns into rows and back; columns that travel as they are cost nothing."""

    def __init__(self, cls: type[E]) -> None:
        self._cls = cls
        columns = columns_of(cls)
        self._names = tuple(columns)
        self._values: Callable[[E], tuple[Any, ...]] = attrgetter(*columns)
        self._written = [
            (n, write) for n, (name, column) in enumerate(columns.items()) if (write := _writes(name, column))
        ]
        self._read = [(name, read) for name, column in columns.items() if (read := _reads(name, column))]

    def row(self, event_type: E) -> list[Any]:
        """A value as a row."""
        row = list(self._values(event_type))
        for place, write in self._written:
            row[place] = write(row[place])
        return row

    def value(self, row: tuple[Any, ...]) -> E:
        """A row as a value."""
        values = dict(zip(self._names, row, strict=True))
        for name, read in self._read:
            values[name] = read(values[name])
        return self._cls(**values)


def _writes(name: str, column: Column) -> Callable[[Any], Any] | None:
    if column.kind.endswith("[]"):
        return list
    return str if name == "owner" else {"jsonb": _json}.get(column.kind)


def _reads(name: str, column: Column) -> Callable[[Any], Any] | None:
    if column.kind.endswith("[]"):
        return tuple
    return Owner.parse if name == "owner" else None


_ROWS = EventTypeRows(EventType)
event_type_row = _ROWS.row
event_type_of = _ROWS.value
