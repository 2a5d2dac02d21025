"""The `cal-api-version` header: which handler of a route answers to which value.

Facts: fact sheet section 1.3 and the recordings `08-version-*`.
"""

from typing import Final

V2024_04_15: Final = "2024-04-15"
V2024_06_11: Final = "2024-06-11"
V2024_06_14: Final = "2024-06-14"
V2024_08_13: Final = "2024-08-13"
V2024_09_04: Final = "2024-09-04"
V2026_02_25: Final = "2026-02-25"
KNOWN: Final = frozenset({V2024_04_15, V2024_06_11, V2024_06_14, V2024_08_13, V2024_09_04, V2026_02_25})

ANY: Final = KNOWN
EVENT_TYPES: Final = frozenset({V2024_06_14})
EVENT_TYPES_LEGACY: Final = frozenset({V2024_04_15, V2024_06_11})
SLOTS: Final = frozenset({V2024_09_04})
SLOTS_LEGACY: Final = frozenset({V2024_04_15, V2024_06_11, V2024_06_14, V2024_08_13})
#: Bookings as they are since then; a newer version goes here, and into `KNOWN`.
BOOKINGS_SINCE_2026_02_25: Final = frozenset({V2026_02_25})
BOOKINGS: Final = frozenset({V2024_08_13}) | BOOKINGS_SINCE_2026_02_25
BOOKINGS_LEGACY: Final = frozenset({V2024_04_15, V2024_06_11, V2024_06_14})
SCHEDULES: Final = frozenset({V2024_06_11, V2024_06_14})
SCHEDULES_LEGACY: Final = frozenset({V2024_04_15})


def resolve(header: str | None) -> str:
    """The version that is meant; absent or unknown is the oldest, without an error."""
    return header if header in KNOWN else V2024_04_15
