"""Whose time zone rules say what: the locked ones, the system's, and those behind Cal.com's own answers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from calcom_pipeline.domain.zones import canonical_zone, zone_of
from calcom_pipeline.zone_rules import first_difference

#: How far ahead rules are compared: bookings are rarely made further ahead.
_DAYS_COMPARED = 366


def unknown_zones(names: Iterable[str]) -> list[str]:
    """Names that the locked rules do not have."""
    return sorted({name for name in names if canonical_zone(name) is None})


def differing_from_system(
    names: Collection[str], system: Callable[[str], ZoneInfo | None], *, now: datetime
) -> list[str]:
    """Zones for which the system's rules say something else within the next year, and from when on (UTC)."""
    changes: list[str] = []
    for name in sorted({known for name in names if (known := canonical_zone(name))}):
        other = system(name)
        if other is None:
            continue
        at = first_difference(zone_of(name), other, after=now, days=_DAYS_COMPARED)
        if at is not None:
            changes.append(f"{name} from {at:%Y-%m-%d} on")
    return changes


def differing_from_calcom(name: str, shown: Mapping[datetime, timedelta]) -> str:
    """How Cal.com's offsets of starts in a zone differ from the locked rules; empty when they agree."""
    zone = zone_of(name)
    for start, offset in sorted(shown.items()):
        ours = start.astimezone(zone).utcoffset()
        if ours != offset:
            return f"Cal.com has {name} at {_hours(offset)} on {start:%Y-%m-%d}, the rules used here at {_hours(ours)}"
    return ""


def _hours(offset: timedelta | None) -> str:
    minutes = int((offset or timedelta()) / timedelta(minutes=1))
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
