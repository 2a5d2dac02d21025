"""What one account has in Dagster: all rooms of it, and the job that runs the whole loop."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.availability import assets as slots
from calcom_pipeline.defs.availability import checks as availability_checks
from calcom_pipeline.defs.availability import jobs as availability_jobs
from calcom_pipeline.defs.availability import sensors as availability_sensors
from calcom_pipeline.defs.bookings import assets as bookings
from calcom_pipeline.defs.bookings import checks as booking_checks
from calcom_pipeline.defs.bookings import history
from calcom_pipeline.defs.bookings import jobs as booking_jobs
from calcom_pipeline.defs.bookings import sensors as booking_sensors
from calcom_pipeline.defs.event_types import assets as event_types
from calcom_pipeline.defs.event_types import checks as event_type_checks
from calcom_pipeline.defs.event_types import jobs as event_type_jobs
from calcom_pipeline.defs.event_types import sensors as event_type_sensors
from calcom_pipeline.defs.maintenance import failing_checks, health, outside, retention, standstills
from calcom_pipeline.defs.resources import resources
from calcom_pipeline.defs.services import assets as services
from calcom_pipeline.defs.services import checks as service_checks
from calcom_pipeline.defs.services import jobs as service_jobs
from calcom_pipeline.defs.services import sensors as service_sensors
from calcom_pipeline.defs.webhooks import jobs as webhook_jobs
from calcom_pipeline.defs.webhooks import sensors as webhook_sensors
from calcom_pipeline.defs.webhooks import subscriptions

_ASSETS = (outside, services, event_types, bookings, history, slots, subscriptions)
_CHECKS = (service_checks, event_type_checks, booking_checks, availability_checks, subscriptions, outside)
_JOBS = (service_jobs, event_type_jobs, booking_jobs, availability_jobs, webhook_jobs, health, retention)
_SCHEDULES = (service_jobs, booking_jobs, availability_jobs, webhook_jobs, health, retention)
_SENSORS = (
    service_sensors,
    availability_sensors,
    booking_sensors,
    event_type_sensors,
    webhook_sensors,
    standstills,
    failing_checks,
)


def of_account(account: Account) -> dg.Definitions:
    """Everything of an account; the upkeep of the first deletes the instance's old runs too."""
    full_sync = dg.define_asset_job(
        account.named("full_sync"),
        selection=account.selection("service_plan", "service_sync", "event_types", "bookings", "slots"),
        description="The whole loop, once: services, event types, slots, bookings.",
    )
    return dg.Definitions(
        assets=[each for room in _ASSETS for each in room.assets(account)],
        asset_checks=[each for room in _CHECKS for each in room.checks(account)],
        jobs=[
            full_sync,
            *(each for room in _JOBS for each in room.jobs(account)),
        ],
        schedules=[each for room in _SCHEDULES for each in room.schedules(account)],
        sensors=[each for room in _SENSORS for each in room.sensors(account)],
        resources=resources(account),
    )
