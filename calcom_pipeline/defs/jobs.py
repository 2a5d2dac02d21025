"""Jobs: what runs together. All run in the run's own process: a process per step costs seconds and shares nothing."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg

from calcom_pipeline.defs.assets.availability import slots
from calcom_pipeline.defs.assets.mirrors import bookings, event_types

full_sync = dg.define_asset_job(
    "full_sync",
    selection=dg.AssetSelection.all(),
    description="Event types, slots and bookings: everything that is mirrored, once.",
)
bookings_mirror = dg.define_asset_job(
    "bookings_mirror", selection=[bookings], description="Bookings that changed since the last read."
)
slots_refresh = dg.define_asset_job(
    "slots_refresh", selection=[event_types, slots], description="Event types and their free starts."
)

ALL = [full_sync, bookings_mirror, slots_refresh]
