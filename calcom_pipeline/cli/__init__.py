"""The command line. Commands are thin: open the pipeline, call one use case, say what came of it.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from calcom_pipeline import __version__
from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, forget_unread
from calcom_pipeline.domain.errors import PipelineError

_INTRODUCTION = """Keeps a business's services and its Cal.com account in sync.

Nothing has to be set: without CALCOM_API_KEY, DATABASE_URL and REDIS_URL all of it runs on this machine, on a local
Cal.com sandbox, an embedded PostgreSQL and an embedded Redis. .env.example lists every setting.

\b
Start here:
  calcom-pipeline demo      the whole sync, once, with a summary
  calcom-pipeline up        the Dagster UI
  calcom-pipeline doctor    is everything there and set right?
"""


class _Commands(click.Group):
    """Commands whose reader may leave: click and rich make 1 of that, which is our code of a bug."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Where options are read, and --help is written."""
        with _reader_may_leave():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Where the command runs."""
        with _reader_may_leave():
            return super().invoke(ctx)


@contextmanager
def _reader_may_leave() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(exit_codes.NOBODY_READS) from None
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):
            raise click.exceptions.Exit(exit_codes.NOBODY_READS) from None
        raise


@click.group(
    cls=_Commands,
    help=_INTRODUCTION,
    epilog="Exit codes: "
    + "; ".join(f"{code} {meaning}" for code, meaning in exit_codes.MEANING.items())
    + f". With plan {exit_codes.DETAILED}: 0 nothing to do, 2 something to do or to decide, 1 any error.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, prog_name="calcom-pipeline")
def cli() -> None:
    """Root of all commands; its text is above."""


def _pipeline_commands() -> tuple[click.Command, ...]:
    """Those that run the pipeline and look after it."""
    from calcom_pipeline.cli import (
        backfill,
        completion,
        demo,
        diagnosis,
        erase,
        maintenance,
        materialize,
        plans,
        program,
        quarantine,
        report,
        runs,
        schema,
        serve,
        servers,
        sync,
        up,
        webhooks,
    )

    return (
        demo.demo,
        up.up,
        serve.serve,
        sync.sync,
        materialize.materialize,
        backfill.backfill,
        quarantine.quarantine,
        erase.erase,
        plans.plan,
        plans.apply,
        plans.revert,
        plans.explain,
        plans.resolve,
        diagnosis.status,
        diagnosis.doctor,
        report.report,
        runs.runs,
        schema.migrate,
        maintenance.maintain,
        program.execute,
        servers.local,
        webhooks.webhooks,
        completion.completion,
    )


def _business_commands() -> tuple[click.Command, ...]:
    """Those that work with services, bookings and free times."""
    from calcom_pipeline.cli import availability, bookings, services

    return (
        services.services,
        bookings.book,
        bookings.cancel,
        bookings.reschedule,
        availability.slots,
        availability.alternatives,
        availability.first_free,
        availability.month,
        availability.hold,
    )


def _mount() -> None:
    from calcom_pipeline.sandbox.command import cli as sandbox

    for command in (*_pipeline_commands(), *_business_commands()):
        cli.add_command(command)
    cli.add_command(sandbox, "sandbox")


_mount()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: one line for a cause, one for what to do, a traceback only with --debug.

    When the reader of a pipe has left, `head` for one, it ends without a word.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code, failed = _run(argv)
        if failed and exit_codes.DETAILED in argv:
            code = exit_codes.detailed(code)
    except BrokenPipeError:  # while an error was printed
        code = exit_codes.NOBODY_READS
    if code == exit_codes.NOBODY_READS:
        forget_unread()
    sys.exit(code)


def _require_text(argv: Sequence[str]) -> None:
    """No shell can type a null byte, but a caller in Python can; no file and no row is named by one."""
    if any("\0" in word for word in argv):
        raise click.UsageError("A null byte stands in no name, text or path.")


def _run(argv: Sequence[str]) -> tuple[int, bool]:
    """The exit code, and whether it stands for a failure rather than for what the command found."""
    debug = "--debug" in argv
    output = Output(as_json="--json" in argv)
    try:
        _require_text(argv)
        with output.warnings(all_of_them=debug):
            answer = cli.main([a for a in argv if a != "--debug"], prog_name="calcom-pipeline", standalone_mode=False)
        return answer if isinstance(answer, int) else exit_codes.OK, False
    except (click.exceptions.Abort, KeyboardInterrupt):
        return exit_codes.INTERRUPTED, True
    except click.ClickException as error:
        output.misuse(error)
        return exit_codes.USAGE, True
    except PipelineError as error:
        if debug:
            output.traceback(error)
        output.failure(error)
        return exit_codes.of(error), True
    except Exception as error:  # noqa: BLE001 - the outermost frame: everything else is a bug, reported in one line
        if debug:
            output.traceback(error)
        output.bug(error)
        return exit_codes.UNEXPECTED, True
