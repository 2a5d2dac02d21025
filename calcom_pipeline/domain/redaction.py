"""What must never be read by the wrong eyes, taken out of text: secrets, bearers and mail addresses.

Cal.com echoes request bodies and bearers in its errors, and puts an attendee's address into a query string. The secrets
that this process is configured with are known by value, whatever they look like and however they are encoded; those who
read or use one tell it here (`know_secrets`).
"""

import base64
import html
import json
import re
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

REDACTED = "[redacted]"
_LONGEST = 300
_SECRETS = re.compile(
    r"""(?ix)
    bearer\s+\S+
    | \bcal_[a-z0-9_]+
    | [^\s"'<>@=&?/,;:(){}\[\]]+ (?:@|%40) [^\s"'<>@=&?/,;:(){}\[\]]+
    """
)
# Shorter ones are found in every other word; who uses them has no secret to speak of.
_SHORTEST_SECRET = 4
# Up to here only whole words count: "calcom" may be a password, and it is in the name of every module.
_WHOLE_WORDS = 8
_BASE64 = r"[A-Za-z0-9+/_\-]*{core}[A-Za-z0-9+/_\-]*=*"
_PERCENT = re.compile(r"%[0-9A-F]{2}")
# Names of passwords in the query of an address (libpq, redis-py).
_SECRET_PARAMETERS = frozenset({"password", "passwd", "sslpassword", "ssl_password", "token", "api_key", "key"})


class _Known:
    """The secrets of this process and the pattern that finds them."""

    def __init__(self) -> None:
        self.values: frozenset[str] = frozenset()
        self.pattern: re.Pattern[str] | None = None


_known = _Known()


def know_secrets(secrets: Iterable[str | None]) -> None:
    """From now on these are taken out of everything: as they are, quoted for a URL or JSON, in hex, in base64.

    In base64 also as a part of something longer, such as the header of Basic authentication.
    """
    new = {secret for secret in secrets if secret and len(secret) >= _SHORTEST_SECRET} - _known.values
    if new:
        _known.values |= new
        forms = {form for secret in _known.values for form in _forms(secret)}
        _known.pattern = re.compile("|".join(sorted(forms, key=len, reverse=True)))


def forget_secrets() -> None:
    """Know none any more; for tests, which take any word for a secret."""
    _known.values, _known.pattern = frozenset(), None


def secrets_of_url(url: str | None) -> list[str]:
    """The passwords in an address, as written and as meant.

    A user name is none, except where it stands without a password; nor is a password that repeats the user's name, as
    in many a test: it stands beside itself, and the word is needed elsewhere.
    """
    if not url:
        return []
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query)
    except ValueError:
        return []
    userinfo = parts.netloc.rpartition("@")[0]
    user, colon, password = userinfo.partition(":")
    # A token stands in the place of the user: https://token@proxy.
    alone = user if userinfo and not colon and parts.scheme.startswith("http") else ""
    if password == user:
        password = ""
    found = [password, alone, *(value for name, value in query if name.lower() in _SECRET_PARAMETERS)]
    return [form for one in found if one for form in {one, unquote(one), unquote_plus(one)}]


def without_secrets(text: str) -> str:
    """The text without the secrets that this process knows; all else stays."""
    return _known.pattern.sub(REDACTED, text) if _known.pattern else text


def redacted(text: str, *, longest: int = _LONGEST) -> str:
    """The text without known secrets, keys, bearers and addresses, cut to `longest` characters."""
    return _SECRETS.sub(REDACTED, without_secrets(text))[:longest]


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


def _forms(secret: str) -> Iterable[str]:
    """Patterns of all ways in which it may be written."""
    data = secret.encode()
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    plain = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    plain |= {repr(secret)[1:-1], html.escape(secret)}
    for found in {re.escape(form) for form in plain} | {_PERCENT.sub(_in_any_case, re.escape(form)) for form in quoted}:
        yield rf"(?<!\w){found}(?!\w)" if len(secret) < _WHOLE_WORDS else found
    yield f"(?i:{data.hex()})"
    for core in _base64_cores(data):
        yield _BASE64.format(core=core)


def _in_any_case(match: re.Match[str]) -> str:
    """%2F is written as %2f, too."""
    return "%" + "".join(f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in match[0][1:])


def _base64_cores(data: bytes) -> Iterable[str]:
    """What all base64 texts have in common that hold these bytes, for each of the three places they may begin at."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + data).decode().rstrip("=")
            # The first and the last character may hold bits of what stands beside.
            core = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
            if len(core) >= _SHORTEST_SECRET:
                yield re.escape(core)
