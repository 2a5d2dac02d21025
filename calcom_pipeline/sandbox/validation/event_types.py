"""The bodies and queries of event types, personal and of teams (version 2024-06-14).

Facts: fact sheet 4.3.
"""

from typing import Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.validation import event_type_members as members
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
    at_least,
    at_most,
    is_in,
    one_of,
)

MOST_PER_PAGE: Final = 250
SORT_ORDERS: Final = ("asc", "desc")
_SCHEDULING: Final = {"collective": "COLLECTIVE", "roundRobin": "ROUND_ROBIN", "managed": "MANAGED"}
LOCALES: Final = (
    "", "en", "ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "es", "es-419", "eu", "et", "fi", "fr", "he",
    "hu", "it", "ja", "km", "ko", "nl", "no", "pl", "pt-BR", "pt", "ro", "ru", "sk-SK", "sr", "sv", "tr", "uk", "vi",
    "zh-CN", "zh-TW",
)  # fmt: skip


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
        Field("bookingLimitsCount", (members.LIMITS_COUNT.rule_for(body.get("bookingLimitsCount")),), optional=True),
        Field(
            "bookerActiveBookingsLimit",
            optional=True,
            nested=members.booker_limit(body.get("bookerActiveBookingsLimit")),
        ),
        Field("onlyShowFirstAvailableSlot", (BOOLEAN,), optional=True),
        Field(
            "bookingLimitsDuration",
            (members.LIMITS_DURATION.rule_for(body.get("bookingLimitsDuration")),),
            optional=True,
        ),
        Field("bookingWindow", (members.WINDOW,), optional=True),
        Field("offsetStart", (at_least(0), INT), optional=True),
        Field("bookerLayouts", optional=True, nested=members.layouts(body.get("bookerLayouts"))),
        Field("confirmationPolicy", (members.CONFIRMATION,), optional=True),
        Field("recurrence", optional=True, nested=members.recurrence(body.get("recurrence")), looks=2),
        *(Field(name, (BOOLEAN,), optional=True) for name in flags),
        Field("color", optional=True),  # nothing looks inside, here and at destinationCalendar
        Field("seats", optional=True, nested=members.seats(body.get("seats"))),
        Field("customName", (STRING,), optional=True),
        Field("destinationCalendar", optional=True),
        *(Field(name, (BOOLEAN,), optional=True) for name in more_flags),
        Field("successRedirectUrl", (URL,), optional=True),
        Field("hideOrganizerEmail", (BOOLEAN,), optional=True),
        Field("calVideoSettings", optional=True, nested=members.CAL_VIDEO),
        Field("hidden", (BOOLEAN,), optional=True),
        Field("bookingRequiresAuthentication", (BOOLEAN,), optional=True),
        Field("disableCancelling", optional=True, nested=members.CANCELLING),
        Field("disableRescheduling", optional=True, nested=members.RESCHEDULING),
        Field("interfaceLanguage", (is_in(LOCALES), STRING), optional=True),
        Field("allowReschedulingPastBookings", (BOOLEAN,), optional=True),
        Field("allowReschedulingCancelledBookings", (BOOLEAN,), optional=True),
        Field("showOptimizedSlots", (BOOLEAN,), optional=True),
    )


def personal_body(body: Json, *, creating: bool) -> Schema:
    """The body of `POST /v2/event-types` and its PATCH."""
    locations = Field("locations", (throwing(lambda value: check_locations(value, for_team=False)),), optional=True)
    members.refuse_series_with_booker_limit(body)
    return Schema((locations, *_base_fields(body, creating=creating)))


def team_body(body: Json, *, creating: bool) -> Schema:
    """The body of a team's event type, creating or changing."""
    allowed = tuple(_SCHEDULING.values()) if creating else ("COLLECTIVE", "ROUND_ROBIN")
    kinds = one_of(allowed) if creating else is_in(allowed)
    own = (
        Field("schedulingType", (kinds,), optional=not creating, convert=lambda value: _SCHEDULING.get(value, value)
              if isinstance(value, str) else value),
        Field("hosts", (ARRAY,), optional=True, nested=members.HOST, each=True),
        Field("assignAllTeamMembers", (BOOLEAN,), optional=True),
        Field("locations", (throwing(lambda value: check_locations(value, for_team=True)),), optional=True),
        Field("emailSettings", optional=True, nested=members.EMAIL_SETTINGS),
        Field("rescheduleWithSameRoundRobinHost", (BOOLEAN,), optional=True),
    )  # fmt: skip
    members.refuse_series_with_booker_limit(body)
    return Schema((*own, *_base_fields(body, creating=creating)))


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
