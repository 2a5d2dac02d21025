"""Markdown that says the same to GitHub and to MkDocs."""

import re
from collections.abc import Iterable, Sequence

_NOTE = "<!-- Made from code by `make docs`; a test compares the two. Edit the code instead. -->"
#: Code marks, and names of settings, which the sentences of the code leave bare.
_CODE = re.compile(r"(`[^`]*`|\b(?:CALCOM|DATABASE|REDIS|DAGSTER)_[A-Z_*]*[A-Z*](?:=\w+)?)")


def page(title: str, introduction: str, *parts: str) -> str:
    """A whole page, with a newline at its end."""
    return "\n\n".join([_NOTE, f"# {title}", introduction, *parts]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown, see `code` and `prose`."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_on_one_line(cell) for cell in line)} |" for line in lines)


def code(text: str) -> str:
    """Text in the type of code. A bar, which would end a cell of a table, is written so that both readers take it."""
    if "|" in text or "`" in text:
        escaped = _escaped(text).replace("|", "&#124;").replace("`", "&#96;")
        return f"<code>{escaped}</code>"
    return f"`{text}`" if text else ""


def prose(text: str) -> str:
    """Sentences of the code: `code` in them stays, names of settings become it, nothing else of them is markup."""
    parts = _CODE.split(text)
    return "".join(
        code(part.strip("`")) if number % 2 else _plain(part)  # every second one is what the pattern caught
        for number, part in enumerate(parts)
    )


def _plain(text: str) -> str:
    return re.sub(r"([\\*\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", _escaped(text)).replace("|", "&#124;")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _on_one_line(cell: str) -> str:
    return " ".join(cell.split())
