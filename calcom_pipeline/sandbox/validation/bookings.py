"""The bodies and queries of bookings (versions 2024-08-13 and 2026-02-25).

Facts: fact sheet 6.1, 6.5 to 6.8.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.core.times import is_iso_date
from calcom_pipeline.sandbox.http.versions import BOOKINGS_SINCE_2026_02_25
from calcom_pipeline.sandbox.validation.conversions import (
    parse_int_if_given,
    plus_for_space,
    split_ints,
    split_list,
    to_number,
)
from calcom_pipeline.sandbox.validation.engine import BodyField, Schema
from calcom_pipeline.sandbox.validation.event_types import PAGE_FIELDS, SORT_ORDERS
from calcom_pipeline.sandbox.validation.rules import (
    ARRAY,
    BOOLEAN,
    DATE_STRING,
    DEFINED,
    EACH_INT,
    EACH_NUMBER,
    EACH_STRING,
    INT,
    METADATA,
    NUMBER,
    OBJECT,
    STRING,
    TIME_ZONE,
    URL,
    Rule,
    at_least,
    is_email,
    min_size,
    object_rule,
    one_of,
    with_text,
)

LIST_STATUSES: Final = ("upcoming", "recurring", "past", "cancelled", "unconfirmed")
LANGUAGES: Final = (
    "ar", "ca", "de", "es", "eu", "he", "id", "ja", "lv", "pl", "ro", "sr", "th", "vi", "az", "cs", "el", "es-419",
    "fi", "hr", "it", "km", "nl", "pt", "ru", "sv", "tr", "zh-CN", "bg", "da", "en", "et", "fr", "hu", "iw", "ko",
    "no", "pt-BR", "sk", "ta", "uk", "zh-TW", "bn",
)  # fmt: skip
LOCATION_TYPES: Final = (
    "address", "attendeeAddress", "attendeeDefined", "attendeePhone", "integration", "link", "phone",
    "organizersDefaultApp",
)  # fmt: skip
MOST_GUESTS_PER_CALL: Final = 10
_HOST_FLAGS = ("allowConflicts", "allowBookingOutOfBounds")
_LOCATION_MEMBERS: Final[dict[str, tuple[str, ...]]] = {
    "attendeeAddress": ("address",),
    "attendeeDefined": ("location",),
    "attendeePhone": ("phone",),
    "integration": ("integration",),
}

_ATTENDEE = Schema(
    (
        BodyField("name", (STRING,)),
        BodyField("email", optional=True),
        BodyField("timeZone", (TIME_ZONE,)),
        BodyField("phoneNumber", optional=True),
        BodyField("language", (one_of(LANGUAGES),), optional=True),
    ),
    whole=(
        (
            "attendee email or phone",
            Rule(
                "requireEmailOrPhone",
                "Attendee must have at least one contact method (email or phone number)",
                lambda value: bool(value.get("email") or value.get("phoneNumber")),
                own_text=True,
            ),
        ),
    ),
)
_ROUTING = Schema(
    (
        BodyField("responseId", (INT,)),
        BodyField("teamMemberIds", (EACH_INT, ARRAY)),
        BodyField("teamMemberEmail", (STRING,), optional=True),
        BodyField("skipContactOwner", (BOOLEAN,), optional=True),
        BodyField("crmAppSlug", (STRING,), optional=True),
        BodyField("crmOwnerRecordType", (STRING,), optional=True),
    )
)


def check_location(value: Any) -> bool:
    """Whether a booking's location is a text (deprecated) or an object of a known type; raises 400 otherwise."""
    if isinstance(value, str):
        return True
    found = is_object(value)
    if found is None:
        raise bad_request("'location' must be an object.")
    return _check_members(found, _LOCATION_MEMBERS)


def _check_members(found: Json, members: dict[str, tuple[str, ...]]) -> bool:
    kind = found.get("type")
    if not kind:
        raise bad_request("'location' must have a 'type' property.")
    if kind not in LOCATION_TYPES:
        raise bad_request(f"Unsupported booking location type '{kind}'. Valid types are: {', '.join(LOCATION_TYPES)}")
    wrong = [STRING.message(member) for member in members.get(kind, ()) if not isinstance(found.get(member), str)]
    if wrong:
        raise bad_request(f"Validation failed for {kind} location: {', '.join(wrong)}")
    return True


_LOCATION = Rule("ValidateBookingLocation", "Validation failed for booking location.", check_location)
_CREATE_FIELDS: Final = (
    BodyField("start", (DATE_STRING,)),
    BodyField("attendee", (DEFINED,), nested=_ATTENDEE),
    BodyField("bookingFieldsResponses", (OBJECT,), optional=True),
    BodyField("eventTypeId", (INT,), optional=True),
    BodyField("eventTypeSlug", (STRING,), optional=True),
    BodyField("username", (STRING,), optional=True),
    BodyField("teamSlug", (STRING,), optional=True),
    BodyField("organizationSlug", (STRING,), optional=True),
    BodyField("guests", (EACH_STRING, ARRAY), optional=True),
    BodyField("meetingUrl", (URL,), optional=True),
    BodyField("location", (_LOCATION,), optional=True),
    BodyField("metadata", (METADATA, OBJECT), optional=True),
    BodyField("lengthInMinutes", (at_least(1), INT), optional=True),
    BodyField("routing", optional=True, nested=_ROUTING),
    BodyField("emailVerificationCode", (STRING,), optional=True),
    BodyField("rrHostSubsetIds", (EACH_INT, ARRAY), optional=True),
)


def _names_event_type(value: Json) -> bool:
    slug = value.get("eventTypeSlug")
    return bool(value.get("eventTypeId") or (slug and value.get("username")) or (slug and value.get("teamSlug")))


_NAMED = (
    "eventTypeId or eventTypeSlug + username",
    object_rule(
        "requireEventTypeIdentification",
        "Either eventTypeId or eventTypeSlug + username or eventTypeSlug + teamSlug must be provided",
        _names_event_type,
    ),
)


def _flags(version: str) -> tuple[BodyField, ...]:
    if version not in BOOKINGS_SINCE_2026_02_25:
        return ()
    return tuple(BodyField(name, (BOOLEAN,), optional=True) for name in _HOST_FLAGS)


def create_body(body: Json, version: str) -> Schema:
    """The body of a new booking; a series or an instant booking has one property more."""
    extra: tuple[BodyField, ...] = ()
    if "recurrenceCount" in body:
        extra = (BodyField("recurrenceCount", (at_least(1), INT), optional=True),)
    elif body.get("instant") is True:
        extra = (BodyField("instant", (BOOLEAN,)),)
    return Schema((*extra, *_CREATE_FIELDS, *_flags(version)), whole=(_NAMED,))


def reschedule_body(body: Json, version: str) -> Schema:
    """The body of a reschedule, of a whole booking or of one seat."""
    common = (BodyField("start", (DATE_STRING,)), BodyField("rescheduledBy", optional=True))
    code = BodyField("emailVerificationCode", (STRING,), optional=True)
    if "seatUid" in body:
        return Schema((*common, BodyField("seatUid", (STRING,)), code, *_flags(version)))
    return Schema(
        (
            *common,
            BodyField("reschedulingReason", (STRING,), optional=True),
            code,
            BodyField("rrHostSubsetIds", (EACH_INT, ARRAY), optional=True),
            *_flags(version),
        )
    )


def cancel_body(body: Json) -> Schema:
    """The body of a cancellation, of a booking or of one seat."""
    reason = BodyField("cancellationReason", (STRING,), optional=True)
    if "seatUid" in body:
        return Schema((BodyField("seatUid", (STRING,)), reason))
    return Schema((reason, BodyField("cancelSubsequentBookings", (BOOLEAN,), optional=True)))


DECLINE_BODY: Final = Schema((BodyField("reason", (STRING,), optional=True),))
_ABSENT_ATTENDEE = Schema(
    (
        BodyField("email", (Rule("isEmail", "{property} must be an email", is_email),)),
        BodyField("absent", (BOOLEAN,)),
    )
)
MARK_ABSENT_BODY: Final = Schema(
    (
        BodyField("host", (BOOLEAN,), optional=True),
        BodyField(
            "attendees",
            (ARRAY, min_size(1, "attendees must contain at least 1 elements")),
            optional=True,
            nested=_ABSENT_ATTENDEE,
            each=True,
        ),
    )
)
REQUEST_RESCHEDULE_BODY: Final = Schema((BodyField("rescheduleReason", (STRING,), optional=True),))
REASSIGN_BODY: Final = Schema((BodyField("reason", (STRING,), optional=True),))
_EMAIL = Rule("isEmail", "{property} must be an email", is_email)
_GUEST = Schema(
    (
        BodyField("email", (_EMAIL,)),
        BodyField("name", (STRING,), optional=True),
        BodyField("timeZone", (TIME_ZONE,), optional=True),
        BodyField("phoneNumber", (STRING,), optional=True),
        BodyField("language", (one_of(LANGUAGES),), optional=True),
    )
)
GUESTS_BODY: Final = Schema(
    (
        BodyField(
            "guests",
            (
                Rule(
                    "arrayMaxSize",
                    f"Cannot add more than {MOST_GUESTS_PER_CALL} guests at a time",
                    lambda value: isinstance(value, list) and len(value) <= MOST_GUESTS_PER_CALL,  # pyright: ignore[reportUnknownArgumentType] - only its length counts
                    own_text=True,
                ),
                min_size(1, "guests must contain at least 1 elements"),
                ARRAY,
            ),
            nested=_GUEST,
            each=True,
        ),
    )
)
ATTENDEE_BODY: Final = Schema(
    (
        BodyField("name", (STRING,)),
        BodyField("timeZone", (TIME_ZONE,)),
        BodyField("phoneNumber", (STRING,), optional=True),
        BodyField("language", (one_of(LANGUAGES),), optional=True),
        BodyField("email", (_EMAIL,)),
    )
)
_NEW_LOCATION_MEMBERS: Final = _LOCATION_MEMBERS | {
    "address": ("address",),
    "link": ("link",),
    "phone": ("phone",),
}


def check_new_location(value: Any) -> bool:
    """Whether a new location is an object of a known type that says where; raises 400 otherwise."""
    found = is_object(value)
    if found is None:
        raise bad_request("'location' must be an object.")
    return _check_members(found, _NEW_LOCATION_MEMBERS)


_NEW_LOCATION = Rule("ValidateBookingLocation", "Validation failed for booking location.", check_new_location)
LOCATION_BODY: Final = Schema((BodyField("location", (_NEW_LOCATION,), optional=True),))

_STRICT = Rule("isIso8601", "", lambda value: is_iso_date(value, strict=True))
_AFTER = with_text(_STRICT, "fromDate must be a valid ISO 8601 date.")
_BEFORE = with_text(_STRICT, "toDate must be a valid ISO 8601 date.")


def _sort(name: str, shown: str) -> BodyField:
    text = f'{shown} must be either "asc" or "desc".'
    return BodyField(name, (one_of(SORT_ORDERS, text=text),), optional=True)


_STATUS_TEXT = f"Invalid status. Allowed are {', '.join(LIST_STATUSES)}"
_STATUS = BodyField(
    "status",
    (
        one_of(LIST_STATUSES, each=True, text=_STATUS_TEXT),
        Rule("arrayNotEmpty", "status cannot be empty.", bool, own_text=True),
    ),
    optional=True,
    convert=split_list,
)
_FILTERS: Final = (
    _STATUS,
    BodyField("attendeeEmail", (STRING,), optional=True, convert=plus_for_space),
    BodyField("attendeeName", (STRING,), optional=True),
    BodyField("bookingUid", (STRING,), optional=True),
    BodyField(
        "eventTypeIds",
        (min_size(1, "eventTypeIds must contain at least 1 event type id"), EACH_NUMBER, ARRAY),
        optional=True,
        convert=split_ints,
    ),
    BodyField("eventTypeId", (INT,), optional=True, convert=to_number),
)
_TEAMS: Final = (
    BodyField(
        "teamsIds",
        (min_size(1, "teamIds must contain at least 1 team id"), EACH_NUMBER, ARRAY),
        optional=True,
        convert=split_ints,
    ),
    BodyField("teamId", (INT,), optional=True, convert=to_number),
)
_BOUNDS: Final = (BodyField("afterStart", (_AFTER,), optional=True), BodyField("beforeEnd", (_BEFORE,), optional=True))
_CHANGED: Final = (
    BodyField("afterCreatedAt", (_AFTER,), optional=True),
    BodyField("beforeCreatedAt", (_BEFORE,), optional=True),
    BodyField("afterUpdatedAt", (_AFTER,), optional=True),
    BodyField("beforeUpdatedAt", (_BEFORE,), optional=True),
)
_SORTS: Final = (_sort("sortStart", "SortStart"), _sort("sortEnd", "SortEnd"), _sort("sortCreated", "SortCreated"))
_SORT_UPDATED: Final = _sort("sortUpdatedAt", "SortCreated")
LIST_QUERY: Final = Schema((*_FILTERS, *_TEAMS, *_BOUNDS, *_CHANGED, *_SORTS, _SORT_UPDATED, *PAGE_FIELDS))
ORGANIZATION_QUERY: Final = Schema(
    (
        *LIST_QUERY.fields,
        BodyField("userIds", (EACH_NUMBER, ARRAY), optional=True, convert=split_ints),
    )
)
# A team's list knows neither the created and updated filters nor sortUpdatedAt: they are stripped without notice.
TEAM_QUERY: Final = Schema((*_FILTERS, *_BOUNDS, *_SORTS, *PAGE_FIELDS))
NEWER_TEAM_QUERY: Final = Schema((*_FILTERS, *_BOUNDS, *_CHANGED, *_SORTS, _SORT_UPDATED, *PAGE_FIELDS))

# The body of the oldest version, as far as it was seen to refuse a modern one (`08-version-create-booking-none`).
LEGACY_CREATE_BODY: Final = Schema(
    (
        BodyField("end", (DATE_STRING,), optional=True),
        BodyField("start", (DATE_STRING,)),
        BodyField("eventTypeId", (NUMBER,)),
        BodyField("eventTypeSlug", (STRING,), optional=True),
        BodyField("rescheduleUid", (STRING,), optional=True),
        BodyField("recurringEventId", (STRING,), optional=True),
        BodyField("timeZone", (TIME_ZONE,)),
        BodyField("user", (STRING,), optional=True),
        BodyField("language", (STRING,)),
        BodyField("bookingUid", (STRING,), optional=True),
        BodyField("metadata", (OBJECT,)),
        BodyField("hasHashedBookingLink", (BOOLEAN,), optional=True),
        BodyField("hashedLink", (STRING,), optional=True),
        BodyField("seatReferenceUid", (STRING,), optional=True),
        BodyField("orgSlug", (STRING,), optional=True),
        BodyField("responses", optional=True),
    )
)
LEGACY_LIST_QUERY: Final = Schema(
    (
        BodyField("filters", optional=True),
        BodyField("limit", (NUMBER,), optional=True, convert=parse_int_if_given),
        BodyField("cursor", (NUMBER,), optional=True, convert=parse_int_if_given),
    )
)
