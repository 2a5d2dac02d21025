"""The bodies and queries of webhook subscriptions.

Facts: fact sheet 7.1 and 7.2, recordings `06*`.
"""

from typing import Final

from calcom_pipeline.sandbox.validation.engine import BodyField, Schema
from calcom_pipeline.sandbox.validation.event_types import PAGE_FIELDS
from calcom_pipeline.sandbox.validation.rules import BOOLEAN, INT, STRING, Rule, one_of

TRIGGERS: Final = (
    "BOOKING_CREATED", "BOOKING_PAYMENT_INITIATED", "BOOKING_PAID", "BOOKING_RESCHEDULED", "BOOKING_REQUESTED",
    "BOOKING_CANCELLED", "BOOKING_REJECTED", "BOOKING_NO_SHOW_UPDATED", "FORM_SUBMITTED", "MEETING_ENDED",
    "MEETING_STARTED", "RECORDING_READY", "INSTANT_MEETING", "RECORDING_TRANSCRIPTION_GENERATED", "OOO_CREATED",
    "AFTER_HOSTS_CAL_VIDEO_NO_SHOW", "AFTER_GUESTS_CAL_VIDEO_NO_SHOW", "FORM_SUBMITTED_NO_EVENT",
    "DELEGATION_CREDENTIAL_ERROR", "WRONG_ASSIGNMENT_REPORT",
)  # fmt: skip
VERSIONS: Final = ("2021-10-20",)
_EACH_TRIGGER: Final = one_of(TRIGGERS, each=True)
_ARRAY: Final = Rule("isArray", "{property} must be an array", lambda value: isinstance(value, list))


def _body(*, creating: bool) -> Schema:
    optional = not creating
    return Schema(
        (
            BodyField("payloadTemplate", (STRING,), optional=True),
            BodyField("active", (BOOLEAN,), optional=optional),
            BodyField("subscriberUrl", (STRING,), optional=optional),
            BodyField("triggers", (_EACH_TRIGGER, _ARRAY), optional=optional),
            BodyField("secret", (STRING,), optional=True),
            BodyField("version", (one_of(VERSIONS),), optional=True),
            BodyField("time", (INT,), optional=True),
            BodyField("timeUnit", (one_of(("DAY", "HOUR", "MINUTE")),), optional=True),
        )
    )


CREATE_BODY: Final = _body(creating=True)
UPDATE_BODY: Final = _body(creating=False)
LIST_QUERY: Final = Schema(PAGE_FIELDS)
