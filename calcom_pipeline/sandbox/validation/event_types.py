"""The bodies and queries of event types, personal and of teams (version 2024-06-14).

Facts: fact sheet 4.3.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.json_types import Json, is_list, is_object
from calcom_pipeline.sandbox.core.times import is_iso_date
from calcom_pipeline.sandbox.validation.conversions import parse_int_if_given, split_list, to_number
from calcom_pipeline.sandbox.validation.engine import Field, Schema
from calcom_pipeline.sandbox.validation.event_type_parts import check_booking_fields, check_locations, throwing
from calcom_pipeline.sandbox.validation.rules import (
    ARRAY,
    BOOLEAN,
    EACH_INT,
    INT,
    NOT_EMPTY,
    NUMBER,
    STRING,
    UNIQUE,
    URL,
    Rule,
    at_least,
    at_most,
    is_in,
    is_number,
    object_rule,
    one_of,
)

MOST_SEATS: Final = 1_000
MOST_PER_PAGE: Final = 250
SORT_ORDERS: Final = ("asc", "desc")
_UNITS: Final = ("day", "week", "month", "year")
_LAYOUTS: Final = ("month", "week", "column")
_PRIORITIES: Final = ("lowest", "low", "medium", "high", "highest")
_SCHEDULING: Final = {"collective": "COLLECTIVE", "roundRobin": "ROUND_ROBIN", "managed": "MANAGED"}
LOCALES: Final = (
    "", "en", "ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "es", "es-419", "eu", "et", "fi", "fr", "he",
    "hu", "it", "ja", "km", "ko", "nl", "no", "pl", "pt-BR", "pt", "ro", "ru", "sk-SK", "sr", "sv", "tr", "uk", "vi",
    "zh-CN", "zh-TW",
)  # fmt: skip


def _first_disorder(limits: Json) -> tuple[str, str] | None:
    given = [(unit, limits[unit]) for unit in _UNITS if is_number(limits.get(unit)) and limits[unit]]
    for index, (unit, value) in enumerate(given):
        for longer, other in given[index + 1 :]:
            if value > other:
                return unit, longer
    return None


class _OrderedLimits:
    """A rule whose text depends on what is wrong: a shorter period must not hold more than a longer one."""

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self._what = what

    def rule_for(self, value: Any) -> Rule:
        limits = is_object(value)
        disorder = None if limits is None or "disabled" in limits else _first_disorder(limits)
        text = f"Invalid {self.name}"
        if disorder:
            unit, longer = disorder
            text += (
                f": The {self._what} of bookings for {unit} cannot exceed the {self._what} of bookings for {longer}."
            )
        validator = "ValidateBookingLimitsCount" if self._what == "number" else "ValidateBookingLimistsDuration"
        return Rule(validator, text, lambda _: limits is not None and disorder is None, own_text=True)


_COUNT = _OrderedLimits("bookingLimitsCount", "number")
_DURATION = _OrderedLimits("bookingLimitsDuration", "duration")


def _is_window(value: Json) -> bool:
    if value.get("disabled") is True:
        return True
    if value.get("type") in {"businessDays", "calendarDays"}:
        return is_number(value.get("value")) and isinstance(value.get("rolling", False), bool)
    days = is_list(value.get("value"))
    return value.get("type") == "range" and days is not None and all(is_iso_date(day) for day in days)


def _is_confirmation(value: Json) -> bool:
    if value.get("disabled") or value.get("type") == "always":
        return True
    threshold = is_object(value.get("noticeThreshold"))
    known = threshold is not None and is_number(threshold.get("count")) and isinstance(threshold.get("unit"), str)
    return value.get("type") == "time" and known


_WINDOW = object_rule("ValidateBookingWindow", "Invalid bookingWindow structure.", _is_window)
_CONFIRMATION = object_rule(
    "ValidateConfirmationPolicy",
    'Invalid requiresConfirmation structure. Use "type": "always" or provide a valid time and unit in '
    '"noticeThreshold" for "type": "time".',
    _is_confirmation,
)
_DISABLED = Schema((Field("disabled", (BOOLEAN,)),))
_SEATS = Schema(
    (
        Field("seatsPerTimeSlot", (at_most(MOST_SEATS), at_least(1), INT)),
        Field("showAttendeeInfo", (BOOLEAN,)),
        Field("showAvailabilityCount", (BOOLEAN,)),
        Field("disabled", (BOOLEAN,), optional=True),
    )
)
_RECURRENCE = Schema(
    (
        Field("interval", (INT,)),
        Field("occurrences", (INT,)),
        Field("frequency", (one_of(("yearly", "monthly", "weekly")),)),
        Field("disabled", (BOOLEAN,), optional=True),
    )
)
_BOOKER_LIMIT = Schema(
    (
        Field("maximumActiveBookings", (at_least(1), INT), optional=True),
        Field("offerReschedule", (BOOLEAN,), optional=True),
        Field("disabled", (BOOLEAN,), optional=True),
    )
)
_LAYOUT = Schema(
    (
        Field("defaultLayout", (one_of(_LAYOUTS),)),
        Field("enabledLayouts", (one_of(_LAYOUTS, each=True), ARRAY)),
    )
)
_VIDEO_SWITCHES = (
    "disableRecordingForOrganizer", "disableRecordingForGuests", "enableAutomaticRecordingForOrganizer",
    "enableAutomaticTranscription", "disableTranscriptionForGuests", "disableTranscriptionForOrganizer",
    "sendTranscriptionEmails",
)  # fmt: skip
_CAL_VIDEO = Schema(
    (
        *(Field(name, (BOOLEAN,), optional=True) for name in _VIDEO_SWITCHES),
        Field("redirectUrlOnExit", (URL,), optional=True),
    )
)
_CANCELLING = Schema((Field("disabled", (BOOLEAN,), optional=True),))
_RESCHEDULING = Schema(
    (Field("disabled", (BOOLEAN,), optional=True), Field("minutesBefore", (at_least(1), INT), optional=True))
)
_COLOR = Schema((Field("lightThemeHex", (STRING,)), Field("darkThemeHex", (STRING,))))
_CALENDAR = Schema((Field("integration", (STRING,)), Field("externalId", (STRING,))))
_HOST = Schema(
    (
        Field("userId", (INT,)),
        Field("mandatory", (BOOLEAN,), optional=True),
        Field("priority", (one_of(_PRIORITIES),), optional=True),
    ),
    defaults=(("mandatory", False), ("priority", "medium")),
)
_EMAIL_SETTINGS = Schema(
    (
        Field("disableEmailsToAttendees", (BOOLEAN,), optional=True),
        Field("disableEmailsToHosts", (BOOLEAN,), optional=True),
    )
)


def _base_fields(body: Json, *, creating: bool) -> tuple[Field, ...]:
    """The properties that every event-type body has. Which schema stands behind a union depends on what was sent."""
    optional = not creating
    flags = ("requiresBookerEmailVerification", "hideCalendarNotes", "lockTimeZoneToggleOnBookingPage")
    more_flags = ("useDestinationCalendarEmail", "hideCalendarEventDetails")
    return (
        Field("lengthInMinutes", (at_least(1), INT), optional=optional),
        Field(
            "lengthInMinutesOptions",
            (at_least(1, each=True), EACH_INT, UNIQUE, NOT_EMPTY, ARRAY),
            optional=True,
        ),
        Field("title", (STRING,), optional=optional),
        Field("slug", (STRING,), optional=optional),
        Field("description", (STRING,), optional=True),
        Field("bookingFields", (throwing(check_booking_fields),), optional=True),
        Field("disableGuests", (BOOLEAN,), optional=True),
        Field("slotInterval", (INT,), optional=True),
        Field("minimumBookingNotice", (at_least(0), INT), optional=True),
        Field("beforeEventBuffer", (INT,), optional=True),
        Field("afterEventBuffer", (INT,), optional=True),
        Field("scheduleId", (INT,), optional=True),
        Field("bookingLimitsCount", (_COUNT.rule_for(body.get("bookingLimitsCount")),), optional=True),
        Field("bookerActiveBookingsLimit", optional=True, nested=_BOOKER_LIMIT),
        Field("onlyShowFirstAvailableSlot", (BOOLEAN,), optional=True),
        Field("bookingLimitsDuration", (_DURATION.rule_for(body.get("bookingLimitsDuration")),), optional=True),
        Field("bookingWindow", (_WINDOW,), optional=True),
        Field("offsetStart", (at_least(0), INT), optional=True),
        Field("bookerLayouts", optional=True, nested=_LAYOUT),
        Field("confirmationPolicy", (_CONFIRMATION,), optional=True),
        Field("recurrence", optional=True, nested=_union(body.get("recurrence"), "interval", _RECURRENCE)),
        *(Field(name, (BOOLEAN,), optional=True) for name in flags),
        Field("color", optional=True, nested=_COLOR),
        Field("seats", optional=True, nested=_union(body.get("seats"), "seatsPerTimeSlot", _SEATS)),
        Field("customName", (STRING,), optional=True),
        Field("destinationCalendar", optional=True, nested=_CALENDAR),
        *(Field(name, (BOOLEAN,), optional=True) for name in more_flags),
        Field("successRedirectUrl", (URL,), optional=True),
        Field("hideOrganizerEmail", (BOOLEAN,), optional=True),
        Field("calVideoSettings", optional=True, nested=_CAL_VIDEO),
        Field("hidden", (BOOLEAN,), optional=True),
        Field("bookingRequiresAuthentication", (BOOLEAN,), optional=True),
        Field("disableCancelling", optional=True, nested=_CANCELLING),
        Field("disableRescheduling", optional=True, nested=_RESCHEDULING),
        Field("interfaceLanguage", (is_in(LOCALES), STRING), optional=True),
        Field("allowReschedulingPastBookings", (BOOLEAN,), optional=True),
        Field("allowReschedulingCancelledBookings", (BOOLEAN,), optional=True),
        Field("showOptimizedSlots", (BOOLEAN,), optional=True),
    )


def _union(value: Any, mark: str, schema: Schema) -> Schema:
    """Which of two schemas is meant: the one whose member is there, else `{disabled}`."""
    found = is_object(value)
    return _DISABLED if found is not None and mark not in found and "disabled" in found else schema


def _both_refused(body: Json) -> bool:
    recurrence, limit = is_object(body.get("recurrence")), is_object(body.get("bookerActiveBookingsLimit"))
    return not (recurrence and limit and not recurrence.get("disabled") and not limit.get("disabled"))


_NOT_BOTH = (
    "recurrence and bookerActiveBookingsLimit",
    Rule(
        "cantHaveRecurrenceAndBookerActiveBookingsLimit",
        "Can't have recurrence and bookerActiveBookingsLimit enabled at the same time.",
        _both_refused,
        own_text=True,
    ),
)


def personal_body(body: Json, *, creating: bool) -> Schema:
    """The body of `POST /v2/event-types` and its PATCH."""
    locations = Field("locations", (throwing(lambda value: check_locations(value, for_team=False)),), optional=True)
    return Schema((locations, *_base_fields(body, creating=creating)), whole=(_NOT_BOTH,))


def team_body(body: Json, *, creating: bool) -> Schema:
    """The body of a team's event type, creating or changing."""
    allowed = tuple(_SCHEDULING.values()) if creating else ("COLLECTIVE", "ROUND_ROBIN")
    kinds = one_of(allowed) if creating else is_in(allowed)
    own = (
        Field("schedulingType", (kinds,), optional=not creating, convert=lambda value: _SCHEDULING.get(value, value)
              if isinstance(value, str) else value),
        Field("hosts", (ARRAY,), optional=True, nested=_HOST, each=True),
        Field("assignAllTeamMembers", (BOOLEAN,), optional=True),
        Field("locations", (throwing(lambda value: check_locations(value, for_team=True)),), optional=True),
        Field("emailSettings", optional=True, nested=_EMAIL_SETTINGS),
        Field("rescheduleWithSameRoundRobinHost", (BOOLEAN,), optional=True),
    )  # fmt: skip
    return Schema((*own, *_base_fields(body, creating=creating)), whole=(_NOT_BOTH,))


_SORT = Field("sortCreatedAt", (one_of(SORT_ORDERS),), optional=True)
LIST_QUERY: Final = Schema(
    (
        Field("username", (STRING,), optional=True),
        Field("eventSlug", (STRING,), optional=True),
        Field("usernames", optional=True, convert=split_list),
        Field("orgSlug", (STRING,), optional=True),
        Field("orgId", (NUMBER,), optional=True, convert=to_number),
        _SORT,
    )
)
TEAM_LIST_QUERY: Final = Schema(
    (
        Field("eventSlug", (STRING,), optional=True),
        Field("hostsLimit", (NUMBER,), optional=True, convert=to_number),
        _SORT,
    )
)
PAGE_FIELDS: Final = (
    Field("take", (at_most(MOST_PER_PAGE), at_least(1), NUMBER), optional=True, convert=parse_int_if_given),
    Field("skip", (at_least(0), NUMBER), optional=True, convert=parse_int_if_given),
)
ORGANIZATION_LIST_QUERY: Final = Schema((_SORT, *PAGE_FIELDS))
