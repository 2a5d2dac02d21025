"""Do deliveries arrive? What changed is held against what was delivered, and polling looks less or more often."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from calcom_pipeline.domain.reasons import Reason

#: Changes that always fire a trigger which names their booking (fact sheet 7.2).
ExpectedChange = Literal["created", "cancelled", "rejected"]


@dataclass(frozen=True, slots=True)
class Change:
    """A change that a delivery has to name. `happened_at` by Cal.com's clock, UTC."""

    uid: str
    kind: ExpectedChange
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Changes of some hours that are old enough to be judged. `in_a_row`: named since the last that was not."""

    named: int = 0
    lost: int = 0
    in_a_row: int = 0
    last_lost_at: datetime | None = None

    @property
    def expected(self) -> int:
        """All of them."""
        return self.named + self.lost

    @property
    def lost_percent(self) -> float:
        """Share of those that no delivery has named; 0 where nothing changed."""
        return 100.0 * self.lost / self.expected if self.expected else 0.0

    @property
    def are_silent(self) -> bool:
        """Something changed, and nothing of it was delivered."""
        return self.lost > 0 and self.named == 0


@dataclass(frozen=True, slots=True)
class LookRules:
    """The distance of two looks of polling: the shortest, and the longest while deliveries are proven to arrive."""

    shortest: timedelta
    longest: timedelta


def look_distance(arrivals: Arrivals, rules: LookRules, *, subscribed: bool) -> tuple[timedelta, Reason]:
    """How far apart polling looks for changed bookings, and why.

    Each change in a row that a delivery has named doubles the distance. A single lost one makes it the shortest again,
    and so does a time without changes, since nothing is proven by it: proofs are only as old as `Arrivals` reach back.
    """
    if not subscribed:
        return rules.shortest, Reason("sweep_not_subscribed")
    if not arrivals.expected:
        return rules.shortest, Reason("sweep_unproven")
    if not arrivals.in_a_row:
        return rules.shortest, Reason("sweep_lost", lost=arrivals.lost, expected=arrivals.expected)
    distance = rules.shortest
    for _ in range(arrivals.in_a_row):
        if distance >= rules.longest:
            break
        distance = min(2 * distance, rules.longest)
    return distance, Reason("sweep_proven", number=arrivals.in_a_row)
