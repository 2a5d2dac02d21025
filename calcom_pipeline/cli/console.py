"""What commands print: tables and bars for a person at a terminal, quiet lines in a pipe, JSON for a program.

Results go to standard output, progress and errors to standard error. JSON carries a schema version: a field may be
added without a new one, none is renamed or dropped. Whatever is printed may come from somebody else's data, so nothing
of it is an order to the terminal.
"""

import functools
import io
import json
import logging
import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.cli.next_steps import NEXT, NextStep
from calcom_pipeline.cli.progress import Turns, bar, is_watched, lines, silent
from calcom_pipeline.domain.cleaning import printable
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.domain.redaction import redacted, without_secrets

JSON_SCHEMA_VERSION = 1
_WIDTH_OF_A_PIPE = 100

# What ends a command is printed by the command; an attempt that failed on the way to it would be a second message.
_SHOWN_OTHERWISE = frozenset({"call_failed"})
_NOT_FOR_PEOPLE = frozenset({"event", "level", "reason", "timestamp"})

# What JSON leaves as it is and a terminal or an encoder does not.
_UNESCAPED_BY_JSON = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

Command = TypeVar("Command", bound=Callable[..., Any])


class Output:
    """Says things, as text or as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._step: tuple[NextStep, str] | None = None

    def line(self, text: str = "") -> None:
        """One line for a person; nothing in JSON."""
        if not self.as_json:
            say(text)

    def sentence(self, text: str, *, indent: int = 0) -> None:
        """A line for a person, broken between words where the terminal ends; nothing in JSON."""
        if not self.as_json:
            room = max(self.width - indent, 1)
            for line in textwrap.wrap(_shown(text), room, break_long_words=False, break_on_hyphens=False) or [""]:
                say(" " * indent + line)

    def result(
        self, command: str, values: Mapping[str, Any], *, then: NextStep | None = None, before_step: str = "  "
    ) -> None:
        """The result of a command for a program; for a person the next step, `then` or the usual one, as it ends.

        `before_step` stands before that: the sign of a comment where the output is read by a program as it is.
        """
        step = then or NEXT.get(command)
        if not self.as_json:
            self._step = (step, before_step) if step is not None else None
            return
        next_command = {"next": step.command} if step is not None else {}
        record = {"schema_version": JSON_SCHEMA_VERSION, "command": command, **values, **next_command}
        text = without_secrets(json.dumps(record, default=_plain, ensure_ascii=False))
        click.echo(_UNESCAPED_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))

    def end(self) -> None:
        """The last line of a command for a person: its next step. A command is never broken: it is to be copied."""
        if self._step is None:
            return
        step, before = self._step
        command_text, why = f"{before}Next: {step.command}", f"({step.why})"
        fits = len(command_text) + len(why) + 3 <= self.width
        say(f"{command_text}   {why}" if fits else f"{command_text}\n{before}      {why}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for a person; nothing in JSON."""
        if self.as_json:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(title=printable(title), title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_shown(str(cell)) for cell in row))
        # What stands in brackets is no markup.
        Console(width=self.width, highlight=False, markup=False, emoji=False).print(table)

    @property
    def width(self) -> int:
        """Cells of a line: the terminal's. A pipe has none of its own; 100 keep a row of a table on one line."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_OF_A_PIPE

    def lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Lines with a style of rich each, which a terminal shows and a pipe does not; nothing in JSON."""
        if self.as_json:
            return
        if not sys.stdout.isatty():
            for text, _ in lines:
                say(text)
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, markup=False, emoji=False)
        for text, style in lines:
            console.print(Text(_shown(text), style), soft_wrap=True)

    def failure(self, error: PipelineError) -> None:
        """An error on one line, what to do on a second."""
        if self.as_json:
            error_values = {"kind": type(error).__name__, "message": str(error), "advice": error.advice}
            self.result("error", {"error": error_values})
        say(f"calcom-pipeline: {error}", err=True)
        if error.advice:
            say(f"  {error.advice}", err=True)

    def misuse(self, error: click.ClickException) -> None:
        """A command that was called wrongly: its usage, and what is wrong."""
        if self.as_json:
            error_values = {"kind": type(error).__name__, "message": error.format_message(), "advice": "See --help."}
            self.result("error", {"error": error_values})
        click_output = io.StringIO()
        error.show(file=click_output)
        say(click_output.getvalue().rstrip("\n"), err=True)

    def bug(self, error: BaseException) -> None:
        """An error that nobody foresaw. Its text may hold anything, so only its kind is printed."""
        if self.as_json:
            self.result("error", {"error": {"kind": type(error).__name__, "message": "unexpected", "advice": ""}})
        say(f"calcom-pipeline: an unexpected {type(error).__name__}; run again with --debug to see it", err=True)

    def traceback(self, error: BaseException) -> None:
        """Where an error came from, for --debug, without what must not be read."""
        text = "".join(traceback.format_exception(error))
        say(redacted(text, longest=len(text)).rstrip("\n"), err=True)

    @contextmanager
    def warnings(self, *, all_of_them: bool) -> Generator[None]:
        """Our loggers' warnings in this block as lines on standard error; `all_of_them` adds failed attempts."""
        logger, handler = logging.getLogger("calcom_pipeline"), _WarningLines(all_of_them=all_of_them)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    @contextmanager
    def progress(self, title: str, turns: Turns | None = None) -> Generator[Progress]:
        """A bar on a terminal, a line now and then in a pipe, nothing in JSON: how far, how fast, how long it takes.

        `turns` is the client of Cal.com: a job that stands still is shown as waiting for the limit, where it does.
        """
        if self.as_json:
            yield silent
        elif is_watched():
            with bar(title, _shown, turns) as report:
                yield report
        else:
            yield lines(title, functools.partial(say, err=True), turns)


def say(text: str, *, err: bool = False) -> None:
    """One line, or several, that no terminal obeys and that hold none of our secrets."""
    click.echo(_shown(text), err=err)


def _shown(text: str) -> str:
    return printable(without_secrets(text))


def forget_unread() -> None:
    """Let what is still buffered for a pipe without a reader go nowhere, or Python complains of it as it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _WarningLines(logging.Handler):
    """An event as one line for a person: what happened, why, and its other fields."""

    def __init__(self, *, all_of_them: bool) -> None:
        super().__init__(logging.WARNING)
        self._all_of_them = all_of_them

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless the event is shown in another way."""
        fields = _event_fields(record.getMessage())
        event = str(fields.get("event", record.getMessage()))
        if event in _SHOWN_OTHERWISE and not self._all_of_them:
            return
        shown_fields = {name.replace("_", " "): value for name, value in fields.items() if name not in _NOT_FOR_PEOPLE}
        reason = f" ({fields['reason']})" if fields.get("reason") else ""
        details = ", ".join(f"{name} {value}" for name, value in shown_fields.items() if value is not None)
        line = f"calcom-pipeline: {event.replace('_', ' ')}{reason}"
        say(f"{line}; {details}" if details else line, err=True)


def _event_fields(text: str) -> dict[str, Any]:
    """The fields of one of our events; none for any other line."""
    try:
        found: object = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def with_output(command: Command) -> Command:
    """Adds --json and --debug, and hands the command an `Output`. The traceback of --debug is `main`'s business."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object with a schema version.")
    @click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> Any:
        output = Output(as_json=as_json)
        answer = command(*args, output=output, **kwargs)
        output.end()
        return answer

    return wrapped  # type: ignore[return-value]  # the options change the signature, not the kind
