"""Runs start at once while there is room for their processes, and wait in Dagster's queue while there is none.

Dagster has the one or the other. A queue alone makes each change wait for the daemon's next look; without one, a
hundred accounts that begin together start hundreds of processes, more than a machine has memory for.
"""

import dagster as dg
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

_UNLIMITED = -1


class PromptRunCoordinator(dg.QueuedRunCoordinator[dg.DagsterInstance]):
    """Dagster's queue, with its configuration; a run enters it only if `max_concurrent_runs` are under way.

    One that `tag_concurrency_limits` name always enters it: the daemon keeps to those.
    """

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Launch the run, or queue it. Raises what the launcher does."""
        run = context.dagster_run
        if run.status is not dg.DagsterRunStatus.NOT_STARTED or not self._has_room(run):
            return super().submit_run(context)
        self._instance.launch_run(run.run_id, context.workspace)
        return self._instance.get_run_by_id(run.run_id) or run

    def _has_room(self, run: dg.DagsterRun) -> bool:
        config = self.get_run_queue_config()
        if any(limit["key"] in run.tags for limit in config.tag_concurrency_limits):
            return False
        if config.max_concurrent_runs == _UNLIMITED:
            return True
        under_way = dg.RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES)
        return self._instance.get_runs_count(under_way) < config.max_concurrent_runs
