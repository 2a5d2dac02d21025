"""Jobs whose steps hold a slot of a pool until they are killed, and a program that executes one of them.

`python -m tests.support.leased_jobs JOB RUN_ID READY_FILE` works as a run's own process does.
"""

import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import dagster as dg
from dagster._core.execution.api import execute_run  # what Dagster's own run process calls

from calcom_pipeline.defs.maintenance.leases import held, leased

READY = "LEASED_JOBS_READY"


@dg.resource
def holding(context: dg.InitResourceContext) -> Generator[None]:
    """As the `pipeline` resource does for the process of a step."""
    assert context.instance is not None
    assert context.run is not None
    with held(context.instance, context.run.run_id):
        yield


def _never_ends(job: str) -> dg.OpDefinition:
    """A pool for each job: two first claims of one pool at once are more than Dagster can do (see defs/pools.py)."""

    @dg.op(name=f"{job}_never_ends", pool=pool_of(job), required_resource_keys={"holding"})
    def never_ends() -> None:
        Path(os.environ[READY]).write_text(f"{os.getpid()}")
        threading.Event().wait()

    return never_ends


def pool_of(job: str) -> str:
    return f"pool_of_{job}"


@dg.job(executor_def=leased(dg.in_process_executor), resource_defs={"holding": holding})
def in_one_process() -> None:
    _never_ends("in_one_process")()


@dg.job(executor_def=leased(dg.multiprocess_executor), resource_defs={"holding": holding})
def step_by_step() -> None:
    _never_ends("step_by_step")()


if __name__ == "__main__":
    from tests.support import leased_jobs

    job, run_id, ready = sys.argv[1:]
    os.environ[READY] = ready
    recon = dg.reconstructable(getattr(leased_jobs, job))
    with dg.DagsterInstance.get() as instance:
        made = instance.create_run_for_job(
            recon.get_definition(), run_id=run_id, job_code_origin=recon.get_python_origin()
        )
        execute_run(recon, made, instance)
