"""`calcom-pipeline report`: everything about the account on one page, for a person, a file or a program."""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NextStep
from calcom_pipeline.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from calcom_pipeline.app.reports.models import AccountReport

_SHOWN = 30
_LIVE = NextStep("calcom-pipeline serve", "the same page, live at /")
_READABLE_BY_ALL = 0o644


@click.command()
@click.option(
    "--html",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the page there; - is standard output.",
)
@with_output
def report(output: Output, target: Path | None) -> None:
    """Say whether everything is in sync, and if not what is wrong and what to do. Asks Cal.com nothing.

    With --html it is one self-contained page: a table of all services with search and filters, bookings, free starts,
    the limiter, webhooks, the last runs. Nobody who booked is named in it, and it loads nothing from anywhere.
    """
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.bootstrap.reports import report_of
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    with ready_container(settings) as container:
        made = report_of(container, now=utc_now())
    if target is not None:
        from calcom_pipeline.web.report.page import PageOptions, report_page

        page = report_page(made, PageOptions.of(settings))
        if str(target) == "-":
            click.echo(page)
            return
        _write(target, page)
    _show_report(output, made, target)
    output.result("report", _as_json(made), then=_LIVE if target is not None else None)


def _write(target: Path, page: str) -> None:
    """Whole or not at all: somebody may be looking at the last one.

    Raises:
        ConfigurationError: it cannot be written there.
    """
    try:
        handle, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(page)
            Path(name).chmod(_READABLE_BY_ALL)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(
            [f"{target} cannot be written ({error.strerror})"], advice="Name another file with --html."
        ) from None


def _show_report(output: Output, made: "AccountReport", target: Path | None) -> None:
    from calcom_pipeline.domain.services.remedies import NEEDING

    output.line(made.headline.sentence)
    needing = [one for one in made.services if one.standing in NEEDING]
    if needing:
        rows = [(one.service_id, one.name, one.standing, one.reason) for one in needing[:_SHOWN]]
        output.table("Services that need somebody", ("service", "name", "", "why"), rows)
        if len(needing) > _SHOWN:
            output.line(f"... and {len(needing) - _SHOWN} more.")
        output.line("More about one, and what to do: calcom-pipeline explain SERVICE")
    for concern in made.concerns:
        output.line(f"{concern.sentence}{f'  {concern.command}' if concern.command else ''}")
    if target is not None:
        output.line(f"Written: {target}")


def _as_json(made: "AccountReport") -> dict[str, Any]:
    """The report for programs: every reason as a sentence and as a code."""
    report_values = _plain(asdict(made))
    assert isinstance(report_values, dict)
    return {**report_values, "open_plan": made.open_plan}


def _plain(value: Any) -> Any:
    """Reasons as both, all else as it is."""
    from calcom_pipeline.domain.reasons import Reason

    if isinstance(value, Reason):
        return {"sentence": str(value), "code": value.code}
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("list[Any]", value)]
    return value
