"""What must never be read by the wrong eyes, taken out of text: API keys, bearers and mail addresses.

Cal.com echoes request bodies and bearers in its errors, and puts an attendee's address into a query string.
"""

import re
from typing import Any, cast

REDACTED = "[redacted]"
_LONGEST = 300
_SECRETS = re.compile(
    r"""(?ix)
    bearer\s+\S+
    | \bcal_[a-z0-9_]+
    | [^\s"'<>@=&?/,;:(){}\[\]]+ (?:@|%40) [^\s"'<>@=&?/,;:(){}\[\]]+
    """
)


def redacted(text: str, *, longest: int = _LONGEST) -> str:
    """The text without keys, bearers and addresses, cut to `longest` characters."""
    return _SECRETS.sub(REDACTED, text)[:longest]


def redacted_value(value: Any) -> Any:
    """The same for every string in a JSON-like value; other values stay as they are."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        return {name: redacted_value(member) for name, member in members.items()}
    if isinstance(value, list | tuple):
        return [redacted_value(member) for member in cast("list[Any]", value)]
    return value
