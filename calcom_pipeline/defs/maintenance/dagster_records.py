"""Dagster's own records with a lifetime: runs with their events and logs, ticks, what runs left on disk.

All goes through the instance's own methods; only results of checks have none (see the statement that deletes them).
"""

import shutil
import uuid
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES

_RECORDS_AT_ONCE = 500


class FinishedRuns:
    """Runs that have ended, with their events, logs and outputs.

    A run that holds the last materialization of an asset, or of one of its partitions, stays: the UI would show the
    asset or the month as never made.
    """

    kind = "Dagster's runs"

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._needed: set[str] | None = None
        self._after: str | None = None

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete at most `limit` runs that ended before then; how many. Each is a transaction of Dagster's."""
        if self._needed is None:
            self._needed = set(_last_materializations(self._instance))
        filters = dg.RunsFilter(statuses=FINISHED_STATUSES, updated_before=before)
        while records := self._instance.get_run_records(filters, limit=limit, ascending=True, cursor=self._after):
            ids = [record.dagster_run.run_id for record in records]
            kept = [run_id for run_id in ids if run_id in self._needed]
            for run_id in ids:
                if run_id not in self._needed:
                    # Files first: a kill in between leaves the run to be met again.
                    self._instance.compute_log_manager.delete_logs(prefix=[run_id])
                    self._instance.delete_run(run_id)
            self._after = kept[-1] if kept else self._after
            if len(kept) < len(ids):
                return len(ids) - len(kept)
        return 0


def _last_materializations(instance: dg.DagsterInstance) -> Iterator[str]:
    """Runs of the last materialization of each asset and each partition."""
    for key in instance.all_asset_keys():
        latest = instance.get_latest_materialization_event(key)
        if latest is not None:
            yield latest.run_id
        by_partition = instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
        ids = sorted(by_partition.values())
        for first in range(0, len(ids), _RECORDS_AT_ONCE):
            some = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids[first : first + _RECORDS_AT_ONCE])
            for record in instance.fetch_materializations(some, limit=_RECORDS_AT_ONCE).records:
                yield record.event_log_entry.run_id


class Ticks:
    """Looks of sensors and schedules. The last of each stays: a schedule goes on from it."""

    kind = "Dagster's ticks"

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete all that are older; how many, counted up to `limit` a sensor or schedule."""
        found = 0
        for state in self._instance.all_instigator_state():
            names = (state.instigator_origin_id, state.selector_id)
            last = self._instance.get_ticks(*names, limit=1)
            until = min(before.timestamp(), last[0].timestamp if last else 0.0)
            old = len(self._instance.get_ticks(*names, before=until, limit=limit))
            if old:
                self._instance.purge_ticks(*names, before=until)
            found += old
        return found


class OrphanedFiles:
    """Folders of runs that are no more: the UI deletes a run without its logs."""

    kind = "Dagster's files"

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._root = Path(instance.storage_directory())

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete at most `limit` folders that were last written before then and whose run Dagster does not know."""
        names = (f.name for f in self._root.glob("*-*-*-*-*") if _is_run(f.name) and _written(f) < before.timestamp())
        orphans = (name for name in names if self._instance.get_run_by_id(name) is None)
        return sum(self._removed(name) for name in islice(orphans, limit))

    def _removed(self, name: str) -> bool:
        shutil.rmtree(self._root / name, ignore_errors=True)
        return not (self._root / name).exists()


def _written(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # somebody else was faster
        return float("inf")


def _is_run(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
