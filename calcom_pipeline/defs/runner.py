"""Runs a job of the code location in this process, on the instance that DAGSTER_HOME names: what `demo` shows."""

import logging
from dataclasses import dataclass
from typing import Any

import dagster as dg

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.defs.progress import listening
from calcom_pipeline.defs.reports import StepReports, receiving

#: The UI files runs under their code location by this tag; runs it did not launch itself lack it.
REPOSITORY_TAG = {".dagster/repository": "__repository__@calcom_pipeline"}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class JobResult:
    """`reports` are what the steps found, as values; `steps` maps an asset's name to what Dagster shows of it."""

    success: bool
    run_id: str
    reports: StepReports
    steps: dict[str, dict[str, Any]]
    failures: dict[str, str]


def run_job(definitions: dg.Definitions, name: str, progress: Progress) -> JobResult:
    """Run one job to its end; failures are returned, not raised."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    job = definitions.resolve_job_def(name)
    with dg.DagsterInstance.get() as instance, listening(progress), receiving() as reports:
        result = job.execute_in_process(instance=instance, raise_on_error=False, tags=REPOSITORY_TAG, run_config=QUIET)
    # Numbers and short texts: tables and pictures are for the UI.
    steps = {
        m.asset_key.path[-1]: {k: v.value for k, v in m.metadata.items() if isinstance(v.value, int | float | str)}
        for event in result.get_asset_materialization_events()
        if (m := event.materialization)
    }
    failures = {event.step_key or name: cause_of(event) for event in result.all_events if event.is_step_failure}
    return JobResult(result.success, result.run_id, reports, steps, failures)


def cause_of(event: dg.DagsterEvent) -> str:
    """Why a step failed, in the words of whoever raised it."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "failed"
