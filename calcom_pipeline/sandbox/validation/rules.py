"""Single rules with class-validator's names and texts. A rule says whether a value passes, nothing else."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from calcom_pipeline.sandbox.core.json_types import Json, is_list, is_object
from calcom_pipeline.sandbox.core.times import is_iso_date, is_zone

Check = Callable[[Any], bool]
_METADATA_KEYS = 50
_METADATA_KEY_LENGTH = 40
_METADATA_VALUE_LENGTH = 500
_URL = re.compile(
    r"(?:(?:https?|ftp)://)?(?:[^\s/@]+@)?"
    r"(?:(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z]|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\])\.?"
    r"(?::\d{1,5})?(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[^\s@\"<>(),;:\\\[\]]+@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)
_PHONE = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One constraint. `text` may name the property as `{property}`; `each` applies it to a list's members."""

    name: str
    text: str
    check: Check
    each: bool = False
    own_text: bool = False

    def passes(self, value: Any) -> bool:
        """Whether the value, or every member of the list, satisfies the constraint.

        What is no list is looked at itself: `"BOOKING_CREATED"` for triggers breaks `isArray` alone.
        """
        members = is_list(value) if self.each else None
        return self.check(value) if members is None else all(self.check(member) for member in members)

    def message(self, property_name: str) -> str:
        """The sentence that the answer shows."""
        text = self.text.replace("{property}", property_name)
        return f"each value in {text}" if self.each and not self.own_text else text


def is_number(value: Any) -> bool:
    """A JSON number; True and False are none, and neither is what parseInt made of letters (NaN)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - NaN


def is_whole(value: Any) -> bool:
    """A JSON number without a fraction."""
    return is_number(value) and float(value).is_integer()


def is_url(value: Any) -> bool:
    """A URL with a domain name or an address; the scheme may be missing."""
    return isinstance(value, str) and bool(_URL.fullmatch(value))


def is_email(value: Any) -> bool:
    """A plain e-mail address."""
    return isinstance(value, str) and bool(_EMAIL.fullmatch(value))


def is_phone(value: Any) -> bool:
    """A phone number in international format."""
    return isinstance(value, str) and bool(_PHONE.fullmatch(re.sub(r"[\s().-]", "", value)))


def _is_small_metadata(value: Any) -> bool:
    """Few short keys, with texts, numbers or truth values; what is nested is none (fact sheet 10 10)."""
    found = is_object(value)
    if found is None or len(found) > _METADATA_KEYS:
        return False
    return all(len(key) <= _METADATA_KEY_LENGTH and _is_metadata_value(item) for key, item in found.items())


def _is_metadata_value(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= _METADATA_VALUE_LENGTH)


INT = Rule("isInt", "{property} must be an integer number", is_whole)
NUMBER = Rule("isNumber", "{property} must be a number conforming to the specified constraints", is_number)
EACH_NUMBER = Rule(NUMBER.name, NUMBER.text, is_number, each=True)
EACH_INT = Rule(INT.name, INT.text, is_whole, each=True)
STRING = Rule("isString", "{property} must be a string", lambda value: isinstance(value, str))
EACH_STRING = Rule(STRING.name, STRING.text, STRING.check, each=True)
BOOLEAN = Rule("isBoolean", "{property} must be a boolean value", lambda value: isinstance(value, bool))
ARRAY = Rule("isArray", "{property} must be an array", lambda value: isinstance(value, list))
OBJECT = Rule("isObject", "{property} must be an object", lambda value: isinstance(value, dict))
DEFINED = Rule("isDefined", "{property} should not be null or undefined", lambda value: value is not None)
NOT_EMPTY = Rule("arrayNotEmpty", "{property} should not be empty", lambda value: bool(is_list(value)))
URL = Rule("isUrl", "{property} must be a URL address", is_url)
TIME_ZONE = Rule("isTimeZone", "{property} must be a valid IANA time-zone", is_zone)
DATE_STRING = Rule("isDateString", "{property} must be a valid ISO 8601 date string", is_iso_date)
STRICT_DATE_STRING = Rule(DATE_STRING.name, DATE_STRING.text, lambda value: is_iso_date(value, strict=True))
METADATA = Rule(
    "ValidateMetadata",
    "Metadata must have at most 50 keys, each key up to 40 characters, and string values up to 500 characters.",
    _is_small_metadata,
    own_text=True,
)


def _is_unique(value: Any) -> bool:
    members = is_list(value)
    return members is not None and len({repr(member) for member in members}) == len(members)


UNIQUE = Rule("arrayUnique", "All {property}'s elements must be unique", _is_unique)


def at_least(lowest: int, *, each: bool = False) -> Rule:
    """`@Min`."""
    text = f"{{property}} must not be less than {lowest}"
    return Rule("min", text, lambda value: is_number(value) and value >= lowest, each=each)


def at_most(highest: int) -> Rule:
    """`@Max`."""
    text = f"{{property}} must not be greater than {highest}"
    return Rule("max", text, lambda value: is_number(value) and value <= highest)


def one_of(values: Collection[str], *, each: bool = False, text: str | None = None) -> Rule:
    """`@IsEnum`; `text` replaces the whole message."""
    allowed = ", ".join(values)
    message = text or f"{{property}} must be one of the following values: {allowed}"
    return Rule(
        "isEnum", message, lambda value: isinstance(value, str) and value in values, each=each, own_text=bool(text)
    )


def is_in(values: Sequence[str]) -> Rule:
    """`@IsIn`."""
    text = f"{{property}} must be one of the following values: {', '.join(values)}"
    return Rule("isIn", text, lambda value: isinstance(value, str) and value in values)


def min_size(count: int, text: str) -> Rule:
    """`@ArrayMinSize` with its own text."""
    return Rule("arrayMinSize", text, lambda value: len(is_list(value) or []) >= count, own_text=True)


def with_text(rule: Rule, text: str) -> Rule:
    """The same rule under another text."""
    return Rule(rule.name, text, rule.check, each=rule.each, own_text=True)


def object_rule(name: str, text: str, check: Callable[[Json], bool]) -> Rule:
    """A rule of our own over an object; anything that is no object fails it."""

    def passes(value: Any) -> bool:
        found = is_object(value)
        return found is not None and check(found)

    return Rule(name, text, passes, own_text=True)
