"""`calcom-pipeline demo`: the whole sync through Dagster, on this machine alone."""

import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.next_steps import NEXT, NextStep

if TYPE_CHECKING:
    from calcom_pipeline.adapters.postgres.reports.overview import Overview
    from calcom_pipeline.app.calls import Changes
    from calcom_pipeline.app.services.summary import ApplySummary
    from calcom_pipeline.bootstrap.container import Container
    from calcom_pipeline.defs.reports import StepReports
    from calcom_pipeline.defs.runner import JobResult

_JOB = "full_sync"
_SECRETS_LEFT_ALONE = ("CALCOM_API_KEY", "DATABASE_URL", "REDIS_URL", "DAGSTER_PG_URL")
_LEFT_ALONE = (
    *_SECRETS_LEFT_ALONE,
    *(f"{name}_FILE" for name in _SECRETS_LEFT_ALONE),
    "CALCOM_BASE_URL",
    "CALCOM_LOCAL",
    "CALCOM_ACCOUNT",
    "CALCOM_ACCOUNTS_DIR",
)
#: The account of the sandbox, whatever others are described.
_ALONE = {"CALCOM_ENV_FILE": "", "CALCOM_ACCOUNTS_DIR": os.devnull}


@click.command()
@with_output
def demo(output: Output) -> int:
    """Run the whole sync once through Dagster, against a sandbox on this machine, book a time, and say what happened.

    The demo never touches a real account or server: CALCOM_API_KEY, DATABASE_URL and the like are left alone. What it
    made stays, so a second run is faster and finds no drift. CALCOM_SANDBOX_EVENT_TYPES, _TEAMS and _BOOKINGS say how
    large its account is.
    """
    from calcom_pipeline.settings import load_settings

    began = time.monotonic()
    ignored = [name for name in _LEFT_ALONE if os.environ.pop(name, None)]
    if ignored:
        output.line(f"The demo leaves {', '.join(ignored)} alone.")
    settings = load_settings({**os.environ, **_ALONE})
    output.line("Starting PostgreSQL, Redis (Valkey) and the Cal.com sandbox ...")
    with ExitStack() as stack:
        with output.progress("Starting"):
            container = _started(stack, settings)
        from calcom_pipeline.cli.demo_seed import seed_services
        from calcom_pipeline.cli.demo_story import book_a_time, show_drift, show_outcome

        if made := seed_services(container):
            output.line(f"Made {made} services: some as Cal.com has them, some drifted, some new, some impossible.")
        output.line(f"Running Dagster job {_JOB}, at most {settings.rate_limit_per_minute} calls a minute ...")
        result = _run(output, container)
        show_drift(output, container, result.reports)
        summary = show_outcome(output, container, result.reports)
        counts = container.reports.overview.counts()  # before the booking, which fetches days anew
        booked = book_a_time(output, container) if result.success else None
        output_values = _show_counts(output, container, result, counts, time.monotonic() - began)
        output_values |= {"booked": booked, "summary": summary.counts if summary else {}}
        output.result("demo", output_values, then=_to_press(summary))
        return exit_codes.OK if result.success else exit_codes.PARTIAL


def _started(stack: ExitStack, settings: Any) -> "Container":
    from calcom_pipeline.bootstrap.dagster_instance import dagster_environment

    environment, container = stack.enter_context(dagster_environment(settings))
    os.environ.update({**environment, **_ALONE})
    return container


def _run(output: Output, container: "Container") -> "JobResult":
    with output.progress("Syncing", container.calcom) as progress:
        from calcom_pipeline.definitions import defs  # seconds of imports
        from calcom_pipeline.defs.runner import run_job

        return run_job(defs, _JOB, progress)


def _show_counts(
    output: Output, container: "Container", result: "JobResult", counts: "Overview", seconds: float
) -> dict[str, Any]:
    """What is there now and what it took, as a table and as values."""
    from calcom_pipeline.bootstrap.locations import in_checkout

    limit = container.settings.rate_limit_per_minute
    calls, refused = result.reports.calls, result.reports.refused
    changes = _changes(result.reports)
    written = sum(each.written for each in changes.values())
    links = container.reports.overview.links()
    rows: list[tuple[str, object, str]] = [
        ("Services", sum(links.values()), ", ".join(f"{number} {state}" for state, number in links.items())),
        ("Event types", counts.event_types, f"{_changed(changes.get('event types'))}, {counts.owners} owners"),
        ("Bookings", counts.bookings, _changed(changes.get("bookings"))),
        ("Slot days", counts.slot_days, f"{_changed(changes.get('slots'))}, {counts.slots} free starts"),
        ("Calls to Cal.com", calls, f"{refused} refused" if refused else f"limit {limit} a minute, none refused"),
        ("Time", f"{seconds:.1f} s", "start of the servers included"),
    ]
    output.line()
    output.table("Mirrored", ("", "now", "in this run"), rows)
    for step, why in result.failures.items():
        output.line(f"{step} failed: {why}")
    if not written and result.success:
        output.line("Nothing had changed, nothing was written.")
    output.line(f"See it in the Dagster UI:  {'make up' if in_checkout() else 'calcom-pipeline up'}")
    if shutil.which("calcom-pipeline") is None:
        output.line("Its commands in this shell:  source .venv/bin/activate")
    values = {"counts": asdict(counts), "calls": calls, "rows_written": written, "seconds": round(seconds, 1)}
    return {**values, "steps": result.steps, "failures": result.failures, "run_id": result.run_id}


def _to_press(summary: "ApplySummary | None") -> NextStep:
    """A conflict that can be settled, else the UI."""
    from calcom_pipeline.domain.services.remedies import remedy_of

    conflict = next((g for g in summary.groups if g.fate == "conflict"), None) if summary else None
    if conflict is None:
        return NEXT["demo"]
    who = conflict.members[0]
    return NextStep(remedy_of("conflict").command(who.service_id), f"settle the conflict of {who.name}")


def _changes(reports: "StepReports") -> "dict[str, Changes]":
    """What was written to each mirror; one whose step did not get to its end is left out."""
    from calcom_pipeline.app.availability.refresh import SlotsReport
    from calcom_pipeline.app.bookings.sync import BookingsSynced
    from calcom_pipeline.app.event_types.mirror import EventTypesReport

    found: dict[str, Changes] = {}
    if event_types := reports.of(EventTypesReport):
        found["event types"] = event_types.changes
    if bookings := reports.of(BookingsSynced):
        found["bookings"] = bookings.report.stored.changes
    if slots := reports.of(SlotsReport):
        found["slots"] = slots.changes
    return found


def _changed(changes: "Changes | None") -> str:
    if changes is None:
        return "not reached"
    return f"{changes.added} added, {changes.changed} changed, {changes.gone} gone"
