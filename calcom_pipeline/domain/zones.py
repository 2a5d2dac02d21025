"""Time zones by name, in the spelling of the rules that count here: those of the locked `tzdata` (`zone_rules.py`)."""

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones


class UnknownZoneError(ValueError):
    """No zone has this name in the rules that count here. Says so, with the name."""


@lru_cache(maxsize=1)
def _spellings() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def canonical_zone(name: str) -> str | None:
    """The name as the rules spell it (`europe/berlin` is `Europe/Berlin`); None when no zone has it.

    Cal.com keeps the spelling that somebody once sent, and finds the zone in any.
    """
    return _spellings().get(name.casefold())


def zone_of(name: str) -> ZoneInfo:
    """The zone of a name in any spelling.

    Raises:
        UnknownZoneError: there is none.
    """
    known = canonical_zone(name)
    if known is None:
        raise UnknownZoneError(f"time zone {name[:80]!r} is not in the rules used here")
    return ZoneInfo(known)
