"""The short memory in front of the slots: an identical query gets the same answer for two seconds.

Measured (fact sheet section 11, `21c-at-once-*`): another second in `start` or `end`, another zone or duration is
another query, another `format` is not.
"""

from calcom_pipeline.sandbox.core.times import SECOND_MS
from calcom_pipeline.sandbox.slots.finder import FoundSlot, SlotSearch

LIFETIME_MS = 2 * SECOND_MS
_MOST_ENTRIES = 4_096
Found = dict[str, list[FoundSlot]]


class SandboxSlotCache:
    """Answers by query, each for its lifetime."""

    def __init__(self, lifetime_ms: int = LIFETIME_MS) -> None:
        self._lifetime_ms = lifetime_ms
        self._entries: dict[SlotSearch, tuple[int, Found]] = {}

    def get(self, query: SlotSearch, now: int) -> Found | None:
        """The answer of less than a lifetime ago."""
        entry = self._entries.get(query)
        if entry is None or not entry[0] <= now < entry[0] + self._lifetime_ms:
            return None
        return entry[1]

    def put(self, query: SlotSearch, found: Found, now: int) -> None:
        """Remembers an answer; the memory is bounded."""
        if len(self._entries) >= _MOST_ENTRIES:
            self._entries.clear()
        self._entries[query] = (now, found)

    def clear(self) -> None:
        """Forgets every answer."""
        self._entries.clear()
