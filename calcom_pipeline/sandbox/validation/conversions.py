"""What class-transformer does to values before they are validated, in JavaScript's way."""

import math
import re
from typing import Any

from calcom_pipeline.sandbox.core.json_types import is_list

_LEADING_INT = re.compile(r"\s*([+-]?\d+)")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
NAN = math.nan
_LARGEST_EXACT = 2**53  # JavaScript's numbers lose digits beyond this
_MOST_DIGITS = 300  # beyond this they are infinite


def parse_int(value: Any) -> Any:
    """`parseInt`: leading digits count, anything else is NaN."""
    match = _LEADING_INT.match(str(value))
    if match is None:
        return NAN
    number = int(match[1][:_MOST_DIGITS])
    return number if abs(number) <= _LARGEST_EXACT else float(number)


def parse_int_if_given(value: Any) -> Any:
    """`value && parseInt(value)`: an empty value stays what it is."""
    if isinstance(value, list):
        value = ",".join(str(member) for member in is_list(value) or [])
    return parse_int(value) if value else value


def to_number(value: Any) -> Any:
    """`Number(value)`, as `@Type(() => Number)` does it."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)) or value is None:
        return value
    text = str(value).strip()
    if not text:
        return 0
    if not _NUMBER.fullmatch(text):
        return NAN
    number = float(text)
    return int(number) if number.is_integer() and abs(number) <= _LARGEST_EXACT else number


def split_list(value: Any) -> Any:
    """A comma list becomes a list of trimmed texts."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def split_ints(value: Any) -> Any:
    """A comma list becomes a list of numbers; a repeated parameter is one already."""
    if isinstance(value, str):
        return [parse_int(part) for part in value.split(",")]
    members = is_list(value)
    return value if members is None else [to_number(member) for member in members]


def lower_if_given(value: Any) -> Any:
    """`value.toLowerCase()`; an empty value counts as not given."""
    if not value:
        return None
    return value.lower() if isinstance(value, str) else value


def plus_for_space(value: Any) -> Any:
    """White space inside an address becomes `+`: clients forget to escape plus signs."""
    return re.sub(r"\s+", "+", value.strip()) if isinstance(value, str) else value
