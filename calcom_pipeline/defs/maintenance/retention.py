"""The daily upkeep as ops in a job of its own: our records and Dagster's are deleted after their lifetimes."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg

from calcom_pipeline.adapters.postgres.database import open_database
from calcom_pipeline.adapters.postgres.maintenance.records import dagster_check_records
from calcom_pipeline.app.maintenance.ports import Records
from calcom_pipeline.app.maintenance.retention import Forgotten, Lifetime, keep_lifetimes
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.maintenance.dagster_records import FinishedRuns, OrphanedFiles, Ticks
from calcom_pipeline.defs.markdown import table
from calcom_pipeline.defs.timing import running
from calcom_pipeline.domain.errors import StoreError
from calcom_pipeline.settings import Settings


@contextmanager
def dagster_lifetimes(instance: dg.DagsterInstance, settings: Settings) -> Generator[list[Lifetime]]:
    """Dagster's records and how long they are kept. Results of checks only where its database is named."""
    keep = timedelta(days=settings.dagster_retention_days)
    records: list[Records] = [FinishedRuns(instance), Ticks(instance), OrphanedFiles(instance)]
    if settings.dagster_pg_url is None:
        yield [Lifetime(kind, keep) for kind in records]
        return
    with open_database(settings.dagster_pg_url.get_secret_value(), schema="public") as database:
        yield [Lifetime(kind, keep) for kind in [*records, dagster_check_records(database)]]


def forget_old_records(context: dg.OpExecutionContext, container: dg.ResourceParam[Container]) -> int:
    """Calls, changes of services, plans, facts, quarantine and creates in doubt that are past their lifetimes."""
    with dagster_failures("Deleting old records"):
        lifetimes, batch = container.maintenance.lifetimes, container.settings.retention_batch
        return _record_deletions(context, keep_lifetimes(lifetimes, now=utc_now(), batch=batch))


def forget_old_runs(context: dg.OpExecutionContext, container: dg.ResourceParam[Container]) -> int:
    """Dagster's runs that ended long ago with their events and logs, ticks, results of checks."""
    settings = container.settings
    with (
        dagster_failures("Deleting old runs"),
        dagster_lifetimes(context.instance, settings) as lifetimes,
    ):
        return _record_deletions(context, keep_lifetimes(lifetimes, now=utc_now(), batch=settings.retention_batch))


def _record_deletions(context: dg.OpExecutionContext, found: Sequence[Forgotten]) -> int:
    rows = [(f.kind, f.days, f.records, f.error) for f in found]
    deleted = sum(f.records for f in found)
    context.add_output_metadata(
        {"records deleted": deleted, "kinds": table(("records", "kept for days", "deleted", "error"), rows)}
    )
    failed = [f"{f.kind}: {f.error}" for f in found if f.error]
    if failed:
        raise StoreError("; ".join(failed), advice="The other kinds are done; tomorrow's run tries again.")
    return deleted


def jobs(account: Account) -> list[dg.JobDefinition]:
    """The upkeep of an account; of the first also that of the instance, which all accounts share."""
    out = dg.Out(int, description="How many records were deleted.")
    records = dg.op(name=account.named("forget_old_records"), out=out)(account.given_to(forget_old_records))
    runs = dg.op(name=account.named("forget_old_runs"), out=out)(account.given_to(forget_old_runs))

    @dg.job(
        name=account.named("retention"),
        description="Our own records and Dagster's runs are deleted after their lifetimes (CALCOM_*_RETENTION_DAYS).",
        executor_def=dg.in_process_executor,
    )
    def upkeep() -> None:
        """Two ops, neither of which stops the other."""
        records()
        if account.is_first:
            runs()

    return [upkeep]


def schedules(account: Account) -> list[dg.ScheduleDefinition]:
    """Runs out of the box."""
    return [
        running(
            account,
            "retention_daily",
            job="retention",
            cron="52 2 * * *",  # before the weekly full read, which has the night to itself
            why="No call: deletes our own records and Dagster's past their lifetimes (CALCOM_*_RETENTION_DAYS).",
        )
    ]
