"""Finding the event type that a booking is for, and whether the caller may book it.

Facts: fact sheet 6.5.
"""

from typing import Any

from calcom_pipeline.sandbox.core.errors import (
    bad_request,
    forbidden,
    not_found,
    unauthorized,
    unprocessable,
)
from calcom_pipeline.sandbox.core.json_types import Json, is_list
from calcom_pipeline.sandbox.event_types.personal_api import may_read
from calcom_pipeline.sandbox.http.call import SandboxCall
from calcom_pipeline.sandbox.state.model import SandboxEventType, SandboxTeam, User
from calcom_pipeline.sandbox.state.world import World

_TEXT_KINDS = frozenset({"phone", "address", "text", "textarea", "url", "date"})
_LIST_KINDS = frozenset({"multiemail", "multiselect", "checkbox"})
_CHOICE_KINDS = frozenset({"select", "radio"})


def find_event_type(call: SandboxCall, body: Json) -> SandboxEventType:
    """The type that the body names; raises 404 with the text that fits the way of naming."""
    found = _named(call.world, body)
    if found is None:
        raise not_found(_missing(body))
    return found


def _named(world: World, body: Json) -> SandboxEventType | None:
    if body.get("eventTypeId"):
        return world.event_types.get(int(body["eventTypeId"]))
    if body.get("username"):
        user = _user(world, body)
        return next((one for one in world.event_types.of_owner(user.id) if one.slug == body["eventTypeSlug"]), None)
    team = _team(world, body)
    return next((one for one in world.event_types.of_team(team.id) if one.slug == body["eventTypeSlug"]), None)


def _user(world: World, body: Json) -> User:
    user = world.user_named(body["username"])
    slug = body.get("organizationSlug")
    organization = world.organization_named(slug) if slug else None
    if user is None or (slug and (organization is None or user.organization_id != organization.id)):
        raise not_found(f"User with username {body['username']} not found")
    return user


def _team(world: World, body: Json) -> SandboxTeam:
    slug = body.get("organizationSlug")
    organization = world.organization_named(slug) if slug else None
    if slug and organization is None:
        raise not_found(f"slots-input.service.ts: Organization with slug {slug} not found")
    team = world.team_named(body["teamSlug"])
    if team is None or (organization is not None and team.organization_id != organization.id):
        raise not_found(f"Team with slug {body['teamSlug']} not found")
    return team


def _missing(body: Json) -> str:
    if body.get("eventTypeId"):
        return f"Event type with id {body['eventTypeId']} not found."
    within = f" within organization {body['organizationSlug']}" if body.get("organizationSlug") else ""
    owner = f"user {body['username']}" if body.get("username") else f"team {body['teamSlug']}"
    return f"Event type with slug {body['eventTypeSlug']} belonging to {owner}{within} not found."


def check_bookable(call: SandboxCall, event_type: SandboxEventType) -> None:
    """Refuses types that cannot be booked at all, or not by this caller."""
    if event_type.requires_authentication:
        _check_caller(call, event_type)
    if event_type.scheduling == "managed":
        raise bad_request(
            f"Event type with id={event_type.id} is the parent managed event type that can't be booked. You have to "
            "provide the child event type id aka id of event type that has been assigned to one of the users."
        )
    if event_type.team_id is not None and not call.world.host_ids(event_type):
        raise unprocessable(
            "Can't book this team event type because it has no hosts. Please, add at least 1 host to event type with "
            f"id={event_type.id} belonging to team with id={event_type.team_id} and try again."
        )


def _check_caller(call: SandboxCall, event_type: SandboxEventType) -> None:
    if call.user is None:
        raise unauthorized(
            "checkBookingRequiresAuthentication - request must be authenticated by passing credentials belonging to "
            "event type owner, host or team or org admin or owner."
        )
    if not may_read(call.world, call.user, event_type):
        raise forbidden(
            "checkBookingRequiresAuthentication - user is not authorized to access this event type. User has to be "
            "either event type owner, host, team admin or owner or org admin or owner."
        )


def check_length(event_type: SandboxEventType, wanted: int | None) -> int:
    """The booking's minutes; a length may be chosen only where several are offered."""
    if not wanted:
        return event_type.length
    if event_type.length_options is None:
        raise bad_request(
            "Can't specify 'lengthInMinutes' because event type does not have multiple possible lengths. Please, "
            "remove the 'lengthInMinutes' field from the request."
        )
    if wanted not in event_type.length_options:
        shown = ", ".join(str(option) for option in event_type.length_options)
        raise bad_request(
            "Provided 'lengthInMinutes' is not one of the possible lengths for the event type. The possible lengths "
            f"are: {shown}"
        )
    return int(wanted)


def check_responses(event_type: SandboxEventType, body: Json) -> None:
    """The answers to a type's own booking fields: required ones there, each of its kind; raises 400."""
    phone = body["attendee"].get("phoneNumber")
    given: Json = dict(body.get("bookingFieldsResponses") or {}) | {"attendeePhoneNumber": phone}
    for field in event_type.booking_fields:
        if field["editable"].startswith("system") and field["name"] != "smsReminderNumber":
            continue
        value = given.get(field["name"])
        if value is None and field["required"]:
            raise bad_request(_missing_response(event_type, field["name"]))
        if value is not None:
            _check_kind(field, value)


def _missing_response(event_type: SandboxEventType, name: str) -> str:
    if name in {"attendeePhoneNumber", "smsReminderNumber"}:
        return (
            'Missing attendee phone number - it is required by the event type. Pass it as "attendee.phoneNumber" '
            "string in the request."
        )
    return (
        f"Missing required booking field response: {name} - it is required by the event type booking fields, but "
        "missing in the bookingFieldsResponses. You can fetch the event type with ID "
        f"{event_type.id} to see the required fields."
    )


def _check_kind(field: Json, value: Any) -> None:
    kind = field["type"]
    expected, fits = _expected(kind, value)
    if not fits:
        raise bad_request(
            f"Invalid type for booking field '{field['name']}'. Expected type {expected} (compatible with field type "
            f"'{kind}'), but received {_typeof(value)}."
        )
    options = [option["value"] for option in is_list(field.get("options")) or []]
    if not options:
        return
    allowed = ", ".join(options)
    if kind in _CHOICE_KINDS and str(value) not in options:
        raise bad_request(
            f"Invalid option '{value}' for booking field '{field['name']}'. Allowed options are: {allowed}."
        )
    if kind in _LIST_KINDS and any(str(one) not in options for one in is_list(value) or []):
        raise bad_request(
            f"One or more invalid options for booking field '{field['name']}'. Allowed options are: {allowed}."
        )


def _expected(kind: str, value: Any) -> tuple[str, bool]:
    is_plain_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in _TEXT_KINDS:
        return "string", isinstance(value, str)
    if kind == "number":
        return "number", is_plain_number
    if kind == "boolean":
        return "boolean", isinstance(value, bool)
    if kind in _LIST_KINDS:
        return "array", isinstance(value, list)
    if kind in _CHOICE_KINDS:
        return "string or number", isinstance(value, str) or is_plain_number
    return "", True


def _typeof(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "object"
