"""What a test may change behind the client's back: everything that could change in a real account by other hands.

A mutation takes a JSON object and answers one. Mistakes in the object raise ValueError, rows that are not there
LookupError. Times are ISO 8601 texts.
"""

import copy
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from calcom_pipeline.sandbox.control.selecting import bookings_of, check_names, instant, set_fields
from calcom_pipeline.sandbox.core.errors import ApiError
from calcom_pipeline.sandbox.core.json_types import Json, is_list
from calcom_pipeline.sandbox.core.times import MINUTE_MS, SECOND_MS, moment_of
from calcom_pipeline.sandbox.event_types import inputs
from calcom_pipeline.sandbox.event_types.personal_api import add, remove
from calcom_pipeline.sandbox.event_types.team_api import sync_children
from calcom_pipeline.sandbox.http.limiter import Limit
from calcom_pipeline.sandbox.runtime import Sandbox
from calcom_pipeline.sandbox.state.model import (
    ApiKey,
    Interval,
    Override,
    SandboxAttendee,
    SandboxBooking,
    SandboxEventType,
    SandboxHost,
    SandboxMembership,
    SandboxSchedule,
)
from calcom_pipeline.sandbox.validation import event_types as rules
from calcom_pipeline.sandbox.validation.engine import clean

Mutation = Callable[[Sandbox, Json], Json]
_NO_CHANGE: Final = object()
_BOOKING_FIELDS: Final = (
    "title", "description", "status", "location", "cancellation_reason", "cancelled_by", "rejection_reason",
    "rescheduled", "rescheduled_to", "rescheduled_from", "rescheduled_by", "absent_host", "rating", "metadata",
    "responses", "user_id", "event_type_id",
)  # fmt: skip
_BOOKING_TIMES: Final = ("start", "end", "created")
_PACES: Final = ("insert_seconds", "rows_seconds")
_SWITCHES: Final = ("team_lists_filter_updates", "refuse_local_webhooks")


def update_bookings(sandbox: Sandbox, body: Json) -> Json:
    """Changes bookings: `set` by field, `updated` to an instant or null (without it: now, the same for all)."""
    changes: Json = body.pop("set", {})
    asked = body.pop("updated", _NO_CHANGE)
    updated = sandbox.clock.now() if asked is _NO_CHANGE else instant(asked)
    found = bookings_of(sandbox.world, body)
    table = sandbox.world.bookings
    if not changes:
        table.stamp(found, updated)
        return {"bookings": len(found)}
    times = {name: instant(changes.pop(name)) for name in _BOOKING_TIMES if name in changes}
    check_names(changes, _BOOKING_FIELDS)
    for position in found:
        booking = table.at(position)
        set_fields(booking, changes, _BOOKING_FIELDS)
        for name, value in times.items():
            setattr(booking, name, value)
        booking.updated = updated
        table.save(booking)
    return {"bookings": len(found)}


def delete_bookings(sandbox: Sandbox, body: Json) -> Json:
    """Removes bookings from the database, as no API call does."""
    found = bookings_of(sandbox.world, body)
    for position in found:
        sandbox.world.bookings.delete(sandbox.world.bookings.at(position))
    return {"bookings": len(found)}


def add_booking(sandbox: Sandbox, body: Json) -> Json:
    """Adds a booking without asking whether it may be: `event_type_id`, `start`, `name`, `email`, `set`."""
    world, now = sandbox.world, sandbox.clock.now()
    event_type = world.event_types[int(body["event_type_id"])]
    start = instant(body["start"]) or now
    hosts = world.host_ids(event_type)
    organizer = world.users[int(body.get("user_id") or hosts[0])]
    name, email = str(body.get("name", "Otto Other")), str(body.get("email", "otto@example.org"))
    uid = sandbox.ids.booking_uid()
    booking = SandboxBooking(
        id=world.sequences.take("booking"),
        uid=uid,
        title=f"{event_type.title} between {organizer.name} and {name}",
        start=start,
        end=start + int(body.get("minutes") or event_type.length) * MINUTE_MS,
        created=now,
        updated=now,
        status="accepted",
        event_type_id=event_type.id,
        user_id=organizer.id,
        attendees=[SandboxAttendee(world.sequences.take("attendee"), name, email, organizer.time_zone)],
        responses={"name": name, "email": email},
        ical_uid=f"{uid}@Cal.com",
    )
    set_fields(booking, body.get("set", {}), _BOOKING_FIELDS)
    if "updated" in body:
        booking.updated = instant(body["updated"])
    world.bookings.add(booking)
    return {"id": booking.id, "uid": booking.uid}


def set_attendees(sandbox: Sandbox, body: Json) -> Json:
    """Makes `emails` the attendees of the booking `uid`; as with seats, no timestamp moves (fact sheet 6.9)."""
    world = sandbox.world
    booking = world.bookings.find_uid(str(body["uid"]))
    if booking is None:
        raise LookupError(f"No booking {body['uid']}")
    zone = world.users[booking.user_id].time_zone if booking.user_id in world.users else "UTC"
    emails = [str(one) for one in is_list(body["emails"]) or []]
    booking.attendees = [
        SandboxAttendee(world.sequences.take("attendee"), one.partition("@")[0], one, zone) for one in emails
    ]
    world.bookings.save(booking)
    return {"uid": booking.uid}


def update_event_type(sandbox: Sandbox, body: Json) -> Json:
    """Writes members of the API's body to an event type `id`; `hosts` are user ids."""
    event_type = sandbox.world.event_types[int(body["id"])]
    given: Json = dict(body.get("set", {}))
    kind = rules.team_body if event_type.team_id else rules.personal_body
    try:
        inputs.write(event_type, clean(kind(given, creating=False), given), creating=False)
    except ApiError as error:
        raise ValueError(error.message) from error
    if "hosts" in body:
        event_type.hosts = [SandboxHost(int(one), created=sandbox.clock.now()) for one in is_list(body["hosts"]) or []]
    if event_type.scheduling == "managed":
        sync_children(sandbox.world, event_type)
    sandbox.world.touch_event_types()
    sandbox.reshuffle_rows(event_type.id)
    return {"id": event_type.id}


def add_event_type(sandbox: Sandbox, body: Json) -> Json:
    """Adds an event type of the user `owner_id` from the API's body `set`, without a client's call."""
    event_type = SandboxEventType(0, 0, "", "", owner_id=int(body["owner_id"]), created=sandbox.clock.now())
    given: Json = dict(body.get("set", {}))
    try:
        inputs.write(event_type, clean(rules.personal_body(given, creating=True), given), creating=True)
    except ApiError as error:
        raise ValueError(error.message) from error
    add(sandbox.world, event_type)
    sandbox.reshuffle_rows()
    return {"id": event_type.id}


def delete_event_type(sandbox: Sandbox, body: Json) -> Json:
    """Removes an event type; its bookings stay and lose their reference."""
    remove(sandbox.world, sandbox.world.event_types[int(body["id"])])
    sandbox.reshuffle_rows()
    return {}


def shuffle_rows(sandbox: Sandbox, _: Json) -> Json:
    """Makes unsorted lists come in another order, as a write to any row may."""
    was, sandbox.shuffles_rows = sandbox.shuffles_rows, True
    sandbox.reshuffle_rows()
    sandbox.shuffles_rows = was
    return {}


def set_schedule(sandbox: Sandbox, body: Json) -> Json:
    """Sets `time_zone`, `intervals` or `overrides` of the schedule `id` (minutes after midnight; 0 is Sunday)."""
    world = sandbox.world
    schedule_id = int(body["id"])
    schedule = world.schedules.get(schedule_id)
    if schedule is None:
        owner = world.users[int(body["owner_id"])]
        schedule = world.schedules[schedule_id] = SandboxSchedule(schedule_id, owner.id, "Hours", owner.time_zone, [])
    if "time_zone" in body:
        schedule.time_zone = str(body["time_zone"])
    if "intervals" in body:
        schedule.intervals = [Interval(list(one["days"]), one["start"], one["end"]) for one in body["intervals"]]
    if "overrides" in body:
        schedule.overrides = [
            Override(date.fromisoformat(one["day"]), one["start"], one["end"]) for one in body["overrides"]
        ]
    return {"id": schedule_id}


def set_user(sandbox: Sandbox, body: Json) -> Json:
    """Changes the user `id`: `set` by field."""
    user = sandbox.world.users[int(body["id"])]
    allowed = ("username", "name", "email", "time_zone", "schedule_id", "week_start", "organization_id")
    set_fields(user, body.get("set", {}), allowed)
    sandbox.world.touch_event_types()
    return {"id": user.id}


def set_membership(sandbox: Sandbox, body: Json) -> Json:
    """Gives the user `user_id` a `role` in the team `team_id`; without a role takes the membership away."""
    world = sandbox.world
    user_id, team_id = int(body["user_id"]), int(body["team_id"])
    held = next((m for m in world.memberships.values() if (m.user_id, m.team_id) == (user_id, team_id)), None)
    if body.get("role") is None:
        if held is not None:
            del world.memberships[held.id]
    elif held is None:
        new = SandboxMembership(
            world.sequences.take("membership"), world.users[user_id].id, world.teams[team_id].id, "MEMBER"
        )
        world.memberships[new.id] = held = new
    if held is not None and body.get("role") is not None:
        set_fields(held, {"role": body["role"], "accepted": bool(body.get("accepted", True))}, ("role", "accepted"))
    world.touch_event_types()
    return {}


def set_key(sandbox: Sandbox, body: Json) -> Json:
    """Adds or changes the key `name`: its `user_id`, `limits`, `expired`, or with `gone` revokes it."""
    world = sandbox.world
    held = next((key for key in world.keys.values() if key.name == body["name"]), None)
    if held is None:
        text = str(body.get("key") or "cal_" + sandbox.ids.uuid().replace("-", ""))
        held = world.keys[text] = ApiKey(text, world.users[int(body["user_id"])].id, str(body["name"]))
    if body.get("gone"):
        del world.keys[held.key]
        return {}
    if "user_id" in body:
        held.user_id = world.users[int(body["user_id"])].id
    if "limits" in body:
        held.limits = [_limit(one) for one in body["limits"]]
    if "expired" in body:
        yesterday = moment_of(sandbox.clock.now()).date() - timedelta(days=1)
        held.expires_day = yesterday if body["expired"] else None
    return {"key": held.key}


def _limit(given: Json) -> Limit:
    usual = Limit()
    return Limit(
        str(given.get("name", usual.name)),
        int(given.get("hits", usual.hits)),
        round(float(given.get("window_seconds", usual.window_ms / SECOND_MS)) * SECOND_MS),
        round(float(given.get("block_seconds", usual.block_ms / SECOND_MS)) * SECOND_MS),
    )


def set_sequence(sandbox: Sandbox, body: Json) -> Json:
    """Sets the next id of a table: `event_type`, `booking`, `attendee` or `membership`."""
    set_fields(sandbox.world.sequences, {str(body["name"]): int(body["next"])},
               ("event_type", "booking", "attendee", "membership"))  # fmt: skip
    return {}


def set_switch(sandbox: Sandbox, body: Json) -> Json:
    """Turns a behaviour of other builds of Cal.com on or off (see `runtime.Switches`)."""
    set_fields(sandbox.switches, {str(body["name"]): bool(body.get("on", True))}, _SWITCHES)
    return {}


def set_pace(sandbox: Sandbox, body: Json) -> Json:
    """Sets `insert_seconds` or `rows_seconds` (see `runtime.Sandbox`); answers what they were."""
    check_names(body, _PACES)
    before = {name: getattr(sandbox, name) for name in body}
    set_fields(sandbox, {name: float(value) for name, value in body.items()}, _PACES)
    return before


def read_booking(sandbox: Sandbox, body: Json) -> Json:
    """Bookings as they are in the database, whoever asks."""
    table = sandbox.world.bookings
    return {"bookings": [copy.deepcopy(table.at(position)) for position in bookings_of(sandbox.world, body)]}


MUTATIONS: Final[dict[str, Mutation]] = {
    mutation.__name__: mutation
    for mutation in (
        update_bookings,
        delete_bookings,
        add_booking,
        read_booking,
        set_attendees,
        update_event_type,
        add_event_type,
        delete_event_type,
        shuffle_rows,
        set_schedule,
        set_user,
        set_membership,
        set_key,
        set_sequence,
        set_switch,
        set_pace,
    )
}


def run(sandbox: Sandbox, body: dict[str, Any]) -> Json:
    """Runs the mutation that `do` names with the rest of the object."""
    name = str(body.pop("do", None))
    mutation = MUTATIONS.get(name)
    if mutation is None:
        raise ValueError(f"Unknown mutation {name!r}; there are {', '.join(sorted(MUTATIONS))}")
    return mutation(sandbox, body)
