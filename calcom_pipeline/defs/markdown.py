"""Tables and links for Dagster's UI. Markdown uses the page's width; the UI's own tables cut sentences short."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import dagster as dg

from calcom_pipeline.domain.cleaning import printable
from calcom_pipeline.domain.redaction import redacted

#: The name that `workspace.yaml`, pyproject.toml and `calcom-pipeline up` give the code location.
CODE_LOCATION = "calcom_pipeline"
#: Begins the line of links in a description, which is of use in the UI alone.
SEE = "Newest: "
_LONGEST_CELL = 600
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~])")


class Markup(str):
    """Text that is Markdown already; all else in a cell is shown as it is."""

    __slots__ = ()


def shown(text: object) -> Markup:
    """Any text as it is: names come from people, messages from outside, and neither may draw or link."""
    if isinstance(text, Markup):
        return text
    line = " ".join(printable(redacted(str(text), longest=_LONGEST_CELL)).split())
    return Markup(_MARKS.sub(r"\\\1", line))


def code(text: str) -> Markup:
    """A command or a setting, to be copied."""
    line = " ".join(printable(redacted(text, longest=_LONGEST_CELL)).split()).replace("|", r"\|")
    return Markup(f"`{line.replace('`', chr(39))}`")


def link(text: str, address: str | None) -> Markup:
    """A link; only its text where there is no address."""
    return Markup(f"[{shown(text)}]({address})") if address else shown(text)


def launchpad(text: str, job: str, config: Mapping[str, object]) -> Markup:
    """A link that opens a job's launchpad with its config filled in; nothing starts before somebody presses."""
    lines = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in config.items())
    filled = quote(lines, safe="")
    return link(text, f"/locations/{CODE_LOCATION}/jobs/{job}/playground/setup?config={filled}")


def newest(asset: dg.AssetKey, what: str) -> str:
    """The end of an asset's description: a link past its columns to `what` of its newest event."""
    return f"\n\n{SEE}[{what}](/assets/{'/'.join(asset.path)}?view=events)."


def rows(columns: Sequence[str], cells: Iterable[Sequence[object]]) -> str:
    """A table. A cell that is empty stays so."""
    lines = [_line([shown(name) for name in columns]), "|" + " --- |" * len(columns)]
    lines += [_line([shown("" if cell is None else cell) for cell in row]) for row in cells]
    return "\n".join(lines)


def table(columns: Sequence[str], cells: Iterable[Sequence[object]], *, more: int = 0) -> dg.MarkdownMetadataValue:
    """A table as metadata; `more` rows are left out and counted."""
    text = rows(columns, cells)
    return dg.MetadataValue.md(f"{text}\n\n... and {more} more." if more else text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
