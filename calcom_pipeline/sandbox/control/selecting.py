"""How a mutation names bookings and values: by ids, uids, event type, or simply how many."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import parse_iso
from calcom_pipeline.sandbox.state.bookings import BookingTable
from calcom_pipeline.sandbox.state.columns import STATUS_CODES
from calcom_pipeline.sandbox.state.world import World


def instant(value: Any) -> int | None:
    """Milliseconds from an ISO 8601 text; null stays null. Raises ValueError for anything else."""
    if value is None:
        return None
    moment = parse_iso(value) if isinstance(value, str) else None
    if moment is None:
        raise ValueError(f"Not an ISO 8601 instant: {value!r}")
    return moment


def set_fields(target: Any, changes: Json, allowed: Iterable[str]) -> None:
    """Writes plain fields; raises ValueError for one that is not offered."""
    check_names(changes, allowed)
    for name, value in changes.items():
        setattr(target, name, value)


def check_names(changes: Json, allowed: Iterable[str]) -> None:
    """Raises ValueError for a field that is not offered."""
    names = tuple(allowed)
    for name in changes:
        if name not in names:
            raise ValueError(f"Unknown field {name!r}; there are {', '.join(names)}")


def bookings_of(world: World, where: Json) -> list[int]:
    """Positions of the living bookings that fit all of `ids`, `uids`, `event_type_id`, `status`, at most `count`.

    Without any of them all bookings are meant. Raises LookupError for an id or uid that is not there.
    """
    table = world.bookings
    columns = table.columns
    chosen = columns.alive.copy()
    if "ids" in where:
        chosen &= _mask(len(chosen), (_position(table, int(one)) for one in where["ids"]))
    if "uids" in where:
        chosen &= _mask(len(chosen), (_position_of_uid(table, str(one)) for one in where["uids"]))
    if "event_type_id" in where:
        chosen &= columns.event_type == int(where["event_type_id"])
    if "status" in where:
        chosen &= columns.status == STATUS_CODES[where["status"]]
    found: list[int] = np.flatnonzero(chosen).tolist()
    return found[: int(where["count"])] if "count" in where else found


def _mask(length: int, positions: Iterable[int]) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    found = np.zeros(length, dtype=np.bool_)
    found[list(positions)] = True
    return found


def _position(table: BookingTable, booking_id: int) -> int:
    booking = table.find_id(booking_id)
    if booking is None:
        raise LookupError(f"No booking {booking_id}")
    return table.position_of(booking)


def _position_of_uid(table: BookingTable, uid: str) -> int:
    booking = table.find_uid(uid)
    if booking is None:
        raise LookupError(f"No booking {uid}")
    return table.position_of(booking)
