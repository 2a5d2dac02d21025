"""What must never be read by the wrong eyes, taken out of text: API keys, bearers, mail addresses, telephone numbers.

Cal.com echoes request bodies and bearers in its errors, and puts an attendee's address into a query string.
"""

import re
from typing import Any, cast

REDACTED = "[redacted]"
_LONGEST = 300
# An address begins where a run of its characters does, or long texts without one would take seconds.
_SECRETS = re.compile(
    r"""(?ix)
    bearer\s+\S+
    | \bcal_[a-z0-9_]+
    | (?<! [^\s"'<>@=&?/,;:(){}\[\]] ) (?<! \w' ) [^\s"'<>@=&?/,;:(){}\[\]]+
      (?: (?<=\w) ' (?=\w) [^\s"'<>@=&?/,;:(){}\[\]]+ )* (?:@|%40) [^\s"'<>@=&?/,;:(){}\[\]]+
    | (?: \+ | %2b ) [1-9] (?: (?: [\s().-] | %20 ){0,3} \d ){6,14}
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
