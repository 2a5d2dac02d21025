"""Which days have a held start: whatever is cached of them meanwhile lives no longer than the hold.

`slots:held:<event type id>` is a sorted set: `<end, unix ms>:<zone>:<YYYY-MM-DD>` scored by that end; without zone and
day where any day may be concerned. `store_days.lua` and `near_store.lua` look at it.
"""

from collections.abc import Sequence

from calcom_pipeline.adapters.redis.connection import Client, redis_failures, script
from calcom_pipeline.domain.availability.changes import AffectedDays


class RedisHeldDays:
    """Notes of days with a held start."""

    def __init__(self, client: Client, *, prefix: str) -> None:
        self._prefix = prefix
        self._note = client.register_script(script("note_hold"))

    def note(self, affected: Sequence[AffectedDays], *, seconds: float) -> None:
        """These days may have a held start for so long. Raises CacheError."""
        for one in affected:
            endings = sorted(f":{one.zone}:{day.isoformat()}" for day in one.days or ())
            if one.days is not None and not endings:
                continue
            with redis_failures(f"Noting a hold of event type {one.event_type_id}"):
                key = f"{self._prefix}slots:held:{one.event_type_id}"
                self._note(keys=[key], args=[max(int(seconds * 1000), 1), *endings])
