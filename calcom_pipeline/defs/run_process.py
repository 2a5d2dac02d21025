"""What a process was started for, where that is the run of one job: then only the job's account has to be loaded.

Each run is a process of its own that loads the code location anew. Of a hundred accounts that takes seconds of CPU, of
one as long as importing Dagster does. A process that says nothing about a job, or runs assets that were picked by hand,
loads all of them.
"""

import multiprocessing
import os
from collections.abc import Iterable

#: Set by launchers that start a container or a pod for a run.
_VARIABLE = "DAGSTER_RUN_JOB_NAME"
#: Its ops differ with the account's place among the others: that of the first sees to the instance too.
_OF_ALL = "retention"


def job_of_this_process() -> str | None:
    """The job that this process runs, as its launcher says; None where it was started for something else.

    The code server starts a run in a process whose arguments name the job (seen with Dagster 1.13.27). They are read
    where they stand: Dagster hands them over only after it has loaded everything.
    """
    arguments = getattr(multiprocessing.current_process(), "_args", ())
    named = (getattr(argument, "job_name", None) for argument in arguments)
    return next((name for name in named if isinstance(name, str)), None) or os.environ.get(_VARIABLE)


def account_of_job(job: str | None, accounts: Iterable[str]) -> str | None:
    """The one of these accounts whose job it is."""
    owners = [name for name in accounts if job is not None and job.startswith(f"{name}_")]
    return max(owners, key=len, default=None)  # agency_a_b_full_sync is no job of agency_a's


def is_retention(job: str | None, account: str) -> bool:
    """Whether it is the account's job that sees to the instance too, where the account is the first of all."""
    return job == f"{account}_{_OF_ALL}"
