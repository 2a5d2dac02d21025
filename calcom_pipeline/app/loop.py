"""The order of one whole sync, the same for every face."""

from typing import Literal

Part = Literal["services", "event_types", "bookings", "caches", "slots"]

#: Services first, so that what they write is mirrored in the same loop. What has changed leaves the caches before slots
#: are fetched: those are newer than every change.
LOOP: tuple[Part, ...] = ("services", "event_types", "bookings", "caches", "slots")
