"""Warming as a job of its own: the coming days of active services, before anybody waits for them."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from dataclasses import asdict
from typing import Any

import dagster as dg

from calcom_pipeline.bootstrap import warming
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.maintenance.leases import leased


def warm_free_times(context: dg.OpExecutionContext, container: dg.ResourceParam[Container]) -> dict[str, Any]:
    """Fetch what is missing of the coming days, asked for most first, as far as the limit allows."""
    with dagster_failures("Warming free times"):
        report = warming.warm_free_times(container)
    context.add_output_metadata(
        {
            "months fetched": report.fetched,
            "event types warm already": report.warm,
            "months more than the limit allows": report.refused,
            "not read": len(report.failures),
        }
    )
    return asdict(report)


def slots_warming(account: Account) -> dg.JobDefinition:
    """One op of an account, in the warm lane."""
    warm = dg.op(
        name=account.named("warm_free_times"),
        pool=account.pool,
        out=dg.Out(dict, description="Months fetched and refused, event types warm already."),
    )(account.given_to(warm_free_times))

    @dg.job(
        name=account.named("slots_warming"),
        description="The coming days of active services are refilled in Redis, those asked for most first.",
        executor_def=leased(dg.in_process_executor),
    )
    def job() -> None:
        warm()

    return job
