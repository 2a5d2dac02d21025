"""Where a booking takes place and what it is called.

Facts: fact sheet 4.4 and 6.5, recordings `03*`.
"""

import re
from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.state.model import SandboxEventType
from calcom_pipeline.sandbox.validation.rules import is_phone, is_url

CAL_VIDEO_LOCATION: Final = "integrations:daily"
# How Cal.com stores the kinds of location, and which member of the input says more.
_STORED: Final = {
    "address": ("inPerson", None),
    "attendeeAddress": ("attendeeInPerson", "address"),
    "attendeeDefined": ("somewhereElse", "location"),
    "attendeePhone": ("phone", "phone"),
    "link": ("link", None),
    "phone": ("userPhone", None),
    "organizersDefaultApp": ("conferencing", None),
    "integration": ("integrations:daily", None),
}
_OFFERED_MEMBER: Final = {"address": "address", "link": "link", "phone": "phone"}
_NAME_VARIABLE = re.compile(r"\{([^{}]*)\}")


def check_offered(event_type: SandboxEventType, given: Any) -> None:
    """A location object must be of a kind that the type offers; raises 400. A text passes (deprecated)."""
    location = is_object(given)
    if location is None:
        return
    kinds = [one["type"] for one in event_type.locations]
    if location["type"] not in kinds:
        raise bad_request(
            f"Booking location with type {location['type']} not valid for event type with id={event_type.id}. The "
            f"event type has following location types: {', '.join(kinds)}, and only these types are allowed for "
            "booking location."
        )
    if location["type"] == "integration":
        offered = [one["integration"] for one in event_type.locations if one["type"] == "integration"]
        if location.get("integration") not in offered:
            raise bad_request(
                f"Booking location with integration {location.get('integration')} not valid for event type with "
                f"id={event_type.id}. The event type has following integrations: {', '.join(offered)}, and only these "
                "integrations are allowed for booking location."
            )


def as_response(given: Any) -> Json | None:
    """The `{value, optionValue}` that is kept among the responses; None if the caller chose nothing."""
    if isinstance(given, str):
        if is_url(given) or given.startswith("www."):
            return {"value": "link", "optionValue": given}
        return {"value": "phone" if is_phone(given) else "somewhereElse", "optionValue": given}
    location = is_object(given)
    if location is None:
        return None
    value, member = _STORED[location["type"]]
    return {"value": value, "optionValue": location[member] if member else ""}


def stored_location(event_type: SandboxEventType, given: Any) -> str | None:
    """The text in the booking's location column."""
    if isinstance(given, str):
        return given
    location = is_object(given)
    if location is not None:
        member = _STORED[location["type"]][1]
        if member:
            return str(location[member])
        offered = next((one for one in event_type.locations if one["type"] == location["type"]), location)
    else:
        offered = event_type.locations[0] if event_type.locations else {"type": "integration"}
    member = _OFFERED_MEMBER.get(offered["type"])
    return str(offered[member]) if member else CAL_VIDEO_LOCATION


def video_url(location: str | None, booker_url: str, uid: str) -> str | None:
    """The video address kept in the metadata: Cal Video's own page, or the location if it is a web address."""
    if location == CAL_VIDEO_LOCATION:
        return f"{booker_url}/video/{uid}"
    return location if location and location.startswith(("http://", "https://")) else None


def title(event_type: SandboxEventType, *, host: str, attendee: str, location: str | None, minutes: int) -> str:
    """The booking's title, by the type's template or the usual one. `host` is the team for a collective type."""
    template = event_type.settings.get("customName")
    if not template:
        return f"{event_type.title} between {host} and {attendee}"
    values = {
        "Event type title": event_type.title,
        "Organiser": host,
        "Scheduler": attendee,
        "Organiser first name": host.partition(" ")[0],
        "Scheduler first name": attendee.partition(" ")[0],
        "Scheduler last name": attendee.rpartition(" ")[2],
        "Event duration": f"{minutes} mins",
        "Location": location or "",
        "LOCATION": location or "",
        "HOST": host,
        "USER": host,
        "ATTENDEE": attendee,
        "HOST/ATTENDEE": attendee,
    }
    return _NAME_VARIABLE.sub(lambda match: values.get(match[1], match[0]), template)
