"""Which rows a list of bookings holds, in what order: masks over the columns. Facts: fact sheet 6.1 and 6.2. Pure.

The created and updated filters go into the rows alone and never into the count: Cal.com's totals are wrong.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.state.bookings import SortKey
from calcom_pipeline.sandbox.state.columns import STATUS_CODES, Columns
from calcom_pipeline.sandbox.state.sorting import NULL_KEY, Positions

Mask = NDArray[np.bool_]
_CANCELLED, _REJECTED = STATUS_CODES["cancelled"], STATUS_CODES["rejected"]
_ACCEPTED, _PENDING = STATUS_CODES["accepted"], STATUS_CODES["pending"]
DEFAULT_TAKE = 100


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive limits of one column; None is open."""

    low: int | None = None
    high: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is limited."""
        return self.low is None and self.high is None

    def mask(self, column: NDArray[np.int64]) -> Mask:
        """The rows inside; a null is inside no limit."""
        found = column != NULL_KEY
        if self.low is not None:
            found &= column >= self.low
        if self.high is not None:
            found &= column <= self.high
        return found


@dataclass(frozen=True, slots=True)
class WantedBookings:
    """One list request. `positions` are rows found by uid, address or name; None means any."""

    sort: SortKey = "start"
    descending: bool = False
    skip: int = 0
    take: int = DEFAULT_TAKE
    statuses: tuple[str, ...] = ()
    event_type_ids: tuple[int, ...] | None = None
    start: Bounds = field(default_factory=Bounds)
    end: Bounds = field(default_factory=Bounds)
    created: Bounds = field(default_factory=Bounds)
    updated: Bounds = field(default_factory=Bounds)
    positions: tuple[Positions, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether no filter but those on creation and update is set."""
        return (
            not self.statuses
            and self.event_type_ids is None
            and self.start.is_open
            and self.end.is_open
            and not self.positions
        )


def bucket(columns: Columns, name: str, now: int) -> Mask:
    """The rows of one status bucket; they overlap and depend on now."""
    status = columns.status
    is_open = (status != _CANCELLED) & (status != _REJECTED)
    if name == "upcoming":
        return (columns.end >= now) & is_open & (~columns.is_series | (status == _ACCEPTED))
    if name == "recurring":
        return (columns.end >= now) & columns.is_series & is_open
    if name == "past":
        return (columns.end <= now) & is_open
    if name == "cancelled":
        return ~is_open
    return (columns.end >= now) & (status == _PENDING)


def counted(columns: Columns, wanted: WantedBookings, visible: Mask, now: int) -> Mask:
    """The rows that count for the totals."""
    found = visible & columns.alive
    if wanted.statuses:
        found &= np.logical_or.reduce([bucket(columns, name, now) for name in wanted.statuses])
    if wanted.event_type_ids is not None:
        found &= np.isin(columns.event_type, wanted.event_type_ids)
    if not wanted.start.is_open:
        found &= wanted.start.mask(columns.start)
    if not wanted.end.is_open:
        found &= wanted.end.mask(columns.end)
    for positions in wanted.positions:
        chosen = np.zeros(len(found), dtype=np.bool_)
        chosen[positions] = True
        found &= chosen
    return found


def changed_within(columns: Columns, wanted: WantedBookings) -> Mask | None:
    """The rows that pass the created and updated filters; None without such a filter."""
    found: Mask | None = None
    for bounds, column in ((wanted.created, columns.created), (wanted.updated, columns.updated)):
        if not bounds.is_open:
            mask = bounds.mask(column)
            found = mask if found is None else found & mask
    return found


def pagination(total: int, skip: int, take: int) -> dict[str, int | bool]:
    """Cal.com's pagination object: arithmetic over a count, not over the rows that came."""
    start = min(skip, total)
    pages = -(-total // take)
    return {
        "returnedItems": min(max(total - start, 0), take),
        "totalItems": total,
        "itemsPerPage": take,
        "remainingItems": min(max(total - (start + take), 0), total),
        "currentPage": min(start // take + 1, pages) if total else 0,
        "totalPages": pages,
        "hasNextPage": start + take < total,
        "hasPreviousPage": start > 0,
    }
