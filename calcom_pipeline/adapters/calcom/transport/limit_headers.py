"""Cal.com's rate-limit headers: three per named limit, the name a suffix; the reset is in whole seconds from now.

Facts: fact sheet section 3, captures 09 and 18. Some answers carry none (a 404 of the router, an unknown key).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEADER = re.compile(r"x-ratelimit-(limit|remaining|reset)-(.+)", re.IGNORECASE)
_DEFAULT = "default"
# A reset past this is no reset: garbage in a header must not stop us for ever.
_LONGEST_RESET_SECONDS = 86_400
# A 429 that lasts longer names no seconds from now: some gateways write the second since 1970 in which it ends.
_LONGEST_BLOCK_SECONDS = 3_600
_RESETS = "x-ratelimit-reset"
_RETRY = "retry-after"


@dataclass(frozen=True, slots=True)
class Headers:
    """One named limit: requests per window, requests left, whole seconds until the window or the block ends."""

    limit: int
    left: int
    reset_seconds: int


def read_limit_headers(headers: Mapping[str, str]) -> Headers | None:
    """What an answer says about its limit; None without a whole triple of numbers.

    A key with several limits is refused only when all of them are spent, so the roomiest one counts; `Default`, where
    it is named, is the one that the key's ordinary requests are counted by.
    """
    found: dict[str, dict[str, int]] = {}
    for name, value in headers.items():
        if (match := _HEADER.fullmatch(name)) and value.isascii() and value.isdigit():
            found.setdefault(match[2].lower(), {})[match[1].lower()] = int(value)
    whole = {
        name: Headers(parts["limit"], parts["remaining"], min(parts["reset"], _LONGEST_RESET_SECONDS))
        for name, parts in found.items()
        if parts.keys() == {"limit", "remaining", "reset"}
    }
    if _DEFAULT in whole:
        return whole[_DEFAULT]
    return max(whole.values(), key=lambda one: one.left, default=None)


def seconds_blocked(headers: Mapping[str, str]) -> int | None:
    """How long a 429 says to wait: its limit's reset, whichever named one is last; a proxy's `Retry-After`.

    None where nothing does, or only for longer than is plausible.
    """
    told = read_limit_headers(headers)
    if told is not None and told.reset_seconds <= _LONGEST_BLOCK_SECONDS:
        return told.reset_seconds
    named = [value for name, value in headers.items() if name.lower().startswith(_RESETS) or name.lower() == _RETRY]
    seconds = [int(value) for value in named if value.isascii() and value.isdigit()]
    return max((s for s in seconds if s <= _LONGEST_BLOCK_SECONDS), default=None)
