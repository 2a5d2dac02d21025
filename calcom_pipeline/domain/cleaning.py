"""Text from outside made fit for a wire: no control characters, no half characters, no surprises around it."""

import unicodedata

_LINE_BREAKS = "\n\r\x0b\x0c\x85\u2028\u2029"


def one_line(text: str) -> str:
    """One line: line breaks and tabs become blanks, control characters go, so does white space around it."""
    return "".join(_kept(c, " ") for c in text).strip()


def many_lines(text: str) -> str:
    """Unix line ends and tabs are kept, other control characters go, so does white space around it."""
    return "".join(_kept(c, c) for c in text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _kept(character: str, blank: str) -> str:
    if character in ("\n", "\t"):
        return blank
    if character in _LINE_BREAKS:
        return " "
    # Cc: control; Cs: half a surrogate pair, which no UTF-8 can hold.
    return "" if unicodedata.category(character) in ("Cc", "Cs") else character
