"""Jobs: what runs together. All run in the run's own process: a process per step costs seconds and shares nothing."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg

from calcom_pipeline.defs.availability.assets import slots
from calcom_pipeline.defs.availability.invalidation import cache_invalidation
from calcom_pipeline.defs.bookings.assets import BookingsConfig, bookings, bookings_history
from calcom_pipeline.defs.event_types.assets import event_types
from calcom_pipeline.defs.maintenance.retention import retention
from calcom_pipeline.defs.services.assets import service_plan, service_sync
from calcom_pipeline.defs.webhooks.subscriptions import webhooks

full_sync = dg.define_asset_job(
    "full_sync",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(bookings_history, webhooks),
    description="The whole loop, once: services, event types, slots, bookings.",
)
bookings_mirror = dg.define_asset_job(
    "bookings_mirror", selection=[bookings], description="Bookings that changed since the last read."
)
bookings_reread = dg.define_asset_job(
    "bookings_reread",
    selection=[bookings],
    config=dg.RunConfig(ops={bookings.op.name: BookingsConfig(mode="reread")}),
    description="Bookings around now once more: seats, absences and deletions move no timestamp.",
)
bookings_full_read = dg.define_asset_job(
    "bookings_full_read",
    selection=[bookings],
    config=dg.RunConfig(ops={bookings.op.name: BookingsConfig(mode="full")}),
    description="All bookings anew: finds every deletion, and whatever no timestamp announces.",
)
bookings_backfill = dg.define_asset_job(
    "bookings_backfill",
    selection=[bookings_history],
    description="The history of bookings by month of creation; launch a backfill over its partitions.",
)
services_sync = dg.define_asset_job(
    "services_sync",
    selection=[service_plan, service_sync],
    description="Services that differ from their event types are planned and, where that is allowed, written.",
)
event_types_sync = dg.define_asset_job(
    "event_types_sync",
    selection=[service_plan, service_sync, event_types],
    description="Event types that changed at Cal.com: services follow, or tell of a conflict, and so does the mirror.",
)
slots_refresh = dg.define_asset_job(
    "slots_refresh", selection=[event_types, slots], description="Event types and their free starts."
)
webhook_subscriptions = dg.define_asset_job(
    "webhook_subscriptions", selection=[webhooks], description="One webhook subscription per scope, put right."
)

ALL = [
    full_sync,
    services_sync,
    event_types_sync,
    bookings_mirror,
    bookings_reread,
    bookings_full_read,
    bookings_backfill,
    slots_refresh,
    cache_invalidation,
    retention,
    webhook_subscriptions,
]
