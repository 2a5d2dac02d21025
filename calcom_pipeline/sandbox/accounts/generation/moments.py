"""Many instants as ISO 8601 texts at once."""

from functools import lru_cache

import numpy as np

from calcom_pipeline.sandbox.accounts.generation.hashing import Ints
from calcom_pipeline.sandbox.core.times import DAY_MS, MINUTE_MS, iso
from calcom_pipeline.sandbox.state.sorting import NULL_KEY

_DAY_END, _MINUTE_END = 11, 17  # where `2026-03-02T` and `2026-03-02T09:00:` end


@lru_cache(maxsize=65_536)
def _day(number: int) -> str:
    return iso(number * DAY_MS)[:_DAY_END]


@lru_cache(maxsize=2_048)
def _clock(minute: int) -> str:
    return iso(minute * MINUTE_MS)[_DAY_END:_MINUTE_END]


@lru_cache(maxsize=65_536)
def _seconds(ms: int) -> str:
    return iso(ms)[_MINUTE_END:]


def iso_texts(instants: Ints) -> list[str]:
    """`2026-03-02T09:00:00.000Z` for each; milliseconds since 1970."""
    days, rest = np.divmod(instants, DAY_MS)
    minutes, rest = np.divmod(rest, MINUTE_MS)
    return [
        _day(day) + _clock(minute) + _seconds(ms)
        for day, minute, ms in zip(days.tolist(), minutes.tolist(), rest.tolist(), strict=True)
    ]


def quoted_iso_texts(instants: Ints) -> list[str]:
    """The same as JSON: in quotes, or null."""
    missing = instants == NULL_KEY
    texts = iso_texts(np.where(missing, 0, instants))
    return ["null" if is_null else f'"{text}"' for text, is_null in zip(texts, missing.tolist(), strict=True)]
