"""The values that cross every border: event types, bookings, slots and the people in them.

All instants are aware and in UTC. Lengths say their unit in their name. Nothing here knows where a value came
from; the wire shapes of Cal.com are `adapters/calcom/schemas.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """Who the key belongs to."""

    user_id: int
    username: str | None
    time_zone: str
    default_schedule_id: int | None = None
    organization_id: int | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """A team the key's user belongs to."""

    id: int
    slug: str | None
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Working hours; only its zone matters here, Cal.com computes the slots."""

    id: int
    time_zone: str
    is_default: bool
