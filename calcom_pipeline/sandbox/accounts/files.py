"""Your own account from a JSON file: users, teams, memberships, schedules, keys, event types, bookings, webhooks.

Tables are lists of rows whose members are those of `state.model` (times in milliseconds, hours in minutes). Event
types may instead be bodies of the API: `{"user": 1, "body": {…}}` or `{"team": 2, "kind": "roundRobin",
"hosts": [1, 2], "body": {…}}`; a missing `schedule` is Monday to Friday, 9 to 17.
"""

from pathlib import Path
from typing import Any, Final

import orjson

from calcom_pipeline.sandbox.accounts.making import add_for_team, add_personal
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.state.codec import from_plain
from calcom_pipeline.sandbox.state.model import (
    ApiKey,
    Interval,
    Reservation,
    SandboxBooking,
    SandboxEventType,
    SandboxHost,
    SandboxMembership,
    SandboxSchedule,
    SandboxTeam,
    SandboxWebhook,
    User,
)
from calcom_pipeline.sandbox.state.world import Sequences, World

_WORKDAYS: Final = [1, 2, 3, 4, 5]
_OPENS, _CLOSES = 9 * 60, 17 * 60
TABLES: Final[dict[str, type[Any]]] = {
    "users": User,
    "schedules": SandboxSchedule,
    "teams": SandboxTeam,
    "memberships": SandboxMembership,
    "keys": ApiKey,
    "webhooks": SandboxWebhook,
    "reservations": Reservation,
}


def build_file(path: Path, now: int) -> World:
    """The account in a file. Raises ValueError if it is none, OSError if it cannot be read."""
    try:
        found = is_object(orjson.loads(path.read_bytes()))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from error
    if found is None:
        raise ValueError(f"{path.name} must hold a JSON object")
    return read_account(found, now)


def read_account(found: Json, now: int) -> World:
    """The account that an object describes. Raises ValueError for what it cannot mean."""
    unknown = sorted(set(found) - {*TABLES, "event_types", "bookings", "sequences", "booker_url"})
    if unknown:
        raise ValueError(f"An account has no {', '.join(unknown)}")
    world = World()
    if "booker_url" in found:
        world.booker_url = str(found["booker_url"])
    read_tables(world, found)
    _complete(world)
    for given in found.get("event_types", []):
        _add_event_type(world, given, now)
    for given in found.get("bookings", []):
        booking = from_plain(SandboxBooking, given)
        world.bookings.add(booking)
        world.sequences.booking = max(world.sequences.booking, booking.id + 1)
        attendees = [attendee.id for attendee in booking.attendees]
        world.sequences.attendee = max([world.sequences.attendee, *(one + 1 for one in attendees)])
    if "sequences" in found:
        world.sequences = from_plain(Sequences, found["sequences"])
    _check(world)
    return world


def read_tables(world: World, found: Json) -> None:
    """Puts the rows of the small tables into the world; raises ValueError for a row that is none."""
    for name, kind in TABLES.items():
        table: dict[Any, Any] = getattr(world, name)
        for given in found.get(name, []):
            row = from_plain(kind, given)
            table[_key_of(row)] = row


def _key_of(row: Any) -> Any:
    if isinstance(row, ApiKey):
        return row.key
    return row.uid if isinstance(row, Reservation) else row.id


def _complete(world: World) -> None:
    for user in world.users.values():
        if user.schedule_id not in world.schedules:
            hours = [Interval(list(_WORKDAYS), _OPENS, _CLOSES)]
            world.schedules[user.schedule_id] = SandboxSchedule(
                user.schedule_id, user.id, "Working hours", user.time_zone, hours
            )
    world.sequences.membership = max(world.memberships, default=0) + 1


def _add_event_type(world: World, given: Json, now: int) -> None:
    if "body" not in given:
        row = from_plain(SandboxEventType, given)
        world.event_types.put(row)
        world.sequences.event_type = max(world.sequences.event_type, row.id + 1)
    elif "user" in given:
        add_personal(world, int(given["user"]), given["body"], now)
    else:
        hosts = [SandboxHost(int(one)) for one in given.get("hosts", [])]
        add_for_team(world, int(given["team"]), given["body"], given["kind"], hosts, now)
    world.touch_event_types()


def _check(world: World) -> None:
    """Raises ValueError for a reference that leads nowhere."""
    for key in world.keys.values():
        if key.user_id not in world.users:
            raise ValueError(f"Key {key.name!r} is of the unknown user {key.user_id}")
    for membership in world.memberships.values():
        if membership.user_id not in world.users or membership.team_id not in world.teams:
            raise ValueError(f"Membership {membership.id} joins an unknown user or team")
    for event_type in world.event_types.values():
        hosts = {host.user_id for host in event_type.hosts} | ({event_type.owner_id} - {None})
        if not hosts <= set(world.users) or (event_type.team_id or 0) not in {0, *world.teams}:
            raise ValueError(f"Event type {event_type.id} is of an unknown user or team")
