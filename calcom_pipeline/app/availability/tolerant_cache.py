"""A cache that may fail without stopping whoever fills it: what is stored elsewhere too gets there all the same."""

from collections.abc import Collection, Mapping, Sequence

from calcom_pipeline.app.availability.ports import SlotCache, Standing
from calcom_pipeline.domain.availability.models import SlotDay, SlotKey
from calcom_pipeline.domain.errors import CacheError


class TolerantCache:
    """The cache as it is, with nothing in it while it fails. `error` is the last reason, or empty."""

    def __init__(self, cache: SlotCache) -> None:
        self._cache = cache
        self.error = ""

    def generations(self, event_type_ids: Sequence[int]) -> Mapping[int, Standing]:
        """As the cache's. Nothing stands for "never cleared": a day is then stored only if that is true."""
        try:
            return self._cache.generations(event_type_ids)
        except CacheError as error:
            self.error = str(error)
            return {}

    def store(
        self,
        days: Sequence[SlotDay],
        *,
        generations: Mapping[int, Standing],
        at_most: Mapping[SlotKey, float] | None = None,
        still_empty: Collection[SlotKey] = (),
    ) -> int:
        """How many days were kept."""
        try:
            return self._cache.store(days, generations=generations, at_most=at_most, still_empty=still_empty)
        except CacheError as error:
            self.error = str(error)
            return 0

    def spoiled(self) -> int:
        """As the cache's."""
        return self._cache.spoiled()

    def get(self, keys: Sequence[SlotKey]) -> Mapping[SlotKey, SlotDay]:
        """The days that are there."""
        try:
            return self._cache.get(keys)
        except CacheError as error:
            self.error = str(error)
            return {}
