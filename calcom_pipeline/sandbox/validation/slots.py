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
from calcom_pipeline.sandbox.validation.engine import Field, Schema
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
    Field("start", (STRICT_DATE_STRING,)),
    Field("end", (STRICT_DATE_STRING,)),
    Field("timeZone", (TIME_ZONE,), optional=True),
    Field("duration", (NUMBER,), optional=True, convert=parse_int_if_given),
    Field(
        "format",
        (one_of(("range", "time"), text="slotFormat must be either 'range' or 'time'"), STRING),
        optional=True,
        convert=lower_if_given,
    ),
    Field("bookingUidToReschedule", (STRING,), optional=True),
    Field("rrHostSubsetIds", (EACH_NUMBER, ARRAY), optional=True, convert=split_ints),
)
_TYPE = Field("type", (STRING,), optional=True)
_ORGANIZATION = Field("organizationSlug", (STRING,), optional=True)
_BY_ID = Schema((_TYPE, Field("eventTypeId", (NUMBER,), convert=parse_int_if_given), *_COMMON))
_BY_USER = Schema((_TYPE, Field("eventTypeSlug", (STRING,)), Field("username", (STRING,)), _ORGANIZATION, *_COMMON))
_BY_TEAM = Schema((_TYPE, Field("eventTypeSlug", (STRING,)), Field("teamSlug", (STRING,)), _ORGANIZATION, *_COMMON))
_DYNAMIC = Schema(
    (
        _TYPE,
        Field(
            "usernames",
            (EACH_STRING, min_size(2, "The array must contain at least 2 elements."), ARRAY),
            convert=split_list,
        ),
        Field("organizationSlug", (STRING,)),
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
        Field("eventTypeId", (INT,)),
        Field("slotStart", (STRICT_DATE_STRING,)),
        Field("slotDuration", (at_least(1), INT), optional=True),
        Field("reservationDuration", (at_least(1), INT), optional=True),
    )
)
LEGACY_QUERY: Final = Schema(
    (
        Field("startTime", (STRICT_DATE_STRING,)),
        Field("endTime", (STRICT_DATE_STRING,)),
        Field("eventTypeId", (NUMBER,), optional=True, convert=parse_int_if_given),
        Field("eventTypeSlug", (STRING,), optional=True),
        Field("usernameList", optional=True),
        Field("timeZone", (STRING,), optional=True),
        Field("duration", (NUMBER,), optional=True, convert=parse_int_if_given),
        Field("rescheduleUid", (STRING,), optional=True),
    )
)
