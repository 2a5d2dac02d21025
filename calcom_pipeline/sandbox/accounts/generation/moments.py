"""Many instants as ISO 8601 texts at once, from tables of their parts."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calcom_pipeline.sandbox.accounts.generation.characters import Characters, Ints, as_texts
from calcom_pipeline.sandbox.core.times import DAY_MS, MINUTE_MS

_DAY_END, _MINUTE_END, _LENGTH = 11, 17, 24  # where `2026-03-02T`, `2026-03-02T09:00:` and the whole text end
FIRST_DAY: Final = "1970-01-01"  # the days that the table of dates holds
LAST_DAY: Final = "2200-01-01"


def _table(instants: NDArray[np.datetime64], start: int, end: int, last: str) -> Characters:
    """A part of the texts of these instants, followed by a character."""
    length = len(str(instants[0]))
    texts = instants.astype(f"S{length}").view(np.uint8).reshape(len(instants), length)
    found = np.full((len(instants), end - start + 1), ord(last), dtype=np.uint8)
    found[:, :-1] = texts[:, start:end]
    return found


@lru_cache(maxsize=1)
def _days() -> Characters:
    return _table(np.arange(FIRST_DAY, LAST_DAY, dtype="datetime64[D]"), 0, _DAY_END - 1, "T")


@lru_cache(maxsize=1)
def _clock() -> Characters:
    minutes = np.arange(0, DAY_MS // MINUTE_MS, dtype="datetime64[m]")
    return _table(minutes, _DAY_END, _MINUTE_END - 1, ":")


@lru_cache(maxsize=1)
def _seconds() -> Characters:
    return _table(np.arange(0, MINUTE_MS, dtype="datetime64[ms]"), _MINUTE_END, _LENGTH - 1, "Z")


def iso_texts(instants: Ints) -> list[str]:
    """`2026-03-02T09:00:00.000Z` for each; milliseconds since 1970, from `FIRST_DAY` up to `LAST_DAY`."""
    days, rest = np.divmod(instants, DAY_MS)
    minutes, rest = np.divmod(rest, MINUTE_MS)
    found = np.empty((len(instants), _LENGTH), dtype=np.uint8)
    found[:, :_DAY_END] = _days()[days]
    found[:, _DAY_END:_MINUTE_END] = _clock()[minutes]
    found[:, _MINUTE_END:] = _seconds()[rest]
    return as_texts(found)
