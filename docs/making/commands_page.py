"""`reference/commands.md`: every command with its help, its arguments and its options, as click knows them."""

import inspect
from collections.abc import Iterator

import click

from calcom_pipeline.cli import cli
from docs.making.markdown import code, page, prose, table

_NAME = "calcom-pipeline"
_WIDTH = 100
_KEPT = "\b"  # click: the paragraph is shown as it stands
_INTRODUCTION = f"""`{_NAME} COMMAND --help` says the same. With `--json` a command prints one JSON object with a schema
version; with `--debug` an error shows its traceback. How a command ends: [exit codes](exit-codes.md)."""


def commands_page() -> str:
    """The page."""
    return page("Commands", _INTRODUCTION, *_sections(cli, None, _NAME))


def leaves() -> list[str]:
    """The names of all commands that do something, as they are typed."""
    return [name for name, command in _all(cli, _NAME) if not isinstance(command, click.Group)]


def _all(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for word in sorted(command.commands):
            yield from _all(command.commands[word], f"{name} {word}")


def _sections(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    context = click.Context(
        command, info_name=name.rpartition(" ")[2], parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    yield _section(command, context, name)
    if isinstance(command, click.Group):
        for word in sorted(command.commands):
            yield from _sections(command.commands[word], context, f"{name} {word}")


def _section(command: click.Command, context: click.Context, name: str) -> str:
    level = "#" * (1 + len(name.split()))
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"{level} {name}", *_paragraphs(command.help or ""), f"```\n{usage}\n```"]
    records = [param.get_help_record(context) for param in command.params]
    rows = [[code(record[0]), prose(record[1])] for record in records if record is not None and record[1]]
    if rows:
        parts.append(table(["option", "what it does"], rows))
    return "\n\n".join(parts)


def _paragraphs(said: str) -> Iterator[str]:
    for paragraph in inspect.cleandoc(said).partition("\f")[0].split("\n\n"):
        if paragraph.lstrip().startswith(_KEPT):
            yield "```\n" + inspect.cleandoc(paragraph.lstrip().removeprefix(_KEPT)) + "\n```"
        else:
            yield prose(" ".join(paragraph.split()))
