"""From a validated body to an event type: what is written, what is refused, what vanishes.

Facts: fact sheet 4.1, 4.3.
"""

import re
from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import bad_request, database_error, not_found
from calcom_pipeline.sandbox.core.json_types import Json, holds_nul, is_list, is_object
from calcom_pipeline.sandbox.event_types.fields import check_email_visible, default_fields, stored_fields
from calcom_pipeline.sandbox.state.model import SandboxEventType
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation.rules import is_number, is_whole

_LARGEST_INT: Final = 2**31 - 1
_DAYS_OF_A_RANGE: Final = 2
CAL_VIDEO: Final = {"type": "integration", "integration": "cal-video"}
_LEADING = re.compile(r"^[\s\-._]+")
_VARIABLES: Final = frozenset(
    {
        "Event type title", "Organiser", "Scheduler", "Location", "Organiser first name", "Scheduler first name",
        "Scheduler last name", "Event duration", "LOCATION", "HOST/ATTENDEE", "HOST", "ATTENDEE", "USER",
    }
)  # fmt: skip
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_APP_SLUGS: Final = {
    "office365-video": "msteams", "facetime-video": "facetime", "whereby-video": "whereby",
    "whatsapp-video": "whatsapp", "webex-video": "webex", "telegram-video": "telegram",
    "sylaps-video": "sylapsvideo", "skype-video": "skype", "sirius-video": "sirius_video", "signal-video": "signal",
    "shimmer-video": "shimmervideo", "salesroom-video": "salesroom", "roam-video": "roam",
    "riverside-video": "riverside", "ping-video": "ping", "mirotalk-video": "mirotalk", "jelly-video": "jelly",
    "jelly-conferencing": "jelly", "huddle": "huddle01", "element-call-video": "element-call",
    "eightxeight-video": "eightxeight", "discord-video": "discord", "demodesk-video": "demodesk",
    "campfire-video": "campfire",
}  # fmt: skip
# Body members that are one attribute of the row, under another name or the same.
_PLAIN: Final = {
    "lengthInMinutes": "length",
    "lengthInMinutesOptions": "length_options",
    "title": "title",
    "description": "description",
    "slotInterval": "slot_interval",
    "minimumBookingNotice": "notice",
    "beforeEventBuffer": "before_buffer",
    "afterEventBuffer": "after_buffer",
    "scheduleId": "schedule_id",
    "onlyShowFirstAvailableSlot": "only_first_slot",
    "offsetStart": "offset_start",
    "hidden": "hidden",
    "bookingRequiresAuthentication": "requires_authentication",
    "locations": "locations",
    "assignAllTeamMembers": "assign_all",
}
_SETTINGS: Final = (
    "requiresBookerEmailVerification", "hideCalendarNotes", "lockTimeZoneToggleOnBookingPage", "customName",
    "useDestinationCalendarEmail", "hideCalendarEventDetails", "successRedirectUrl",
    "hideOrganizerEmail", "bookerLayouts", "interfaceLanguage", "allowReschedulingPastBookings",
    "allowReschedulingCancelledBookings", "showOptimizedSlots", "emailSettings", "rescheduleWithSameRoundRobinHost",
)  # fmt: skip


def clean_slug(slug: str) -> str:
    """Only leading dots, dashes, underscores and white space go."""
    return _LEADING.sub("", slug).rstrip()


def check_apps(body: Json) -> None:
    """Conferencing apps other than Cal Video must be connected, and none is here; raises 400."""
    for location in is_list(body.get("locations")) or []:
        integration = location.get("integration")
        if location["type"] == "integration" and integration != CAL_VIDEO["integration"]:
            raise bad_request(f"{_APP_SLUGS.get(integration, integration)} not connected.")


def check_combinations(event_type: SandboxEventType) -> None:
    """Seats go neither with several locations nor with a confirmation; raises 400."""
    if event_type.seats_per_slot and len(event_type.locations) > 1:
        raise bad_request("Seats Validation failed: Seats are enabled but more than one location provided.")
    if event_type.seats_per_slot and event_type.confirmation:
        raise bad_request("Seats Validation failed: Seats are enabled but requiresConfirmation is true.")
    name = event_type.settings.get("customName")
    unknown = [f"{{{v}}}" for v in _VARIABLE.findall(name or "") if v not in _VARIABLES]
    if unknown:
        raise bad_request(f"Invalid event name variables: {unknown[0]}")


def check_calendar(body: Json) -> None:
    """No calendar is connected to a sandbox's users, so none can be chosen; raises 400."""
    if body.get("destinationCalendar") not in (None, "", 0):
        raise bad_request("Invalid destinationCalendarId: Calendar does not exist")
    if body.get("useDestinationCalendarEmail"):
        raise bad_request(
            "Validation failed: A primary connected calendar is required to set useDestinationCalendarEmail"
        )


def check_schedule(world: World, user_id: int, schedule_id: int | None) -> None:
    """A schedule must be the caller's own; raises 404."""
    schedule = world.schedules.get(schedule_id or 0)
    if schedule_id and (schedule is None or schedule.owner_id != user_id):
        raise not_found(f"User with ID={user_id} does not own schedule with ID={schedule_id}")


def write(event_type: SandboxEventType, body: Json, *, creating: bool) -> None:
    """Writes what a validated body says to a row. Members that are missing change nothing.

    Raises 500 for what the database refuses: numbers beyond its columns, and (guess: recorded for bookings alone, with
    another text) a NUL anywhere in a text.
    """
    if any(_is_too_large(body.get(member)) for member in _PLAIN) or holds_nul(body):
        raise database_error()
    for member, attribute in _PLAIN.items():
        if body.get(member) is not None:
            setattr(event_type, attribute, body[member])
    if body.get("slug") is not None:
        event_type.slug = clean_slug(body["slug"])
    for member in _SETTINGS:
        if body.get(member) is not None:
            event_type.settings[member] = body[member]
    _write_fields(event_type, body, creating=creating)
    _write_unions(event_type, body)
    _write_switches(event_type, body)
    if body.get("color") is not None:
        event_type.settings["color"] = _color(body["color"])


def _is_too_large(value: Any) -> bool:
    """PostgreSQL keeps these numbers in 32 bits; what does not fit fails there."""
    return isinstance(value, (int, float)) and abs(value) > _LARGEST_INT


def _write_fields(event_type: SandboxEventType, body: Json, *, creating: bool) -> None:
    fields, disable_guests = body.get("bookingFields"), body.get("disableGuests")
    if fields is not None or disable_guests is not None:
        event_type.booking_fields = stored_fields(fields, hide_guests=disable_guests)
        if event_type.owner_id is not None:
            check_email_visible(event_type.booking_fields)
    elif creating:
        event_type.booking_fields = default_fields()
    if disable_guests is not None:
        event_type.disable_guests = disable_guests


def _write_unions(event_type: SandboxEventType, body: Json) -> None:
    for member, attribute in (("bookingLimitsCount", "limits_count"), ("bookingLimitsDuration", "limits_duration")):
        limits = is_object(body.get(member))
        if limits is not None:
            setattr(event_type, attribute, _limits(limits))
    window = is_object(body.get("bookingWindow"))
    if window is not None:
        event_type.window = None if window.get("disabled") else _window(window)
    policy = is_object(body.get("confirmationPolicy"))
    if policy is not None:
        event_type.confirmation = None if policy.get("disabled") else _only(policy, _POLICY_KEYS)
    seats = is_object(body.get("seats"))
    if seats is not None:
        _write_seats(event_type, seats)
    recurrence = is_object(body.get("recurrence"))
    if recurrence is not None and "interval" in recurrence:  # a series cannot be switched off over the API
        event_type.recurrence = _only(recurrence, _RECURRENCE_KEYS)
    booker = is_object(body.get("bookerActiveBookingsLimit"))
    if booker is not None:
        event_type.booker_limit = None if booker.get("disabled") else _only(booker, _BOOKER_KEYS)


_LIMIT_KEYS: Final = ("day", "week", "month", "year")
_POLICY_KEYS: Final = ("type", "noticeThreshold", "blockUnconfirmedBookingsInBooker")
_SEAT_KEYS: Final = ("seatsPerTimeSlot", "showAttendeeInfo", "showAvailabilityCount")
_RECURRENCE_KEYS: Final = ("interval", "occurrences", "frequency")
_BOOKER_KEYS: Final = ("maximumActiveBookings", "offerReschedule")


def _limits(limits: Json) -> Json | None:
    """As they are stored; what cannot be read back (a text where a number belongs) is as good as not there."""
    if limits.get("disabled"):
        return {}
    given = {unit: limits[unit] for unit in _LIMIT_KEYS if unit in limits}
    return given if all(is_number(value) for value in given.values()) else None


def _write_seats(event_type: SandboxEventType, seats: Json) -> None:
    if seats.get("disabled"):
        event_type.seats = None
    elif "seatsPerTimeSlot" in seats:
        event_type.seats = _only(seats, _SEAT_KEYS)


def _color(given: Any) -> Json | None:
    """Two texts; anything else is stored and cannot be read back."""
    color = is_object(given) or {}
    shades = {name: color.get(name) for name in ("lightThemeHex", "darkThemeHex")}
    return shades if all(isinstance(shade, str) for shade in shades.values()) else None


def _only(given: Json, keys: tuple[str, ...]) -> Json:
    return {key: given[key] for key in keys if given.get(key) is not None}


def _window(window: Json) -> Json:
    if window["type"] == "range":
        days = [str(day)[:10] for day in window["value"]]
        if len(days) < _DAYS_OF_A_RANGE:  # Guess: no second day is an invalid date, which the database refuses
            raise database_error()
        return {"type": "range", "value": days[:_DAYS_OF_A_RANGE]}
    if not is_whole(window["value"]) or _is_too_large(window["value"]):
        raise database_error()
    return {"type": window["type"], "value": window["value"], "rolling": bool(window.get("rolling"))}


def _write_switches(event_type: SandboxEventType, body: Json) -> None:
    settings: dict[str, Any] = event_type.settings
    cancelling, moving = is_object(body.get("disableCancelling")), is_object(body.get("disableRescheduling"))
    if cancelling is not None:
        settings["disableCancelling"] = cancelling.get("disabled") is True
    if moving is not None:
        always = moving.get("disabled") is True
        settings["disableRescheduling"] = always
        settings["minimumRescheduleNotice"] = None if always else moving.get("minutesBefore")
    video = is_object(body.get("calVideoSettings"))
    if video is not None:
        rest = {key: value for key, value in video.items() if key != "sendTranscriptionEmails"}
        if rest:
            settings["calVideoSettings"] = rest
        if video.get("sendTranscriptionEmails") is not None:
            settings["sendTranscriptionEmails"] = video["sendTranscriptionEmails"]
