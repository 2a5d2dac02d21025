"""Jobs: what runs together. All run in the run's own process: a process per step costs seconds and shares nothing."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg

from calcom_pipeline.defs.assets.availability import slots
from calcom_pipeline.defs.assets.bookings import bookings
from calcom_pipeline.defs.assets.mirrors import event_types
from calcom_pipeline.defs.assets.services import service_plan, service_sync
from calcom_pipeline.defs.invalidation import cache_invalidation

full_sync = dg.define_asset_job(
    "full_sync",
    selection=dg.AssetSelection.all(),
    description="The whole loop, once: services, event types, slots, bookings.",
)
bookings_mirror = dg.define_asset_job(
    "bookings_mirror", selection=[bookings], description="Bookings that changed since the last read."
)
services_sync = dg.define_asset_job(
    "services_sync",
    selection=[service_plan, service_sync],
    description="Services that differ from their event types are planned and, where that is allowed, written.",
)
slots_refresh = dg.define_asset_job(
    "slots_refresh", selection=[event_types, slots], description="Event types and their free starts."
)

ALL = [full_sync, services_sync, bookings_mirror, slots_refresh, cache_invalidation]
