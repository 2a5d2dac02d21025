"""Ids that no start-up hands out twice: beside a state file, the numbers that are spoken for.

The state file is written every few seconds. What a killed process handed out since then stands in no file, but its
clients keep it; so the numbers are written down before they are handed out, a block ahead, as PostgreSQL logs its
sequences ahead. The file outlives the state file, if that is removed alone. Uids and keys need no file: each life of a
state file draws them from a seed of its own (see `server.open_sandbox`).
"""

from pathlib import Path
from typing import Final

import orjson

from calcom_pipeline.sandbox.core.json_types import is_object
from calcom_pipeline.sandbox.files import replace_file
from calcom_pipeline.sandbox.state.world import Sequences

SUFFIX: Final = ".ids"
BLOCK: Final = 1_000  # ids per write of the file; a start-up after a kill skips at most so many


class Ledger:
    """The next id of each table that nobody has had, in the file `path`. Raises ValueError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks = _read(path)
        self._next: dict[str, int] = {}

    def first_free(self, name: str) -> int:
        """The first id of a table that nobody can have been given, in this life or an earlier one."""
        return self._next.get(name, self._marks.get(name, 1))

    def cover(self, name: str, value: int) -> None:
        """Sees to it that no later life hands `value` out; to be called before anybody gets to know it."""
        self._next[name] = max(self._next.get(name, 0), value + 1)
        if value >= self._marks.get(name, 1):
            self._write(self._marks | {name: value + 1 + BLOCK})

    def settle(self) -> None:
        """At a clean end: gives back what was written ahead and not handed out."""
        if self._next:
            self._write(self._marks | self._next)

    def _write(self, marks: dict[str, int]) -> None:
        replace_file(self._path, orjson.dumps(marks))
        self._marks = marks


def _read(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    try:
        found = is_object(orjson.loads(path.read_bytes()))
    except orjson.JSONDecodeError:
        found = None
    if found is None or not all(isinstance(value, int) for value in found.values()):
        raise ValueError(f"{path.name} holds no ids")
    return found


class KeptSequences(Sequences):
    """An account's sequences, kept in a ledger; they begin where no earlier life has been."""

    __slots__ = ("_ledger",)

    def __init__(self, known: Sequences, ledger: Ledger) -> None:
        names = Sequences.__dataclass_fields__
        super().__init__(**{name: max(getattr(known, name), ledger.first_free(name)) for name in names})
        self._ledger = ledger

    def take(self, name: str) -> int:
        """The next id of a table, written down before it is handed out."""
        value = super().take(name)
        self._ledger.cover(name, value)
        return value
