"""Rules for the members of an event type that are objects themselves: limits, window, policy, series, seats, layouts.

A union (`seats` or `{disabled}`) is told apart by what was sent; what is neither is looked at no further.
Facts: fact sheet 4.3; `apps/api/v2` and `packages/platform/types/event-types/event-types_2024_06_14/inputs` of the
Cal.com source; a comparison with the real server for the rules that name it.
"""

from typing import Any, Final

from calcom_pipeline.sandbox.core.errors import bad_request
from calcom_pipeline.sandbox.core.json_types import Json, is_list, is_object
from calcom_pipeline.sandbox.core.times import is_iso_date
from calcom_pipeline.sandbox.validation.engine import BodyField, Schema
from calcom_pipeline.sandbox.validation.rules import (
    BOOLEAN,
    INT,
    URL,
    Rule,
    at_least,
    at_most,
    is_number,
    object_rule,
    one_of,
    with_text,
)

MOST_SEATS: Final = 1_000
_UNITS: Final = ("day", "week", "month", "year")
_LAYOUTS: Final = ("month", "week", "column")
_PRIORITIES: Final = ("lowest", "low", "medium", "high", "highest")


# -- limits


class _OrderedLimits:
    """A rule whose text depends on what is wrong: a shorter period must not hold more than a longer one."""

    def __init__(self, name: str, subject: str, otherwise: str, what: str) -> None:
        self._name = name
        self._subject = subject
        self._otherwise = otherwise
        self._what = what

    def rule_for(self, value: Any) -> Rule:
        limits = is_object(value)
        disorder = None if limits is None or "disabled" in limits else _first_disorder(limits)
        text = self._otherwise
        if disorder:
            unit, longer = disorder
            text = (
                f"{self._subject}: The {self._what} of bookings for {unit} cannot exceed the {self._what} of bookings "
                f"for {longer}."
            )
        return Rule(self._name, text, lambda _: limits is not None and disorder is None, own_text=True)


def _first_disorder(limits: Json) -> tuple[str, str] | None:
    given = [(unit, limits[unit]) for unit in _UNITS if is_number(limits.get(unit)) and limits[unit]]
    for index, (unit, value) in enumerate(given):
        for longer, other in given[index + 1 :]:
            if value > other:
                return unit, longer
    return None


LIMITS_COUNT: Final = _OrderedLimits(
    "ValidateBookingLimitsCount", "Invalid bookingLimitsCount", "Invalid bookingLimitsCount", "number"
)
LIMITS_DURATION: Final = _OrderedLimits(
    "ValidateBookingLimistsDuration", "Invalid booking durations", "Invalid booking durations structure", "duration"
)


# -- window and policy


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


# A validator that is handed over as an object goes by the decorator's name, one handed over as a class by its own.
WINDOW: Final = object_rule("ValidateBookingWindow", "Invalid bookingWindow structure.", _is_window)
CONFIRMATION: Final = object_rule(
    "ConfirmationPolicyValidator",
    'Invalid requiresConfirmation structure. Use "type": "always" or provide a valid time and unit in '
    '"noticeThreshold" for "type": "time".',
    _is_confirmation,
)


# -- unions

_ANYTHING: Final = Schema(())
_DISABLED: Final = Schema((BodyField("disabled", (BOOLEAN,), optional=True),))
_ENABLED: Final = (("disabled", False),)  # the class fills it in, and errors show it
_SEATS: Final = Schema(
    (
        BodyField("seatsPerTimeSlot", (at_most(MOST_SEATS), at_least(1), INT)),
        BodyField("showAttendeeInfo", (BOOLEAN,)),
        BodyField("showAvailabilityCount", (BOOLEAN,)),
        BodyField("disabled", (BOOLEAN,), optional=True),
    ),
    defaults=_ENABLED,
)
_RECURRENCE: Final = Schema(
    (
        BodyField("interval", (INT,)),
        BodyField("occurrences", (INT,)),
        BodyField("frequency", (one_of(("yearly", "monthly", "weekly")),)),
        BodyField("disabled", (BOOLEAN,), optional=True),
    ),
    defaults=_ENABLED,
)
_BOOKER_LIMIT: Final = Schema(
    (
        BodyField("maximumActiveBookings", (at_least(1), INT), optional=True),
        BodyField("offerReschedule", (BOOLEAN,), optional=True),
        BodyField("disabled", (BOOLEAN,), optional=True),
    )
)
_NOTHING_ENABLED: Final = (
    "When disabled is false {disabled: false} at least one other property must be provided, because it means that the "
    "property is enabled but then other properties must be provided too."
)


def seats(value: Any) -> Schema:
    """The schema of `seats`."""
    return _union(value, "seatsPerTimeSlot", _SEATS)


def recurrence(value: Any) -> Schema:
    """The schema of `recurrence`."""
    return _union(value, "interval", _RECURRENCE)


def booker_limit(value: Any) -> Schema:
    """The schema of `bookerActiveBookingsLimit`; one that is switched on and says nothing is refused at once."""
    found = is_object(value) or {}
    if found.get("disabled") is False and len(found) == 1:
        raise bad_request(_NOTHING_ENABLED)
    return _DISABLED if found.get("disabled") else _BOOKER_LIMIT


def _union(value: Any, mark: str, schema: Schema) -> Schema:
    found = is_object(value) or {}
    if mark in found:
        return schema
    return _DISABLED if "disabled" in found else _ANYTHING


# -- the rest


def layouts(value: Any) -> Schema:
    """The schema of `bookerLayouts`: the default one must be among those that are enabled."""
    found = is_object(value) or {}
    enabled = is_list(found.get("enabledLayouts"))
    is_within = bool(enabled) and found.get("defaultLayout") in (enabled or [])
    default_within = Rule(
        "isDefaultLayoutWithinEnabledLayouts",
        "If you pass the optional 'bookerLayouts' property, you must provide both 'bookerLayouts.defaultLayout' and "
        "'bookerLayouts.enabledLayouts' and 'bookerLayouts.enabledLayouts' must include 'bookerLayouts.defaultLayout'",
        lambda _: is_within,
        own_text=True,
    )
    valid = "layouts - month, week or column"
    each = with_text(one_of(_LAYOUTS, each=True), f"enabledLayouts must contain only valid {valid}")
    return Schema(
        (
            BodyField(
                "defaultLayout",
                (
                    one_of(_LAYOUTS),
                    Rule("IsValidLayout", f"defaultLayout must be one of the valid {valid}", _are_layouts),
                    default_within,
                ),
            ),
            BodyField(
                "enabledLayouts",
                (
                    each,
                    Rule("IsValidLayout", f"enabledLayouts must be an array containing valid {valid}", _are_layouts),
                ),
            ),
        )
    )


def _are_layouts(value: Any) -> bool:
    members = is_list(value)
    return all(isinstance(one, str) and one in _LAYOUTS for one in ([value] if members is None else members))


_VIDEO_SWITCHES: Final = (
    "disableRecordingForOrganizer", "disableRecordingForGuests", "enableAutomaticRecordingForOrganizer",
    "enableAutomaticTranscription", "disableTranscriptionForGuests", "disableTranscriptionForOrganizer",
    "sendTranscriptionEmails",
)  # fmt: skip
CAL_VIDEO: Final = Schema(
    (
        *(BodyField(name, (BOOLEAN,), optional=True) for name in _VIDEO_SWITCHES),
        BodyField("redirectUrlOnExit", (URL,), optional=True),
    )
)
CANCELLING: Final = Schema((BodyField("disabled", (BOOLEAN,), optional=True),))
RESCHEDULING: Final = Schema(
    (BodyField("disabled", (BOOLEAN,), optional=True), BodyField("minutesBefore", (at_least(1), INT), optional=True))
)
HOST: Final = Schema(
    (
        BodyField("userId", (INT,)),
        BodyField("mandatory", (BOOLEAN,), optional=True),
        BodyField("priority", (one_of(_PRIORITIES),), optional=True),
    ),
    defaults=(("mandatory", False), ("priority", "medium")),
)
EMAIL_SETTINGS: Final = Schema(
    (
        BodyField("disableEmailsToAttendees", (BOOLEAN,), optional=True),
        BodyField("disableEmailsToHosts", (BOOLEAN,), optional=True),
    )
)


def refuse_series_with_booker_limit(body: Json) -> None:
    """A series goes with no limit of active bookings; raises 400 with a sentence, before any other error."""
    series, limit = is_object(body.get("recurrence")) or {}, is_object(body.get("bookerActiveBookingsLimit")) or {}
    if "interval" in series and ("maximumActiveBookings" in limit or "offerReschedule" in limit):
        raise bad_request(
            "Can't have `recurrence` and `bookerActiveBookingsLimit` enabled at the same time - recurring events do "
            "not support maximum active bookings limit setting."
        )
