"""A start that is held for somebody while he fills in a form."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A held start; all instants UTC. It ends by itself at `until`; a booking does not end it (fact sheet 5.2)."""

    uid: str
    event_type_id: int
    start: datetime
    end: datetime
    until: datetime
