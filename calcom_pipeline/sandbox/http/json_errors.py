"""What V8's `JSON.parse` says about a text that is no JSON; Cal.com hands its sentence on.

Facts: recording `07q` and a comparison with the real server (a body of `{`). Guess: the other sentences are V8's
templates as Node 20 has them; no recording shows them.
"""

from typing import Final

_SPACE: Final = " \t\r\n"
_DIGITS: Final = "0123456789"
_HEX: Final = "0123456789abcdefABCDEF"
_CONTEXT: Final = 10  # characters that V8 quotes before and after the place
_END: Final = "Unexpected end of JSON input"
_LITERALS: Final = {"t": "true", "f": "false", "n": "null"}
_UNICODE_DIGITS: Final = 4
_LAST_CONTROL: Final = "\x1f"


class _Complaint(Exception):  # noqa: N818 - carries the sentence out of the scan
    """The first thing that is wrong."""


def complaint(text: str) -> str | None:
    """The sentence about the first thing wrong with a text; None if it is JSON."""
    try:
        _Scan(text).run()
    except _Complaint as found:
        return str(found)
    return None


def unexpected_token(text: str, position: int) -> str:
    """The sentence about a character that cannot stand where it does, with what stands around it."""
    if position >= len(text):
        return _END
    beginning = f"Unexpected token '{text[position]}', "
    if len(text) <= 2 * _CONTEXT:
        return f'{beginning}"{text}" is not valid JSON'
    part = text[max(position - _CONTEXT, 0) : position + _CONTEXT]
    before = "..." if position >= _CONTEXT else ""
    after = "..." if position < len(text) - _CONTEXT else ""
    return f'{beginning}{before}"{part}"{after} is not valid JSON'


class _Scan:
    """One pass over a text. `_open` holds the brackets around the place, `_wanted` what may come next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[str] = []
        self._wanted = "value"
        self._steps = {
            "value": self._value,
            "first name": self._first_name,
            "name": self._name,
            "colon": self._colon,
            "more": self._more,
        }

    def run(self) -> None:
        """Raises _Complaint at the first mistake."""
        while self._wanted:
            self._skip_space()
            self._steps[self._wanted]()

    # -- what may stand at a place

    def _value(self) -> None:
        char = self._char()
        self._wanted = "more"
        if char == "{":
            self._enter(char, "first name")
        elif char == "[":
            self._enter(char, "value")
            self._skip_space()
            if self._char() == "]":
                self._leave()
        elif char == '"':
            self._string()
        elif char and char in "-" + _DIGITS:
            self._number()
        elif char in _LITERALS:
            self._literal(_LITERALS[char])
        else:
            self._unexpected()

    def _first_name(self) -> None:
        if self._char() == "}":
            self._leave()
        else:
            self._name("Expected property name or '}'")

    def _name(self, otherwise: str = "Expected double-quoted property name") -> None:
        if self._char() != '"':
            self._fail(otherwise)
        self._string()
        self._wanted = "colon"

    def _colon(self) -> None:
        if self._char() != ":":
            self._fail("Expected ':' after property name")
        self._at += 1
        self._wanted = "value"

    def _more(self) -> None:
        char = self._char()
        if not self._open:
            if char:
                raise _Complaint(f"Unexpected non-whitespace character after JSON at position {self._at}")
            self._wanted = ""
            return
        in_object = self._open[-1] == "{"
        if char == ",":
            self._at += 1
            self._wanted = "name" if in_object else "value"
        elif char == ("}" if in_object else "]"):
            self._leave()
        else:
            self._fail(
                "Expected ',' or '}' after property value" if in_object else "Expected ',' or ']' after array element"
            )

    # -- tokens

    def _string(self) -> None:
        self._at += 1
        while self._char() != '"':
            char = self._char()
            if not char:
                self._fail("Unterminated string")
            if char <= _LAST_CONTROL:
                self._fail("Bad control character in string literal")
            self._at += 1
            if char == "\\":
                self._escape()
        self._at += 1

    def _escape(self) -> None:
        char = self._char()
        if not char or char not in '"\\/bfnrtu':
            self._fail("Bad escaped character")
        self._at += 1
        for _ in range(_UNICODE_DIGITS if char == "u" else 0):
            if not self._char() or self._char() not in _HEX:
                self._fail("Bad Unicode escape")
            self._at += 1

    def _number(self) -> None:
        if self._char() == "-":
            self._at += 1
            self._demand_digit("No number after minus sign")
        if self._char() == "0":
            self._at += 1
            if self._is_digit():
                self._fail("Unexpected number")
        self._digits()
        if self._char() == ".":
            self._at += 1
            self._demand_digit("Unterminated fractional number")
            self._digits()
        if self._char() in ("e", "E"):
            self._at += 1
            if self._char() in ("+", "-"):
                self._at += 1
            self._demand_digit("Exponent part is missing a number")
            self._digits()

    def _literal(self, word: str) -> None:
        for letter in word:
            if self._char() != letter:
                self._unexpected()
            self._at += 1

    # -- the place

    def _char(self) -> str:
        return self._text[self._at : self._at + 1]

    def _is_digit(self) -> bool:
        return bool(self._char()) and self._char() in _DIGITS

    def _digits(self) -> None:
        while self._is_digit():
            self._at += 1

    def _demand_digit(self, otherwise: str) -> None:
        if not self._is_digit():
            self._fail(otherwise)

    def _skip_space(self) -> None:
        while self._char() and self._char() in _SPACE:
            self._at += 1

    def _enter(self, bracket: str, wanted: str) -> None:
        self._open.append(bracket)
        self._at += 1
        self._wanted = wanted

    def _leave(self) -> None:
        self._open.pop()
        self._at += 1
        self._wanted = "more"

    def _fail(self, what: str) -> None:
        raise _Complaint(f"{what} in JSON at position {self._at}")

    def _unexpected(self) -> None:
        raise _Complaint(unexpected_token(self._text, self._at))
