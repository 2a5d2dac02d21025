"""Warming as a job of its own: the coming days of active services, before anybody waits for them."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from dataclasses import asdict
from typing import Any

import dagster as dg

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.naming import POOL


@dg.op(pool=POOL, out=dg.Out(dict, description="Months fetched and refused, event types warm already."))
def warm_free_times(context: dg.OpExecutionContext, container: dg.ResourceParam[Container]) -> dict[str, Any]:
    """Fetch what is missing of the coming days, asked for most first, as far as the limit allows."""
    with dagster_failures("Warming free times"):
        report = container.warm_free_times()
    context.add_output_metadata(
        {
            "months fetched": report.fetched,
            "event types warm already": report.warm,
            "months more than the limit allows": report.refused,
            "not read": len(report.failures),
        }
    )
    return asdict(report)


@dg.job(
    description="The coming days of active services are refilled in Redis, those asked for most first.",
    executor_def=dg.in_process_executor,
)
def slots_warming() -> None:
    """One op, in the warm lane."""
    warm_free_times()
