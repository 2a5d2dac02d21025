"""The query of the slots endpoint and the bodies of reservations (version 2024-09-04).

Facts: fact sheet section 5.
"""

from typing import Final

from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.validation.conversions import (
    lower_if_given,
    parse_int_if_given,
    split_ints,
    split_list,
)
from calcom_pipeline.sandbox.validation.engine import BodyField, Schema
from calcom_pipeline.sandbox.validation.rules import (
    ARRAY,
    EACH_NUMBER,
    EACH_STRING,
    INT,
    NUMBER,
    STRICT_DATE_STRING,
    STRING,
    TIME_ZONE,
    at_least,
    min_size,
    one_of,
)

_COMMON: Final = (
    BodyField("start", (STRICT_DATE_STRING,)),
    BodyField("end", (STRICT_DATE_STRING,)),
    BodyField("timeZone", (TIME_ZONE,), optional=True),
    BodyField("duration", (NUMBER,), optional=True, convert=parse_int_if_given),
    BodyField(
        "format",
        (one_of(("range", "time"), text="slotFormat must be either 'range' or 'time'"), STRING),
        optional=True,
        convert=lower_if_given,
    ),
    BodyField("bookingUidToReschedule", (STRING,), optional=True),
    BodyField("rrHostSubsetIds", (EACH_NUMBER, ARRAY), optional=True, convert=split_ints),
)
_TYPE = BodyField("type", (STRING,), optional=True)
_ORGANIZATION = BodyField("organizationSlug", (STRING,), optional=True)
_BY_ID = Schema((_TYPE, BodyField("eventTypeId", (NUMBER,), convert=parse_int_if_given), *_COMMON))
_BY_USER = Schema(
    (_TYPE, BodyField("eventTypeSlug", (STRING,)), BodyField("username", (STRING,)), _ORGANIZATION, *_COMMON)
)
_BY_TEAM = Schema(
    (_TYPE, BodyField("eventTypeSlug", (STRING,)), BodyField("teamSlug", (STRING,)), _ORGANIZATION, *_COMMON)
)
_DYNAMIC = Schema(
    (
        _TYPE,
        BodyField(
            "usernames",
            (EACH_STRING, min_size(2, "The array must contain at least 2 elements."), ARRAY),
            convert=split_list,
        ),
        BodyField("organizationSlug", (STRING,)),
        *_COMMON,
    )
)


def slots_query(query: Json) -> Schema:
    """Which of the four ways of naming an event type the query takes; the others' parameters are then refused."""
    if "eventTypeId" in query:
        return _BY_ID
    if "username" in query and "eventTypeSlug" in query:
        return _BY_USER
    if "teamSlug" in query and "eventTypeSlug" in query:
        return _BY_TEAM
    return _DYNAMIC


RESERVATION_BODY: Final = Schema(
    (
        BodyField("eventTypeId", (INT,)),
        BodyField("slotStart", (STRICT_DATE_STRING,)),
        BodyField("slotDuration", (at_least(1), INT), optional=True),
        BodyField("reservationDuration", (at_least(1), INT), optional=True),
    )
)
LEGACY_QUERY: Final = Schema(
    (
        BodyField("startTime", (STRICT_DATE_STRING,)),
        BodyField("endTime", (STRICT_DATE_STRING,)),
        BodyField("eventTypeId", (NUMBER,), optional=True, convert=parse_int_if_given),
        BodyField("eventTypeSlug", (STRING,), optional=True),
        BodyField("usernameList", optional=True),
        BodyField("timeZone", (STRING,), optional=True),
        BodyField("duration", (NUMBER,), optional=True, convert=parse_int_if_given),
        BodyField("rescheduleUid", (STRING,), optional=True),
    )
)
