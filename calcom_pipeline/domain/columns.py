"""Columns of a table, stated where the value's attributes are: statements, rows and the UI are derived from them.

An attribute that is a column says so in its annotation: `slug: Annotated[str, Column("text", "last part of ...")]`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column:
    """Its type in PostgreSQL, and what it holds, for people.

    `least` and `most` bound a number; `wrong` is the code of the reason why another one is refused.
    """

    kind: str
    about: str = ""
    least: int | None = None
    most: int | None = None
    wrong: str = "value_out_of_range"

    @property
    def bounded(self) -> bool:
        """Whether there are bounds."""
        return self.least is not None or self.most is not None

    def takes(self, number: int) -> bool:
        """Whether a number is within the bounds."""
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


def annotated(cls: type, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Attributes of a dataclass whose annotation holds a value of this kind, in order."""
    hints: dict[str, Any] = get_type_hints(cls, include_extras=True)
    for name, hint in hints.items():
        yield from ((name, value) for value in getattr(hint, "__metadata__", ()) if isinstance(value, kind))


def columns_of(cls: type) -> dict[str, Column]:
    """The columns of a dataclass by name, in order."""
    return dict(annotated(cls, Column))
