"""Positions of rows in the order of one key, kept right under changes, and pages cut from them.

Cal.com sorts without a tie-breaker (fact sheet 6.1), so rows with an equal key are shuffled anew for every page:
a client that relies on their order must fail here, not in production.
"""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Keys = NDArray[np.int64]
NULL_KEY = np.iinfo(np.int64).max  # a missing time: last in ascending order, first in descending, as in PostgreSQL


class SortIndex:
    """Positions of the living rows by one column. Changed rows are put in their new place at the next read."""

    def __init__(self, column: Keys, alive: NDArray[np.bool_]) -> None:
        living = np.flatnonzero(alive)
        self._order: Positions = living[np.argsort(column[living], kind="stable")]
        self._keys: Keys = column[self._order]
        self._changed: set[int] = set()

    def mark(self, position: int) -> None:
        """The row at `position` was added, changed or deleted."""
        self._changed.add(position)

    def read(self, column: Keys, alive: NDArray[np.bool_]) -> tuple[Positions, Keys]:
        """Positions in ascending order and their keys."""
        if self._changed:
            changed = np.fromiter(self._changed, dtype=np.int64, count=len(self._changed))
            self._changed.clear()
            is_changed = np.zeros(len(column), dtype=np.bool_)
            is_changed[changed] = True
            kept = self._order[~is_changed[self._order]]
            moved = changed[alive[changed]]
            moved = moved[np.argsort(column[moved], kind="stable")]
            places = np.searchsorted(column[kept], column[moved], side="right")
            self._order = np.insert(kept, places, moved)
            self._keys = column[self._order]
        return self._order, self._keys


def cut_page(
    order: Positions, keys: Keys, skip: int, take: int, *, descending: bool, rng: np.random.Generator
) -> Positions:
    """`take` positions after the first `skip`, rows of equal key in a random order.

    Every call draws its own order, so two pages of one walk may repeat or miss rows that tie.
    """
    count = len(order)
    low, high = (count - skip - take, count - skip) if descending else (skip, skip + take)
    low, high = max(low, 0), min(max(high, 0), count)
    if low >= high:
        return order[:0]
    page = _shuffled(order, keys, low, high, rng)
    return page[::-1] if descending else page


def _shuffled(order: Positions, keys: Keys, low: int, high: int, rng: np.random.Generator) -> Positions:
    window = keys[low:high]
    is_cut_below = low > 0 and keys[low - 1] == window[0]
    is_cut_above = high < len(keys) and keys[high] == window[-1]
    breaks = np.flatnonzero(window[1:] != window[:-1]) + 1
    if len(breaks) == high - low - 1 and not is_cut_below and not is_cut_above:
        return order[low:high]
    inner: list[int] = breaks.tolist()
    starts, ends = [0, *inner], [*inner, high - low]
    page = order[low:high].copy()
    for start, end in zip(starts, ends, strict=True):
        key = int(window[start])
        first = int(np.searchsorted(keys, key, side="left"))
        last = int(np.searchsorted(keys, key, side="right"))
        if last - first > 1:
            picked = rng.choice(last - first, size=end - start, replace=False, shuffle=True)
            page[start:end] = order[first + picked]
    return page
