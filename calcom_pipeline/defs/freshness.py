"""How old each asset may be, and why: Dagster's daemon colours what nobody has made for too long.

By the time of the last materialization, so it tells of a daemon, a schedule or a job that stands still; what is wrong
inside an asset is told by its checks. Warnings come after a few missed turns of the schedule, failures after so many
that nobody is likely to mend it by waiting.
"""

from dataclasses import dataclass
from datetime import timedelta

import dagster as dg


@dataclass(frozen=True, slots=True)
class Freshness:
    """Minutes until a warning and until a failure, and the reason."""

    warn_minutes: int
    fail_minutes: int
    why: str

    @property
    def policy(self) -> dg.FreshnessPolicy:
        """The same for Dagster."""
        return dg.FreshnessPolicy.time_window(
            fail_window=timedelta(minutes=self.fail_minutes), warn_window=timedelta(minutes=self.warn_minutes)
        )

    def metadata(self) -> dict[str, str]:
        """The reason, beside the asset."""
        return {"why it may be that old": self.why}


SERVICES = Freshness(50, 180, "Planned every 15 minutes by schedule, and within seconds of a change by a sensor.")
EVENT_TYPES = Freshness(75, 240, "Read every 30 minutes with the slots, and within minutes of a change by a sensor.")
BOOKINGS = Freshness(
    20, 60, "Read every 5 minutes by schedule; after an hour without, bookings are likely to be missing."
)
SLOTS = Freshness(75, 240, "Read every 30 minutes; the cache that websites read has lifetimes of its own.")
WEBHOOKS = Freshness(60, 240, "Looked at every 15 minutes; what a lost subscription misses is found by polling.")
