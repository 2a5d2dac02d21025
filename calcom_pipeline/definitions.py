"""The whole code location on one screen. Loads with nothing set, and touches no server while it loads."""

from collections.abc import Mapping

import dagster as dg

from calcom_pipeline.defs import checks, jobs, resources, schedules, sensors
from calcom_pipeline.defs.availability.assets import slots
from calcom_pipeline.defs.bookings import checks as booking_checks
from calcom_pipeline.defs.bookings.assets import bookings, bookings_history
from calcom_pipeline.defs.event_types.assets import event_types
from calcom_pipeline.defs.maintenance.alerts import failed_runs
from calcom_pipeline.defs.maintenance.leases import leased
from calcom_pipeline.defs.maintenance.restarts import dead_runs
from calcom_pipeline.defs.services.assets import service_plan, service_sync
from calcom_pipeline.defs.webhooks.subscriptions import webhooks, webhooks_alive


def build_definitions(*, resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """Everything Dagster is told; tests replace single resources."""
    return dg.Definitions(
        assets=[service_plan, service_sync, event_types, bookings, bookings_history, slots, webhooks],
        asset_checks=[*checks.ALL, *booking_checks.ALL, webhooks_alive],
        jobs=jobs.ALL,
        schedules=schedules.ALL,
        sensors=[*sensors.ALL, dead_runs, failed_runs],
        resources={**resources.ALL, **(resource_overrides or {})},
        executor=leased(dg.in_process_executor),
    )


defs = build_definitions()
