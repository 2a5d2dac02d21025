"""Bookings of which nobody knows yet whether they were made."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OpenOutcome:
    """A create that ended in doubt. `key` stands in the booking's metadata, if there is one. Instants are UTC."""

    key: str
    event_type_id: int
    start: datetime
    opened_at: datetime
    looks: int = 0
