"""The sensor that looks after runs that died: it gives them up, and starts again what Dagster's retries could not.

Dagster tries once to start a killed run again: if the code server is away in that moment, which is likely when both
were killed, it gives the run up for good (seen with 1.13.27: `dagster/will_retry` turns to false). The same goes for a
run that a sensor asked for and that could not be launched. A request of a sensor is kept until it was met: also one
whose run failed by itself, after an outage that its steps' own retries did not outlast, is made again some minutes
later, since the sensor's cursor has moved past what it was about.
"""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.defs.kept_open import instance_of
from calcom_pipeline.defs.maintenance.reaping import reap
from calcom_pipeline.defs.timing import least_distance

_LOOK_SECONDS = 15
_LOOK_BACK = timedelta(hours=1)  # what is older, the schedules have done since
_MOST_RESTARTS = 5  # of one cause; what kills its process that often is left to people
_LOOKED_AT = 50
_RESTARTED, _RESTARTS = "calcom/restarted_from", "calcom/restarts"
_WILL_RETRY, _REASON, _PARTITION = "dagster/will_retry", "dagster/failure_reason", "dagster/partition"
#: What makes two runs of a job the same work; the rest of a run's system tags tell of the run itself.
_OF_THE_WORK = (
    _PARTITION,
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
    "dagster/backfill",
)
_FAILED_BY_ITSELF = "STEP_FAILURE"  # it ran, and its own retries are over
_SENSOR = "dagster/sensor_name"
_BY_ITSELF_PAUSE = timedelta(minutes=2)  # before such a run is asked for again, if a sensor asked; then twice as long


def sensor(jobs: Sequence[dg.JobDefinition | UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """The one look at the instance's runs; those of `jobs`, of all accounts, are started again."""
    names = frozenset(job.name for job in jobs)

    @dg.sensor(
        jobs=jobs,
        minimum_interval_seconds=least_distance(_LOOK_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs whose process died are failed, their slots freed, and started again where Dagster does not.",
    )
    def dead_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """Giving up needs no run; a request is keyed by the run it replaces."""
        instance = instance_of(context)
        done = reap(instance)
        requests = list(_restarts(instance, names, datetime.now(UTC)))
        summary = "Every run has a living process, or has ended"
        if done.runs or done.slots:
            summary = f"{len(done.runs)} dead runs were given up, the slots of {len(done.slots)} runs freed"
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else summary)

    return dead_runs


def _restarts(instance: dg.DagsterInstance, known: Collection[str], now: datetime) -> Iterator[dg.RunRequest]:
    """A request for every interrupted run that nobody starts again, and that no later run of its kind replaced."""
    interrupted = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], tags={_WILL_RETRY: "false"}, updated_after=now - _LOOK_BACK
    )
    for record in instance.get_run_records(interrupted, limit=_LOOKED_AT):
        run = record.dagster_run
        if run.job_name not in known or not _is_due(record, now):
            continue
        if _restarts_of(run) < _MOST_RESTARTS and not _is_replaced(instance, record):
            yield _again(run)


def _is_due(record: dg.RunRecord, now: datetime) -> bool:
    """At once where it was interrupted; later where it failed by itself, and not at all where no sensor asked for it.

    Schedules come again by themselves, and people see what they launched.
    """
    run = record.dagster_run
    if run.tags.get(_REASON) != _FAILED_BY_ITSELF:
        return True
    pause = _BY_ITSELF_PAUSE * 2 ** _restarts_of(run)
    return _SENSOR in run.tags and record.update_timestamp.astimezone(UTC) + pause <= now


def _restarts_of(run: dg.DagsterRun) -> int:
    return int(run.tags.get(_RESTARTS, "0"))


def _is_replaced(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    run = record.dagster_run
    later = dg.RunsFilter(job_name=run.job_name, created_after=record.create_timestamp)
    return any(_work_of(other) == _work_of(run) for other in instance.get_runs(later) if other.run_id != run.run_id)


def _work_of(run: dg.DagsterRun) -> tuple[object, ...]:
    return run.run_config, run.asset_selection, *(run.tags.get(name) for name in _OF_THE_WORK)


def _again(run: dg.DagsterRun) -> dg.RunRequest:
    kept = {name: value for name, value in run.tags.items() if name.startswith("calcom/") or name in _OF_THE_WORK}
    partition = kept.pop(_PARTITION, None)
    count = _restarts_of(run) + 1
    return dg.RunRequest(
        run_key=f"again:{run.run_id}",
        job_name=run.job_name,
        run_config=run.run_config,
        tags={**kept, _RESTARTED: run.run_id, _RESTARTS: f"{count}"},
        partition_key=partition,
        asset_selection=sorted(run.asset_selection) if run.asset_selection else None,
    )
