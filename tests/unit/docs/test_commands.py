"""Every command line of the documents is one that is there, with options that are there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from calcom_pipeline.cli import cli

ROOT = Path(__file__).parents[3]
#: But for what is made from the command line itself, and says how a command is called in general.
PAGES = (
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference"),
)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_CALLED = re.compile(r"calcom-pipeline(?= |$)[^\n`]*")
#: Where a command ends and the shell, or the explanation beside it, goes on.
_ENDS = re.compile(r"\s+#|\s+\(|\s{2,}|[|;&>)`]|\s<")
#: In what a command prints, a sentence may be about it.
_SAID_OF_ITSELF = ("is", "ends", "exits")


def command_lines() -> Iterator[tuple[str, str]]:
    """Page and line, of fenced blocks and of code within sentences."""
    for page in PAGES:
        text, name = page.read_text(), str(page.relative_to(ROOT))
        fenced = "\n".join(_FENCED.findall(text)).replace("\\\n", " ")
        inline = "\n".join(" ".join(code.split()) for code in _INLINE.findall(_FENCED.sub("", text)))
        for line in f"{fenced}\n{inline}".splitlines():
            yield from ((name, _ENDS.split(called)[0].strip()) for called in _CALLED.findall(line))


LINES = sorted(set(command_lines()))


def wrong_with(line: str) -> str:
    """What click has against it, "" if nothing. Values are not looked at: documents say PLAN and TIME."""
    words, command = shlex.split(line)[1:], cli
    context = click.Context(cli, info_name="calcom-pipeline")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        context = click.Context(found, info_name=words.pop(0), parent=context)
        command = found
    if isinstance(command, click.Group):
        return ""  # named as a whole
    try:
        _, left, _ = command.make_parser(context).parse_args(words)
    except click.UsageError as error:
        return error.format_message()
    return f"too many words: {left}" if left else ""


def test_the_documents_have_command_lines():
    assert len(LINES) > 60
    assert {name for name, _ in LINES} > {"README.md", "docs/how-to/runbooks.md", "docs/tutorials/first-sync.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_line_of_a_page_is_one_that_click_takes(page: Path):
    name = str(page.relative_to(ROOT))
    wrong = {line: why for by, line in LINES if by == name and (why := wrong_with(line))}
    assert wrong == {}


@pytest.mark.parametrize(
    "line",
    [
        "calcom-pipeline snyc all",
        "calcom-pipeline sync everything",
        "calcom-pipeline plan --detailed",
        "calcom-pipeline resolve 3 --take",
        "calcom-pipeline apply ONE TWO",
    ],
)
def test_a_command_line_that_is_not_there_is_found(line: str):
    assert wrong_with(line)
