"""`calcom-pipeline demo`: the whole sync through Dagster, on this machine alone."""

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calcom_pipeline.app.calls import Changes
    from calcom_pipeline.bootstrap.container import Container
    from calcom_pipeline.defs.reports import StepReports
    from calcom_pipeline.defs.runner import JobResult

_JOB = "full_sync"
_PROBLEMS_SHOWN = 10
_KINDS = {
    "adopt": "adopted",
    "create": "to create",
    "push": "pushed",
    "pull": "pulled",
    "hide": "hidden",
    "show": "shown",
    "conflict": "in conflict",
    "refuse": "refused",
    "nothing": "unchanged",
}
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
    """Run the whole sync once through Dagster, against a sandbox on this machine, and say what happened.

    The demo never touches a real account or server: CALCOM_API_KEY, DATABASE_URL and the like are left alone. What it
    made stays, so a second run is faster and finds nothing new.
    """
    from calcom_pipeline.bootstrap.dagster_instance import dagster_environment
    from calcom_pipeline.settings import load_settings

    began = time.monotonic()
    ignored = [name for name in _LEFT_ALONE if os.environ.pop(name, None)]
    if ignored:
        output.line(f"The demo leaves {', '.join(ignored)} alone.")
    settings = load_settings({**os.environ, **_ALONE})
    output.line("Starting PostgreSQL, Redis (Valkey) and the Cal.com sandbox ...")
    with dagster_environment(settings) as (environment, container):
        os.environ.update({**environment, **_ALONE})
        from calcom_pipeline.cli.demo_seed import seed_services

        if made := seed_services(container):
            output.line(f"Made {made} services: most as Cal.com has them, some drifted, some new, some impossible.")
        output.line(f"Running Dagster job {_JOB}, at most {settings.rate_limit_per_minute} calls a minute ...")
        result = _run(output)
        return _tell(output, container, result, time.monotonic() - began)


def _run(output: Output) -> "JobResult":
    from calcom_pipeline.definitions import defs
    from calcom_pipeline.defs.runner import run_job

    with output.progress("Syncing") as progress:
        return run_job(defs, _JOB, progress)


def _tell(output: Output, container: "Container", result: "JobResult", seconds: float) -> int:
    from calcom_pipeline.bootstrap.locations import in_checkout

    counts, limit = container.reports.overview.counts(), container.settings.rate_limit_per_minute
    calls, refused = result.reports.calls, result.reports.refused
    changes = _changes(result.reports)
    written = sum(each.written for each in changes.values())
    links = container.reports.overview.links()
    problems = container.reports.overview.problems(limit=_PROBLEMS_SHOWN)
    rows: list[tuple[str, object, str]] = [
        ("Services", sum(links.values()), _synced(result.reports)),
        ("Event types", counts.event_types, f"{_changed(changes.get('event types'))}, {counts.owners} owners"),
        ("Bookings", counts.bookings, _changed(changes.get("bookings"))),
        ("Slot days", counts.slot_days, f"{_changed(changes.get('slots'))}, {counts.slots} free starts"),
        ("Calls to Cal.com", calls, f"{refused} refused" if refused else f"limit {limit} a minute, none refused"),
        ("Time", f"{seconds:.1f} s", "start of the servers included"),
    ]
    output.table("What happened", ("", "now", "in this run"), rows)
    if problems:
        output.table("Services that need somebody", ("service", "", "why"), problems)
        output.line("More about one:  calcom-pipeline explain SERVICE")
    for step, why in result.failures.items():
        output.line(f"{step} failed: {why}")
    output.line("Nothing had changed, nothing was written." if not written and result.success else "")
    output.line(f"See it in the Dagster UI:  {'make up' if in_checkout() else 'calcom-pipeline up'}")
    values: dict[str, Any] = {
        "counts": asdict(counts),
        "calls": calls,
        "rows_written": written,
        "seconds": round(seconds, 1),
    }
    output.result("demo", {**values, "steps": result.steps, "failures": result.failures, "run_id": result.run_id})
    return exit_codes.OK if result.success else exit_codes.PARTIAL


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


def _synced(reports: "StepReports") -> str:
    """Actions of the plan by kind, and what came of them."""
    from calcom_pipeline.app.services.ports import StoredPlan
    from calcom_pipeline.app.services.sync import LatestApplied

    plan, applied = reports.of(StoredPlan), reports.of(LatestApplied)
    planned: Mapping[str, int] = plan.counts if plan else {}
    outcomes: Mapping[str, int] = applied.report.counts if applied and applied.report else {}
    said = [f"{planned[kind]} {word}" for kind, word in _KINDS.items() if planned.get(kind)]
    said += [f"{outcomes[o]} {o}" for o in ("failed", "stale", "held") if outcomes.get(o)]
    return ", ".join(said) or "not reached"


def _changed(changes: "Changes | None") -> str:
    if changes is None:
        return "not reached"
    return f"{changes.added} added, {changes.changed} changed, {changes.gone} gone"
