"""Text from outside made fit for a wire or a terminal: no control characters, no half characters, no surprises."""

import re
import unicodedata

# What a terminal would obey: from ESC, or the one character that stands for ESC and the next, to the end of its order.
_TERMINAL_ORDER = re.compile(
    r"""(?x)
    (?: \x1b\[ | \x9b ) [0-?]* [ -/]* [@-~]
    | (?: \x1b[\]PX^_] | [\x9d\x90\x98\x9e\x9f] ) [^\x07\x1b\x9c]* (?: \x07 | \x1b\\ | \x9c )?
    | \x1b [ -/]* [0-~]?
    """
)
# They turn the order of what is shown: "gpj.exe" looks like "exe.jpg" after one.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = "\n\r\x0b\x0c\x85\u2028\u2029"


def one_line(text: str) -> str:
    """One line: line breaks and tabs become blanks, control characters go, so does white space around it."""
    return "".join(_kept(c, " ") for c in text).strip()


def many_lines(text: str) -> str:
    """Unix line ends and tabs are kept, other control characters go, so does white space around it."""
    return "".join(_kept(c, c) for c in text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def printable(text: str) -> str:
    """What a terminal shows and does not obey. Lines, tabs and white space around it are kept; an order goes whole."""
    if text.isprintable():
        return text
    return "".join(c for c in _TERMINAL_ORDER.sub("", text) if c in "\n\t" or not _is_order(c))


def _is_order(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in ("Cc", "Cs")


def _kept(character: str, blank: str) -> str:
    if character in ("\n", "\t"):
        return blank
    if character in _LINE_BREAKS:
        return " "
    # Cc: control; Cs: half a surrogate pair, which no UTF-8 can hold.
    return "" if unicodedata.category(character) in ("Cc", "Cs") else character
