"""Triggers of webhooks and what the pipeline knows of each: one table (fact sheet 7.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

MOVED = "BOOKING_RESCHEDULED"
#: What the test button of the web application sends, about a booking that does not exist (fact sheet 7.4).
TEST = "PING"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What is so of every delivery of one trigger.

    `moves_time`: cached days may be wrong after it. `closes`: it closes its booking, and is sent before the booking's
    row is updated (fact sheet 7.5). `is_flat`: the booking's row may stand in it without an envelope, so that
    `createdAt` is the booking's own (fact sheet 7.4). `is_wanted`: it changes a booking and every build knows it, so we
    subscribe to it where nothing else is set.
    """

    moves_time: bool = True
    closes: bool = False
    is_flat: bool = False
    is_wanted: bool = False


_TIMELESS = Trigger(moves_time=False)
_MEETING = Trigger(moves_time=False, is_flat=True)
_ANY = Trigger()

TRIGGERS: Mapping[str, Trigger] = {
    "BOOKING_CREATED": Trigger(is_wanted=True),
    "BOOKING_REQUESTED": Trigger(is_wanted=True),
    MOVED: Trigger(is_wanted=True),
    "BOOKING_CANCELLED": Trigger(closes=True, is_wanted=True),
    "BOOKING_REJECTED": Trigger(closes=True, is_wanted=True),
    "BOOKING_PAID": Trigger(moves_time=False, is_wanted=True),
    "BOOKING_NO_SHOW_UPDATED": Trigger(moves_time=False, is_wanted=True),
    "AFTER_GUESTS_CAL_VIDEO_NO_SHOW": _TIMELESS,
    "AFTER_HOSTS_CAL_VIDEO_NO_SHOW": _TIMELESS,
    "BOOKING_LOCATION_UPDATED": _TIMELESS,
    "BOOKING_PAYMENT_INITIATED": _ANY,
    "BOOKING_REASSIGNED": _ANY,
    "CALENDAR_ENTRY_REJECTED": _ANY,
    "DELEGATION_CREDENTIAL_ERROR": _ANY,
    "DELEGATION_CREDENTIAL_ROTATION_REQUIRED": _ANY,
    "DELEGATION_CREDENTIAL_SECRET_ROTATED": _ANY,
    "DELEGATION_CREDENTIAL_SECRET_ROTATION_FAILED": _ANY,
    "FORM_SUBMITTED": _ANY,
    "FORM_SUBMITTED_NO_EVENT": _ANY,
    "INSTANT_MEETING": _ANY,
    "INSTANT_MEETING_ACCEPTED": _ANY,
    "MEETING_ENDED": _MEETING,
    "MEETING_STARTED": _MEETING,
    "OOO_CREATED": _ANY,
    TEST: _TIMELESS,
    "RECORDING_READY": _TIMELESS,
    "RECORDING_TRANSCRIPTION_GENERATED": _TIMELESS,
    "ROUTING_FORM_FALLBACK_HIT": _ANY,
    "WRONG_ASSIGNMENT_REPORT": _ANY,
}
#: What is subscribed to where nothing else is set, in the order of the table.
BOOKING_TRIGGERS = tuple(name for name, trigger in TRIGGERS.items() if trigger.is_wanted)
# Nobody knows what a new one's `createdAt` says where it comes without an envelope, so it is not refused by that.
_UNKNOWN = Trigger(is_flat=True)


def trigger_of(name: str) -> Trigger:
    """What is known of a trigger; one that the table does not have may mean anything."""
    return TRIGGERS.get(name, _UNKNOWN)
