"""A list from outside, row by row: what could be read, and what could not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

T = TypeVar("T")

#: What rows that could not be read are kept under, and how far a list was read; bookings have theirs in `positions`.
EVENT_TYPES_STREAM, TEAMS_STREAM, SCHEDULES_STREAM = "event_types", "teams", "schedules"
SLOTS_STREAM, WEBHOOKS_STREAM = "slots", "webhooks"


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that is wrong in itself. It goes to quarantine as it came, and is not taken for gone.

    `key` names what it is a row of (an id in decimals, a slot day), as far as that can be read.
    """

    stream: str
    raw: bytes = field(repr=False)
    reason: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Listed(Sequence[T]):
    """A complete list: a sequence of its readable rows, each once. `repeated` counts rows that came again."""

    rows: tuple[T, ...] = ()
    unreadable: tuple[UnreadableRow, ...] = ()
    repeated: int = 0

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    @property
    def shown(self) -> int:
        """Rows that the list held, readable or not, repetitions included."""
        return len(self.rows) + len(self.unreadable) + self.repeated

    def unreadable_keys(self, stream: str) -> frozenset[str]:
        """What is there although it could not be read."""
        return frozenset(row.key for row in self.unreadable if row.stream == stream and row.key)

    def unreadable_ids(self, stream: str) -> frozenset[int]:
        """The same, of streams whose keys are ids."""
        return frozenset(int(key) for key in self.unreadable_keys(stream))
