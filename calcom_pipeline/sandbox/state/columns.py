"""The columns of the bookings that lists filter and sort by, as arrays that grow."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.state.model import SandboxBooking, Status
from calcom_pipeline.sandbox.state.sorting import NULL_KEY

STATUS_CODES: Final[dict[Status, int]] = {
    "accepted": 0,
    "pending": 1,
    "cancelled": 2,
    "rejected": 3,
    "awaiting_host": 4,
}
STATUSES: Final[tuple[Status, ...]] = tuple(STATUS_CODES)
NO_ID: Final = 0  # in place of a missing event type or organizer
_FIRST_CAPACITY: Final = 256
Int64s = NDArray[np.int64]


@dataclass(slots=True)
class Columns:
    """One array per column, all of one length; rows past `count` are unused capacity."""

    start: Int64s
    end: Int64s
    created: Int64s
    updated: Int64s
    status: NDArray[np.uint8]
    event_type: Int64s
    user: Int64s
    is_series: NDArray[np.bool_]
    alive: NDArray[np.bool_]
    changed: NDArray[np.bool_]  # not, or no longer, as generated

    @classmethod
    def empty(cls, capacity: int = _FIRST_CAPACITY) -> "Columns":
        """Columns without a row."""
        longs = [np.zeros(capacity, dtype=np.int64) for _ in range(6)]
        start, end, created, updated, event_type, user = longs
        return cls(
            start,
            end,
            created,
            updated,
            np.zeros(capacity, dtype=np.uint8),
            event_type,
            user,
            *(np.zeros(capacity, dtype=np.bool_) for _ in range(3)),
        )

    @property
    def capacity(self) -> int:
        """Rows that fit before the arrays must grow."""
        return len(self.start)

    def grow(self) -> None:
        """Doubles the capacity."""
        extra = max(self.capacity, _FIRST_CAPACITY)
        for name in Columns.__slots__:
            array: NDArray[np.generic] = getattr(self, name)
            setattr(self, name, np.concatenate([array, np.zeros(extra, dtype=array.dtype)]))

    def put(self, position: int, booking: SandboxBooking) -> None:
        """Writes a booking's values at `position`."""
        self.start[position] = booking.start
        self.end[position] = booking.end
        self.created[position] = booking.created
        self.updated[position] = NULL_KEY if booking.updated is None else booking.updated
        self.status[position] = STATUS_CODES[booking.status]
        self.event_type[position] = booking.event_type_id or NO_ID
        self.user[position] = booking.user_id or NO_ID
        self.is_series[position] = booking.series_uid is not None
        self.alive[position] = True
        self.changed[position] = True

    def copy(self) -> "Columns":
        """Columns of their own with the same values."""
        return Columns(*(getattr(self, name).copy() for name in Columns.__slots__))

    def view(self, count: int) -> "Columns":
        """The used part of every column, without copying."""
        return Columns(*(getattr(self, name)[:count] for name in Columns.__slots__))
