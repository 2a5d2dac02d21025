"""One form of a mail address and of a telephone number, however it is written: what is compared and what is hashed.

Nothing here judges whether an address exists; what cannot be understood stays as it is, in lower case.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import idna
from email_validator import EmailNotValidError, validate_email

#: Cal.com gives who has no address this one, the digits of the number before it.
_NUMBER_S_DOMAIN = "@sms.cal.com"
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15  # E.164, with the country code
_BETWEEN_DIGITS = r"(?:\(0\)|[\s()/.-]){0,4}"
_NUMBER = re.compile(rf"(?<!\w)\+?\(?\d(?:{_BETWEEN_DIGITS}\d){{{_FEWEST_DIGITS - 1},}}")
_WHOLE_NUMBER = re.compile(rf"\s*\+?\(?\d(?:{_BETWEEN_DIGITS}\d)*\s*")
# Names that only a network of one's own knows, where Cal.com may run as well; the library refuses them.
_OWN_NETWORK = re.compile(r"\.(?:local|test)\Z", re.IGNORECASE)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT")


def is_address(text: str) -> bool:
    """Whether somebody may have this mail address, by its form alone: nothing is asked for. Letters of any script."""
    try:
        validate_email(_OWN_NETWORK.sub(".example", text), check_deliverability=False, strict=True)
    except EmailNotValidError:
        return False
    return True


def canonical(text: str) -> str:
    """The one form of an address or a number. Case, blanks around it and the spelling of its domain do not matter."""
    lowered = text.strip().lower()
    if "@" not in lowered:
        return canonical_number(lowered) or lowered
    if lowered.endswith(_NUMBER_S_DOMAIN):
        return canonical_number(lowered.removesuffix(_NUMBER_S_DOMAIN)) or lowered
    return lowered if lowered.isascii() else _canonical_address(lowered)


def canonical_number(text: str) -> str | None:
    """A telephone number as `+` and its digits; None if it is none. One without its country code stays without it."""
    if not _WHOLE_NUMBER.fullmatch(text):
        return None
    return _number_of(re.sub(r"\D", "", text.replace("(0)", "")))


def forms_of(text: str) -> frozenset[str]:
    """The one form, and those that were hashed before there was one, in lower case.

    These have the domain in either spelling, and letters with marks in one piece or in two.
    """
    lowered, one = text.strip().lower(), canonical(text)
    forms = {lowered, one}
    if lowered.isascii() and "@xn--" not in lowered and ".xn--" not in lowered:
        return frozenset(forms)
    local, at, domain = lowered.rpartition("@")
    if at:
        ascii_domain = _ascii_domain(domain)
        domains = (ascii_domain, _readable_domain(ascii_domain))
        forms |= {unicodedata.normalize(form, f"{local}@{d}") for d in domains for form in ("NFC", "NFD")}
    return frozenset(forms)


def numbers_in(texts: Iterable[str]) -> set[str]:
    """Everything in texts that may be a telephone number with its country code, in the one form."""
    found: set[str] = set()
    for text in texts:
        if _INSTANT.match(text):
            continue
        for match in _NUMBER.finditer(text):
            groups = re.findall(r"\d+", match[0].replace("(0)", " "))
            for first in range(len(groups)):
                digits = ""
                for group in groups[first:]:
                    digits += group
                    if len(digits) > _MOST_DIGITS + 2:  # two zeros may stand for the plus
                        break
                    if number := _number_of(digits):
                        found.add(number)
    return found


def _number_of(digits: str) -> str | None:
    digits = digits.removeprefix("00")
    return f"+{digits}" if _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS else None


def _canonical_address(lowered: str) -> str:
    local, _, domain = lowered.rpartition("@")
    return f"{unicodedata.normalize('NFC', local)}@{_ascii_domain(domain)}"


@lru_cache(maxsize=1024)
def _ascii_domain(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:  # idna raises its kinds of it
        return unicodedata.normalize("NFC", domain)


@lru_cache(maxsize=1024)
def _readable_domain(domain: str) -> str:
    try:
        return idna.decode(domain)
    except UnicodeError:  # idna raises its kinds of it
        return domain
