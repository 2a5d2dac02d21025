"""The whole code location on one screen. Loads with nothing set, and touches no server while it loads."""

from collections.abc import Mapping

import dagster as dg

from calcom_pipeline.defs import jobs, resources, schedules
from calcom_pipeline.defs.assets.availability import slots
from calcom_pipeline.defs.assets.mirrors import bookings, event_types


def build_definitions(*, resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """Everything Dagster is told; tests replace single resources."""
    return dg.Definitions(
        assets=[event_types, bookings, slots],
        jobs=jobs.ALL,
        schedules=schedules.ALL,
        resources={**resources.ALL, **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_definitions()
