"""An account's definitions made ready by themselves, so that a location of a hundred accounts starts in seconds.

Left to itself, Dagster looks at every asset of the location for every job, and at every resource for every asset: of a
hundred accounts, half a minute. Here a job is resolved among its own account's assets, with its own resources. What
Dagster shows and runs is the same, but that its page of resources lists those of the first account alone.
"""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.execution.build_resources import wrap_resources_for_execution
from dagster._core.execution.with_resources import with_resources


def bound(
    one: dg.Definitions, executor: dg.ExecutorDefinition, resource_overrides: Mapping[str, object] | None = None
) -> dg.Definitions:
    """The same definitions, that need no resource and no executor of the location any more."""
    given = {**(one.resources or {}), **(resource_overrides or {})}
    resources = wrap_resources_for_execution(given)
    assets = list(with_resources(cast("Any", list(one.assets or ())), resources))
    checks = list(with_resources(cast("Any", list(one.asset_checks or ())), resources))
    graph = AssetGraph.from_assets([*assets, *checks])
    return dg.Definitions(
        assets=assets,
        asset_checks=cast("Any", checks),
        jobs=[_ready(job, graph, executor, resources) for job in one.jobs or ()],
        schedules=one.schedules,
        sensors=one.sensors,
    )


def _ready(
    job: dg.JobDefinition | UnresolvedAssetJobDefinition,
    graph: AssetGraph,
    executor: dg.ExecutorDefinition,
    resources: Mapping[str, dg.ResourceDefinition],
) -> dg.JobDefinition:
    if isinstance(job, UnresolvedAssetJobDefinition):
        return job.resolve(graph, default_executor_def=executor, resource_defs=resources)
    return job.with_top_level_resources(resources)
