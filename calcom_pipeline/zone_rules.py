"""Whose time zone rules count: those of the locked `tzdata`, the same on every machine, whatever the system has.

`zoneinfo` would read the system's files first, and a distribution may be years behind: Debian 12 (tzdata 2025b) puts
Vancouver an hour off from the end of 2026 on. Every process of ours comes through here, since the package does when it
is imported: commands, Dagster's code servers and runs, the sandbox. pandas and hypothesis ask `zoneinfo` as well.
"""

import zoneinfo
from datetime import datetime, timedelta
from pathlib import Path

import tzdata

#: Where `zoneinfo` would look first on this machine.
SYSTEM_PATHS = zoneinfo.TZPATH


def use_locked_rules() -> None:
    """Let `zoneinfo` read the locked `tzdata` alone, in this whole process. Zones that exist already stay as they are.

    Their cache is cleared, so that the next `ZoneInfo(name)` anywhere follows the locked rules.
    """
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()


def locked_version() -> str:
    """The release of the locked rules, such as `2026f`."""
    return tzdata.IANA_VERSION


def system_zone(name: str, paths: tuple[str, ...] = SYSTEM_PATHS) -> zoneinfo.ZoneInfo | None:
    """A zone by the system's rules; None where the system has none of this name."""
    for folder in paths:
        file = Path(folder) / name
        if file.is_file():
            with file.open("rb") as data:
                return zoneinfo.ZoneInfo.from_file(data, key=name)
    return None


def first_difference(
    one: zoneinfo.ZoneInfo, other: zoneinfo.ZoneInfo, *, after: datetime, days: int
) -> datetime | None:
    """The first of the coming days (looked at by the hour, UTC) on which two zones disagree about the offset."""
    hours = (after + timedelta(hours=n) for n in range(days * 24))
    return next(
        (hour for hour in hours if hour.astimezone(one).utcoffset() != hour.astimezone(other).utcoffset()), None
    )
