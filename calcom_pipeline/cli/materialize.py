"""`calcom-pipeline materialize`: chosen assets with their checks, for CI."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output

if TYPE_CHECKING:
    from calcom_pipeline.defs.chosen import CheckOutcome, ChosenRun


@click.command()
@click.argument("assets", nargs=-1, required=True)
@click.option("--partition", help="The month of bookings_history, as 2026-06-01.")
@click.option(
    "--fail-on",
    type=click.Choice(["warn", "error", "never"]),
    default="warn",
    show_default=True,
    help="Which failed checks make this command fail: all, errors alone, none.",
)
@with_output
def materialize(output: Output, assets: tuple[str, ...], partition: str | None, fail_on: str) -> int:
    """Make some of Dagster's assets and run their checks, in this process: service_plan service_sync, bookings, ...

    Exit code 12 says that a check failed, 11 that an asset could not be made. Runs on the servers that are set, and on
    this machine's own where none is; the run is seen in the Dagster UI.
    """
    from calcom_pipeline.bootstrap.dagster_instance import dagster_environment
    from calcom_pipeline.settings import load_settings

    with dagster_environment(load_settings()) as (environment, _):
        os.environ.update(environment)
        from calcom_pipeline.definitions import defs
        from calcom_pipeline.defs.chosen import materialize_chosen

        with output.progress("Materializing") as progress:
            run = materialize_chosen(defs, assets, partition=partition, progress=progress)
    return _show_run(output, run, fail_on)


def _show_run(output: Output, run: "ChosenRun", fail_on: str) -> int:
    marks = {(True, "warn"): "ok", (True, "error"): "ok", (False, "warn"): "WARNING", (False, "error"): "FAILED"}
    rows = [(c.asset, c.check, marks[c.passed, c.severity], _first_line(c.text)) for c in run.checks]
    output.line(f"Made: {', '.join(run.assets) or 'nothing'}.")
    output.table("Checks", ("asset", "check", "", "what it says"), rows)
    for step, why in run.failures.items():
        output.line(f"{step} failed: {why}")
    counted = [] if fail_on == "never" else run.failed_checks(warnings_too=fail_on == "warn")
    values = {"checks": [_plain(c) for c in run.checks], "failed_checks": [_plain(c) for c in counted]}
    output.result("materialize", {**asdict(run), **values})
    if not run.success:
        return exit_codes.PARTIAL
    return exit_codes.UNHEALTHY if counted else exit_codes.OK


def _plain(check: "CheckOutcome") -> dict[str, Any]:
    """For programs, which read the text under this key."""
    values = asdict(check)
    values["said"] = values.pop("text")
    return values


def _first_line(description: str) -> str:
    """The sentence; the table behind it is for the UI and `--json`."""
    return description.partition("\n")[0]
