"""Cal.com's rate-limit headers: three per named limit, the name a suffix; the reset is in whole seconds from now.

Facts: fact sheet section 3, captures 09 and 18. Some answers carry none (a 404 of the router, an unknown key). What
stands in them was written by somebody else, a gateway perhaps: every number is bounded here before anybody counts with
it, and an instant (a date, or seconds or milliseconds since 1970, as some gateways write) becomes seconds from now.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from calcom_pipeline.app.limits import TOO_MANY, NamedLimit

_HEADER = re.compile(r"x-ratelimit-(limit|remaining|reset)-(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,16}(\.\d{1,16})?", re.ASCII)
_DEFAULT = "default"
# Limits of single endpoints (fact sheet 3): they are no budget of the key, and none of these is asked by us.
_OF_ONE_ENDPOINT = frozenset(
    {"booking_guests_add", "booking_location_update", "booking_attendees_add", "booking_attendees_remove"}
)
# The roomiest key that anybody speaks of has 800 requests per minute; a number past this counts as this.
_MOST_REQUESTS = 1_000_000
# A reset past this is no reset, whoever sent it. How much of it is waited out is the limiter's business.
_LONGEST_SECONDS = 86_400
# Seconds since 1970 have ten digits, milliseconds thirteen; no wait is as long as the smaller of them.
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e12
_RESETS = "x-ratelimit-reset"
_RETRY = "retry-after"


def read_limit_headers(headers: Mapping[str, str], *, now: datetime | None = None) -> NamedLimit | None:
    """What an answer says about its limit; None without a whole triple of numbers that make sense.

    A key with several limits is refused only when all of them are spent, so the roomiest one counts; `Default`, where
    it is named, is the one that the key's ordinary requests are counted by. `now` (UTC) is for tests.
    """
    found: dict[str, dict[str, int]] = {}
    for name, value in headers.items():
        if (match := _HEADER.fullmatch(name)) and match[2].lower() not in _OF_ONE_ENDPOINT:
            part = match[1].lower()
            number = _seconds(value, _answered_at(headers, now)) if part == "reset" else _requests(value)
            if number is not None:
                found.setdefault(match[2].lower(), {})[part] = number
    whole = {
        name: NamedLimit(parts["limit"], min(parts["remaining"], parts["limit"]), parts["reset"])
        for name, parts in found.items()
        if parts.keys() == {"limit", "remaining", "reset"} and parts["limit"] > 0
    }
    if _DEFAULT in whole:
        return whole[_DEFAULT]
    return max(whole.values(), key=lambda one: one.left, default=None)


def limit_of(headers: Mapping[str, str], *, status: int | None) -> NamedLimit | None:
    """What the limiter learns from an answer: its limit; of a 429 nothing but how long it blocks."""
    if status != TOO_MANY:
        return read_limit_headers(headers)
    seconds = seconds_blocked(headers)
    return None if seconds is None else NamedLimit(0, 0, seconds)


def seconds_blocked(headers: Mapping[str, str], *, now: datetime | None = None) -> int | None:
    """How long a 429 says to wait: its limit's reset, whichever named one is last; a proxy's `Retry-After`.

    None where nothing does. 0 where it says that waiting is not needed; whoever waits decides about that, and about the
    longest wait, himself. `now` (UTC) is for tests.
    """
    named_limit = read_limit_headers(headers, now=now)
    if named_limit is not None:
        return named_limit.reset_seconds
    answered_at = _answered_at(headers, now)
    named = [value for name, value in headers.items() if name.lower().startswith(_RESETS) or name.lower() == _RETRY]
    return max((s for s in (_seconds(value, answered_at) for value in named) if s is not None), default=None)


def _requests(value: str) -> int | None:
    """A count of requests; None for what is none."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Before it is parsed: Python refuses texts of thousands of digits.
        return _MOST_REQUESTS if len(text) > len(str(_MOST_REQUESTS)) else min(int(text), _MOST_REQUESTS)
    return None


def _seconds(value: str, answered_at: datetime) -> int | None:
    """Whole seconds from now, rounded up; None for no number, and for an instant that is over or no instant at all."""
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) > len(str(int(_EPOCH_MILLISECONDS))):
        return _LONGEST_SECONDS
    if not _NUMBER.fullmatch(text):
        return _until(text, answered_at)
    number = float(text)
    if number < _EPOCH_SECONDS:
        return min(math.ceil(number), _LONGEST_SECONDS)
    seconds = number / 1000 if number >= _EPOCH_MILLISECONDS else number
    return _bounded(seconds - answered_at.timestamp())


def _until(text: str, answered_at: datetime) -> int | None:
    date = _date(text)
    return None if date is None else _bounded((date - answered_at) / timedelta(seconds=1))


def _bounded(seconds: float) -> int | None:
    return min(math.ceil(seconds), _LONGEST_SECONDS) if seconds > 0 else None


def _answered_at(headers: Mapping[str, str], now: datetime | None) -> datetime:
    """When the answer was made, by the clock that also wrote its other dates; ours where it does not say."""
    dates = [value for name, value in headers.items() if name.lower() == "date"]
    return next(filter(None, map(_date, dates)), None) or now or datetime.now(UTC)


def _date(text: str) -> datetime | None:
    """A date of HTTP; None for anything else, also for one outside the calendar."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
