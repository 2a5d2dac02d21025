"""What commands print: tables and bars for a person at a terminal, quiet lines in a pipe, JSON for a program.

Results go to standard output, progress and errors to standard error. JSON carries a schema version: a field may be
added without a new one, none is renamed or dropped.
"""

import functools
import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.ports import Progress

JSON_SCHEMA_VERSION = 1

Command = TypeVar("Command", bound=Callable[..., Any])


class Output:
    """Says things, as text or as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def line(self, text: str = "") -> None:
        """One line for a person; nothing in JSON."""
        if not self.as_json:
            click.echo(text)

    def result(self, command: str, values: Mapping[str, Any]) -> None:
        """The result of a command for a program; nothing as text."""
        if self.as_json:
            record = {"schema_version": JSON_SCHEMA_VERSION, "command": command, **values}
            click.echo(json.dumps(record, default=_plain, ensure_ascii=False))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for a person; nothing in JSON."""
        if self.as_json:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        # A pipe has no width of its own; 100 columns keep a row on one line.
        Console(width=None if sys.stdout.isatty() else 100, highlight=False).print(table)

    def failure(self, error: PipelineError) -> None:
        """An error on one line, what to do on a second."""
        if self.as_json:
            told = {"kind": type(error).__name__, "message": str(error), "advice": error.advice}
            self.result("error", {"error": told})
        click.echo(f"calcom-pipeline: {error}", err=True)
        if error.advice:
            click.echo(f"  {error.advice}", err=True)

    def bug(self, error: BaseException) -> None:
        """An error that nobody foresaw. Its text may hold anything, so only its kind is told."""
        if self.as_json:
            self.result("error", {"error": {"kind": type(error).__name__, "message": "unexpected", "advice": ""}})
        click.echo(f"calcom-pipeline: an unexpected {type(error).__name__}; run again with --debug to see it", err=True)

    @contextmanager
    def progress(self, title: str) -> Generator[Progress]:
        """A bar on a terminal, nothing in a pipe or in JSON: there the result's line says enough."""
        if self.as_json or not sys.stderr.isatty():
            yield _silent
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(title, total=None)

            def report(done: int, total: int | None, what: str) -> None:
                bars.update(task, completed=done, total=total, description=f"{title}: {what}")

            yield report


def _silent(done: int, total: int | None, what: str) -> None:
    del done, total, what


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
        return command(*args, output=Output(as_json=as_json), **kwargs)

    return wrapped  # type: ignore[return-value]  # the options change the signature, not the kind
