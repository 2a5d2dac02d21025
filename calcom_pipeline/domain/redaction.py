"""What must never be read by the wrong eyes, taken out of text: secrets, bearers, mail addresses, telephone numbers.

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
# Shorter ones are found in every other word; who uses them has no secret to speak of.
_SHORTEST_SECRET = 4
# Up to here only whole words count: "calcom" may be a password, and it is in the name of every module.
_WHOLE_WORDS = 8
# What is shown of a text is cut; behind the cut only so much is read that a secret on the edge is still seen whole.
_READ_AHEAD = 2_000
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_PERCENT = re.compile(r"%[0-9A-F]{2}")
# Names of passwords in the query of an address (libpq, redis-py).
_SECRET_PARAMETERS = frozenset({"password", "passwd", "sslpassword", "ssl_password", "token", "api_key", "key"})


class _KnownSecret:
    """The secrets of this process and all ways to write them. Looking for plain text is quick, also in long texts."""

    def __init__(self) -> None:
        self.values: frozenset[str] = frozenset()
        self.texts: list[str] = []
        self.patterns: list[tuple[str, re.Pattern[str]]] = []
        self.cores: list[str] = []

    def learn(self, secrets: frozenset[str]) -> None:
        """Know these from now on."""
        self.values |= secrets
        long = [secret for secret in self.values if len(secret) >= _WHOLE_WORDS]
        self.texts = sorted({form for secret in long for form in _plain_forms(secret)}, key=len, reverse=True)
        self.patterns = [pair for secret in self.values for pair in _patterns(secret)]
        self.cores = sorted({core for secret in self.values for core in _base64_cores(secret)}, key=len, reverse=True)

    def taken_out_of(self, text: str) -> str:
        """The text without them."""
        for form in self.texts:
            if form in text:
                text = text.replace(form, REDACTED)
        for hint, pattern in self.patterns:
            if hint in text:
                text = pattern.sub(REDACTED, text)
        for core in self.cores:
            if core in text:
                text = _without_base64(text, core)
        return text


_known = _KnownSecret()


def know_secrets(secrets: Iterable[str | None]) -> None:
    """From now on these are taken out of everything: as they are, quoted for a URL or JSON, in hex, in base64.

    In base64 also as a part of something longer, such as the header of Basic authentication.
    """
    new = frozenset(secret for secret in secrets if secret and len(secret) >= _SHORTEST_SECRET) - _known.values
    if new:
        _known.learn(new)


def forget_secrets() -> None:
    """Know none any more; for tests, which take any word for a secret."""
    _known.values = frozenset()
    _known.learn(frozenset())


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
    return _known.taken_out_of(text) if _known.values else text


def redacted(text: str, *, longest: int = _LONGEST) -> str:
    """The text without known secrets, keys, bearers and addresses, cut to `longest` characters."""
    text = without_secrets(text)
    if len(text) > longest + _READ_AHEAD:
        text = text[: longest + _READ_AHEAD]
        text = text[: text.rfind(" ")] if " " in text else text  # no half of an address
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


def _plain_forms(secret: str) -> set[str]:
    """The ways to write it that are always the same."""
    plain = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return plain | {repr(secret)[1:-1], html.escape(secret)} | _quoted_forms(secret)


def _quoted_forms(secret: str) -> set[str]:
    return {quote(secret), quote(secret, safe=""), quote_plus(secret)}


def _patterns(secret: str) -> Iterable[tuple[str, re.Pattern[str]]]:
    """The ways that are not, each with a text without which it need not be looked for."""
    if len(secret) < _WHOLE_WORDS:
        for form in _plain_forms(secret):
            yield form, re.compile(rf"(?<!\w){re.escape(form)}(?!\w)")
    for form in _quoted_forms(secret):
        if "%" in form:
            yield "%", re.compile(_PERCENT.sub(_in_any_case, re.escape(form)))
    digits = secret.encode().hex()
    yield digits[0], re.compile(digits, re.IGNORECASE)
    yield digits[0].upper(), re.compile(digits, re.IGNORECASE)


def _in_any_case(match: re.Match[str]) -> str:
    """%2F is written as %2f, too."""
    return "%" + "".join(f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in match[0][1:])


def _base64_cores(secret: str) -> Iterable[str]:
    """What all base64 texts have in common that hold it, for each of the three places at which it may begin."""
    data = secret.encode()
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + data).decode().rstrip("=")
            # The first and the last character may hold bits of what stands beside.
            core = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
            if len(core) >= _SHORTEST_SECRET:
                yield core


def _without_base64(text: str, core: str) -> str:
    """The whole word of base64 around each such place is taken out: it holds the rest of the secret."""
    parts: list[str] = []
    done = 0
    while (found := text.find(core, done)) >= 0:
        first, last = found, found + len(core)
        while first > done and text[first - 1] in _BASE64:
            first -= 1
        while last < len(text) and text[last] in _BASE64:
            last += 1
        parts += [text[done:first], REDACTED]
        done = last
    return "".join([*parts, text[done:]])
