"""`calcom-pipeline demo`: the whole sync through Dagster, on this machine alone."""

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output

if TYPE_CHECKING:
    from calcom_pipeline.bootstrap.container import Container
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
_LEFT_ALONE = ("CALCOM_API_KEY", "CALCOM_BASE_URL", "DATABASE_URL", "REDIS_URL", "DAGSTER_PG_URL", "CALCOM_LOCAL")


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
    settings = load_settings({**os.environ, "CALCOM_ENV_FILE": ""})
    output.line("Starting PostgreSQL, Redis (Valkey) and the Cal.com sandbox ...")
    with dagster_environment(settings) as (environment, container):
        os.environ.update({**environment, "CALCOM_ENV_FILE": ""})
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

    counts = container.reports.overview.counts()
    calls = sum(int(step.get("calls", 0)) for step in result.steps.values())
    written = sum(
        int(step.get(f"rows {how}", 0)) for step in result.steps.values() for how in ("added", "changed", "gone")
    )
    links = container.reports.overview.links()
    problems = container.reports.overview.problems(limit=_PROBLEMS_SHOWN)
    rows: list[tuple[str, object, str]] = [
        ("Services", sum(links.values()), _synced(result.steps)),
        ("Event types", counts.event_types, _changed(result.steps.get("event_types")) + f", {counts.owners} owners"),
        ("Bookings", counts.bookings, _changed(result.steps.get("bookings"))),
        ("Slot days", counts.slot_days, _changed(result.steps.get("slots")) + f", {counts.slots} free starts"),
        (
            "Calls to Cal.com",
            calls,
            f"limit {container.settings.rate_limit_per_minute} a minute, none refused"
            if not _refused(result)
            else f"{_refused(result)} refused",
        ),
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


def _synced(steps: dict[str, dict[str, Any]]) -> str:
    """Actions of the plan by kind, and what came of them."""
    planned = steps.get("service_plan", {})
    said = [f"{planned[kind]} {word}" for kind, word in _KINDS.items() if planned.get(kind)]
    outcomes = steps.get("service_sync", {})
    said += [f"{outcomes[o]} {o}" for o in ("failed", "stale", "held") if outcomes.get(o)]
    return ", ".join(said) or "not reached"


def _refused(result: "JobResult") -> int:
    return sum(int(step.get("calls refused", 0)) for step in result.steps.values())


def _changed(step: dict[str, Any] | None) -> str:
    if step is None:
        return "not reached"
    parts = [f"{step.get(f'rows {how}', 0)} {how}" for how in ("added", "changed", "gone")]
    return ", ".join(parts)
