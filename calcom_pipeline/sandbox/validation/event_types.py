"""The bodies and queries of event types, personal and of teams (version 2024-06-14).

Facts: fact sheet 4.3.
"""

from typing import Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.validation import event_type_members as members
from calcom_pipeline.sandbox.validation.conversions import parse_int_if_given, split_list, to_number
from calcom_pipeline.sandbox.validation.engine import BodyField, Schema
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


def _base_fields(body: Json, *, creating: bool) -> tuple[BodyField, ...]:
    """The properties that every event-type body has. Which schema stands behind a union depends on what was sent."""
    optional = not creating
    flags = ("requiresBookerEmailVerification", "hideCalendarNotes", "lockTimeZoneToggleOnBookingPage")
    more_flags = ("useDestinationCalendarEmail", "hideCalendarEventDetails")
    return (
        BodyField("lengthInMinutes", (at_least(1), INT), optional=optional),
        BodyField(
            "lengthInMinutesOptions",
            (at_least(1, each=True), EACH_INT, UNIQUE, NOT_EMPTY, ARRAY),
            optional=True,
        ),
        BodyField("title", (STRING,), optional=optional),
        BodyField("slug", (STRING,), optional=optional),
        BodyField("description", (STRING,), optional=True),
        BodyField("bookingFields", (throwing(check_booking_fields),), optional=True),
        BodyField("disableGuests", (BOOLEAN,), optional=True),
        BodyField("slotInterval", (INT,), optional=True),
        BodyField("minimumBookingNotice", (at_least(0), INT), optional=True),
        BodyField("beforeEventBuffer", (INT,), optional=True),
        BodyField("afterEventBuffer", (INT,), optional=True),
        BodyField("scheduleId", (INT,), optional=True),
        BodyField(
            "bookingLimitsCount", (members.LIMITS_COUNT.rule_for(body.get("bookingLimitsCount")),), optional=True
        ),
        BodyField(
            "bookerActiveBookingsLimit",
            optional=True,
            nested=members.booker_limit(body.get("bookerActiveBookingsLimit")),
        ),
        BodyField("onlyShowFirstAvailableSlot", (BOOLEAN,), optional=True),
        BodyField(
            "bookingLimitsDuration",
            (members.LIMITS_DURATION.rule_for(body.get("bookingLimitsDuration")),),
            optional=True,
        ),
        BodyField("bookingWindow", (members.WINDOW,), optional=True),
        BodyField("offsetStart", (at_least(0), INT), optional=True),
        BodyField("bookerLayouts", optional=True, nested=members.layouts(body.get("bookerLayouts"))),
        BodyField("confirmationPolicy", (members.CONFIRMATION,), optional=True),
        BodyField("recurrence", optional=True, nested=members.recurrence(body.get("recurrence")), looks=2),
        *(BodyField(name, (BOOLEAN,), optional=True) for name in flags),
        BodyField("color", optional=True),  # nothing looks inside, here and at destinationCalendar
        BodyField("seats", optional=True, nested=members.seats(body.get("seats"))),
        BodyField("customName", (STRING,), optional=True),
        BodyField("destinationCalendar", optional=True),
        *(BodyField(name, (BOOLEAN,), optional=True) for name in more_flags),
        BodyField("successRedirectUrl", (URL,), optional=True),
        BodyField("hideOrganizerEmail", (BOOLEAN,), optional=True),
        BodyField("calVideoSettings", optional=True, nested=members.CAL_VIDEO),
        BodyField("hidden", (BOOLEAN,), optional=True),
        BodyField("bookingRequiresAuthentication", (BOOLEAN,), optional=True),
        BodyField("disableCancelling", optional=True, nested=members.CANCELLING),
        BodyField("disableRescheduling", optional=True, nested=members.RESCHEDULING),
        BodyField("interfaceLanguage", (is_in(LOCALES), STRING), optional=True),
        BodyField("allowReschedulingPastBookings", (BOOLEAN,), optional=True),
        BodyField("allowReschedulingCancelledBookings", (BOOLEAN,), optional=True),
        BodyField("showOptimizedSlots", (BOOLEAN,), optional=True),
    )


def personal_body(body: Json, *, creating: bool) -> Schema:
    """The body of `POST /v2/event-types` and its PATCH."""
    locations = BodyField("locations", (throwing(lambda value: check_locations(value, for_team=False)),), optional=True)
    members.refuse_series_with_booker_limit(body)
    return Schema((locations, *_base_fields(body, creating=creating)))


def team_body(body: Json, *, creating: bool) -> Schema:
    """The body of a team's event type, creating or changing."""
    allowed = tuple(_SCHEDULING.values()) if creating else ("COLLECTIVE", "ROUND_ROBIN")
    kinds = one_of(allowed) if creating else is_in(allowed)
    own = (
        BodyField("schedulingType", (kinds,), optional=not creating, convert=lambda value: _SCHEDULING.get(value, value)
              if isinstance(value, str) else value),
        BodyField("hosts", (ARRAY,), optional=True, nested=members.HOST, each=True),
        BodyField("assignAllTeamMembers", (BOOLEAN,), optional=True),
        BodyField("locations", (throwing(lambda value: check_locations(value, for_team=True)),), optional=True),
        BodyField("emailSettings", optional=True, nested=members.EMAIL_SETTINGS),
        BodyField("rescheduleWithSameRoundRobinHost", (BOOLEAN,), optional=True),
    )  # fmt: skip
    members.refuse_series_with_booker_limit(body)
    return Schema((*own, *_base_fields(body, creating=creating)))


_SORT = BodyField("sortCreatedAt", (one_of(SORT_ORDERS),), optional=True)
LIST_QUERY: Final = Schema(
    (
        BodyField("username", (STRING,), optional=True),
        BodyField("eventSlug", (STRING,), optional=True),
        BodyField("usernames", optional=True, convert=split_list),
        BodyField("orgSlug", (STRING,), optional=True),
        BodyField("orgId", (NUMBER,), optional=True, convert=to_number),
        _SORT,
    )
)
TEAM_LIST_QUERY: Final = Schema(
    (
        BodyField("eventSlug", (STRING,), optional=True),
        BodyField("hostsLimit", (NUMBER,), optional=True, convert=to_number),
        _SORT,
    )
)
PAGE_FIELDS: Final = (
    BodyField("take", (at_most(MOST_PER_PAGE), at_least(1), NUMBER), optional=True, convert=parse_int_if_given),
    BodyField("skip", (at_least(0), NUMBER), optional=True, convert=parse_int_if_given),
)
ORGANIZATION_LIST_QUERY: Final = Schema((_SORT, *PAGE_FIELDS))
