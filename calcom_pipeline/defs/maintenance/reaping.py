"""Runs that died: found by their leases, failed, their slots freed, so that Dagster starts them again.

Dagster's default launcher cannot tell whether a run's process lives, so its run monitoring sees no dead run. The reaper
starts no run and needs no slot: a sensor asks it, `calcom-pipeline up` asks it from its own process, and a person can.
What it fails is started again by Dagster's run retries (dagster.yaml), which count such a run as killed, not failed;
where they cannot, by the sensor (see `restarts`).
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import dagster as dg

from calcom_pipeline.adapters.postgres.maintenance.run_leases import Lease, RunLeases
from calcom_pipeline.adapters.process_identity import is_gone
from calcom_pipeline.defs.maintenance.leases import leases_of
from calcom_pipeline.domain.maintenance.liveness import SILENT_SECONDS, Holder, is_dead

_ALIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_PACKAGE = "calcom_pipeline"
_GIVEN_UP_MESSAGE = (
    "The process that executed this run is gone: it was killed, or its machine is away. "
    "The run is failed, and started again by the run retries."
)


@dataclass(frozen=True, slots=True)
class Reaping:
    """What one look did: runs that were given up, and runs whose slots were freed."""

    runs: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()


def reap(instance: dg.DagsterInstance, *, silent_seconds: float = SILENT_SECONDS) -> Reaping:
    """Look once, and give up what is dead. Safe beside others that do the same.

    Raises:
        StoreError: PostgreSQL is away.
    """
    leases = leases_of(instance)
    if leases is None:
        return Reaping()
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(statuses=list(_ALIVE)))}
    unheld = [run_id for run_id, run in runs.items() if _is_ours(run)]
    rows = _by_run(leases.look(unheld, silent_seconds=silent_seconds))
    dead = [run_id for run_id in runs if _is_dead(rows.get(run_id, ()))]
    given_up = [run_id for run_id in dead if _give_up(instance, leases, runs[run_id], rows[run_id])]
    ended = _ended(instance, rows.keys() - runs.keys())
    freed = _free(instance, given_up, rows)
    leases.forget([run_id for run_id in ended if not _lives(rows[run_id])])
    return Reaping(tuple(given_up), tuple(freed))


def _by_run(leases: Iterable[Lease]) -> dict[str, list[Lease]]:
    found: dict[str, list[Lease]] = {}
    for lease in leases:
        found.setdefault(lease.run_id, []).append(lease)
    return found


def _is_dead(leases: Collection[Lease]) -> bool:
    return is_dead(Holder(is_gone(lease.holder), lease.suspected_seconds) for lease in _deciding_leases(leases))


def _lives(leases: Collection[Lease]) -> bool:
    """Whether a process still works on the run, though the run has ended."""
    return any(not Holder(is_gone(e.holder), e.suspected_seconds).is_dead for e in leases if e.holder and not e.taken)


def _deciding_leases(leases: Collection[Lease]) -> list[Lease]:
    """Those of processes, where there are any: the stand-in for nobody counts alone."""
    return [lease for lease in leases if lease.holder] or list(leases)


def _give_up(instance: dg.DagsterInstance, leases: RunLeases, run: dg.DagsterRun, rows: Collection[Lease]) -> bool:
    if not leases.take(run.run_id, judged=max(row.renewed_at for row in rows)):
        return False
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.is_finished:  # it wrote its last event meanwhile
        return False
    report = _REPORTS[now.status]
    report(instance)(now, _GIVEN_UP_MESSAGE)
    return True


_REPORTS: dict[dg.DagsterRunStatus, Callable[[dg.DagsterInstance], Callable[[dg.DagsterRun, str], object]]] = {
    dg.DagsterRunStatus.STARTED: lambda instance: instance.report_run_failed,
    dg.DagsterRunStatus.CANCELING: lambda instance: instance.report_run_canceled,
}


def _ended(instance: dg.DagsterInstance, run_ids: Collection[str], *, also_of_others: bool = True) -> set[str]:
    """Of these runs, those that have ended or are not there any more."""
    if not run_ids:
        return set()
    known = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))}
    ended = {run_id for run_id, run in known.items() if run.is_finished and (also_of_others or _is_ours(run))}
    return ended | (set(run_ids) - known.keys())


def _free(instance: dg.DagsterInstance, given_up: Collection[str], rows: dict[str, list[Lease]]) -> list[str]:
    """Free the slots of ended runs on which no process works any more.

    Dagster does it a minute after a run has ended, unless the run was deleted; pools are too small to wait for that.
    """
    storage = instance.event_log_storage
    holding = storage.get_concurrency_run_ids()
    ended = {each for each in _ended(instance, holding, also_of_others=False) if not _lives(rows.get(each, ()))}
    freed = sorted(holding & (ended | set(given_up)))
    for run_id in freed:
        storage.free_concurrency_slots_for_run(run_id)
    return freed


def _is_ours(run: dg.DagsterRun) -> bool:
    """Whether our executor ran it, and so would have held a lease: others' runs are none of our business."""
    origin = run.job_code_origin
    module = getattr(origin.repository_origin.code_pointer, "module", "") if origin else ""
    return str(module).split(".")[0] == _PACKAGE
