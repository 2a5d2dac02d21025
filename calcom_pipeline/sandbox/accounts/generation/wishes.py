"""What a generated account shall be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountWishes:
    """`now` is the moment of the account's making, in milliseconds; children of managed types are not counted."""

    seed: int
    now: int
    event_types: int
    teams: int
    bookings: int
    organization: bool = False
    owner_key: str | None = None
