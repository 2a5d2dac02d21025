"""Instants as whole milliseconds since 1970 (UTC), and the spellings in which Cal.com reads and writes them."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_MS_DIGITS = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# JavaScript's dates reach further than ours: instants near the ends of ours are moved inwards, where nothing is.
_EARLIEST_MS = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LATEST_MS = (datetime(9990, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_PLACEHOLDERS = frozenset({"Factory", "localtime"})  # files among the zones that name none
_UTC_NAMES = frozenset({"utc", "gmt"})  # luxon writes `Z` for these two names and `+00:00` for every other zone

# What class-validator's IsDateString lets pass, cut down to the calendar spellings.
_ISO_SHAPE = re.compile(
    r"(?P<year>[+-]?\d{4})(?:-?(?P<month>0[1-9]|1[0-2])(?:-?(?P<day>0[1-9]|[12]\d|3[01]))?)?"
    r"(?:[T ](?P<hour>[01]\d|2[0-4])(?::?(?P<minute>[0-5]\d)(?::?(?P<second>[0-5]\d)(?:[.,](?P<frac>\d+))?)?)?"
    r"(?P<zone>[Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?"
)


def ms_of(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(ms: int) -> datetime:
    """The aware UTC datetime of `ms`."""
    return _EPOCH + timedelta(milliseconds=ms)


def iso(ms: int) -> str:
    """`2026-03-02T09:00:00.000Z`, the spelling of every instant that the REST API answers."""
    text = moment_of(ms).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % SECOND_MS:03d}Z"


def iso_seconds(ms: int) -> str:
    """`2026-03-02T09:00:00Z`, the spelling of start and end in most webhooks."""
    return moment_of(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_seconds_offset(ms: int) -> str:
    """`2026-03-02T09:00:00+00:00`, the spelling of start and end in a cancellation's webhook."""
    return moment_of(ms).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def iso_in_zone(ms: int, zone_name: str) -> str:
    """`2026-03-02T10:00:00.000+01:00`: an instant in a zone, as luxon writes it."""
    if zone_name.lower() in _UTC_NAMES:
        return iso(ms)
    local = moment_of(ms).astimezone(zone(zone_name))
    return local.isoformat(timespec="milliseconds")


def day_key(ms: int, zone_name: str) -> str:
    """The local calendar day of an instant, `2026-03-02`."""
    return moment_of(ms).astimezone(zone(zone_name)).date().isoformat()


def http_date(ms: int) -> str:
    """The value of a `Date` header."""
    moment = moment_of(ms)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return (
        f"{days[moment.weekday()]}, {moment.day:02d} {months[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name; as in JavaScript, upper and lower case do not matter.

    Guess: a name that nobody here knows, in a schedule or of a user, counts as UTC. Cal.com's own rules know zones that
    this machine may not, and one such schedule must not stop every answer; no recording shows one.
    """
    return ZoneInfo(_known(name) or "UTC")


def is_zone(name: object) -> bool:
    """Whether `name` is a time zone that a JavaScript engine knows."""
    return isinstance(name, str) and _known(name) is not None


def zone_name(name: str) -> str:
    """The spelling under which the zone is known."""
    return _known(name) or name


def _known(name: str) -> str | None:
    return _names().get(name.lower())


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {known.lower(): known for known in available_timezones() - _PLACEHOLDERS}


def is_iso_date(value: object, *, strict: bool = False) -> bool:
    """Whether class-validator takes `value` for an ISO 8601 date; strict also refuses days that do not exist."""
    if not isinstance(value, str):
        return False
    match = _ISO_SHAPE.fullmatch(value)
    if match is None:
        return False
    return not strict or _calendar_day(match) is not None


def parse_iso(value: str) -> int | None:
    """The instant that an ISO 8601 text names; without an offset it is UTC. None if there is no such instant."""
    match = _ISO_SHAPE.fullmatch(value)
    if match is None or " " in value:
        return None
    day = _calendar_day(match)
    if day is None:
        return None
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    fraction = (match["frac"] or "").ljust(_MS_DIGITS, "0")[:_MS_DIGITS]
    whole = ms_of(datetime(day.year, day.month, day.day, tzinfo=UTC))
    clock = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + int(fraction)
    return min(max(whole + clock - _offset_ms(match["zone"]), _EARLIEST_MS), _LATEST_MS)


def _calendar_day(match: re.Match[str]) -> date | None:
    try:
        return date(int(match["year"]), int(match["month"] or 1), int(match["day"] or 1))
    except ValueError:
        return None


def _offset_ms(text: str | None) -> int:
    if not text or text in "Zz":
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (-minutes if text[0] == "-" else minutes) * MINUTE_MS


def utc_offset_minutes(ms: int, name: str) -> int:
    """Minutes that the zone's wall clock is ahead of UTC at that instant."""
    offset = moment_of(ms).astimezone(zone(name)).utcoffset()
    return int(offset.total_seconds() // 60) if offset else 0


def start_of_local_day(ms: int, name: str) -> int:
    """Midnight of the local day in which `ms` falls."""
    local = moment_of(ms).astimezone(zone(name))
    return wall_clock(local.date(), 0, name)


def wall_clock(day: date, minutes: int, name: str) -> int:
    """The instant at which the zone's wall clock shows `minutes` after midnight of `day` (first of two, if two)."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall clock reading has no zone yet
    reading = midnight + timedelta(minutes=minutes)
    return ms_of(reading.replace(tzinfo=zone(name)).astimezone(UTC))
