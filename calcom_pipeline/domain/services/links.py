"""The link between a service and its event type: what both sides last agreed on, and what we were about to write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.reasons import NO_REASON, Reason
from calcom_pipeline.domain.services.fields import Value

LinkState = Literal["linked", "creating", "parked", "retired"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What was about to be sent, stored before it was sent, so that a crash leaves no twin and destroys no edit.

    `above_id` is the highest event type id known in the owner's scope before: what a create made has a higher one.
    """

    kind: Literal["create", "update"]
    fields: Mapping[str, Value]
    at: datetime
    above_id: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """The one home of a link. `base` lacks the fields that were never agreed on."""

    service_id: str
    owner: Owner
    event_type_id: int | None = None
    base: Mapping[str, Value] = field(default_factory=dict[str, Value])
    intent: Intent | None = None
    state: LinkState = "linked"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    reason: Reason = NO_REASON
    #: Version of the service at the last failure: an edit since then is worth a new attempt at once.
    failed_version: str | None = None
