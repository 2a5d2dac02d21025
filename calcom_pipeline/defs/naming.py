"""Names that come from the account: asset keys and the pool, so that several accounts live side by side."""

from calcom_pipeline.settings import load_settings

_SETTINGS = load_settings()

OWNERS = ["team:calcom-pipeline"]

#: The first month of the history of bookings.
HISTORY_FROM = _SETTINGS.backfill_from

#: Assets are `<account>/<table>`.
PREFIX = [_SETTINGS.account]

#: Seconds between two looks of a sensor at PostgreSQL, at Cal.com's bookings, at its event types.
LOOK_SECONDS = _SETTINGS.look_seconds
BOOKING_LOOK_SECONDS = _SETTINGS.booking_look
EVENT_TYPE_LOOK_SECONDS = _SETTINGS.event_type_look

#: Steps that talk to Cal.com share a pool per API key, as they share its budget.
POOL = f"calcom_api_{_SETTINGS.key_name}"
