"""Which event type belongs to a service, whether it may be written, and what the result of a comparison is called."""

from collections.abc import Iterable, Mapping, Sequence

from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.fields import Value, Values, remote_values
from calcom_pipeline.domain.services.links import Intent
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import ActionKind, FieldDecision

_NEVER = object()


def kind_of(decisions: Iterable[FieldDecision], pushed: Mapping[str, Value]) -> ActionKind:
    """The most telling name of what happens to a service: visibility first, then what is written where."""
    if "hidden" in pushed:
        return "hide" if pushed["hidden"] else "show"
    if pushed:
        return "push"
    return "pull" if any(d.verdict == "pull" for d in decisions) else "conflict"


def not_writable(event_type: EventType) -> Reason | None:
    """Why an event type is not ours to write; None when it is."""
    if event_type.is_managed_parent:
        return Reason("managed_parent", event_type=event_type.id)
    if event_type.parent_id is not None:
        return Reason("managed_child", event_type=event_type.id, parent=event_type.parent_id)
    return None


def made_by(intent: Intent, candidates: Sequence[EventType]) -> EventType | None:
    """The event type that an interrupted create made: by the slug that was sent, or renamed but otherwise as sent.

    None when nobody can tell: ours may have been renamed, and a stranger's may have got the slug since. One with the
    slug that differs else is ours only if it is the oldest: a stranger's that got the slug of ours is younger.
    """
    sent = {name: value for name, value in intent.fields.items() if name != "slug"}
    alike = [c for c in candidates if sent.items() <= remote_values(c).items()]
    named = next((c for c in candidates if remote_values(c)["slug"] == intent.fields.get("slug")), None)
    if named is not None:
        oldest = min(candidates, key=lambda c: c.id)
        return named if named in alike or (not alike and named is oldest) else None
    return alike[0] if len(alike) == 1 and len(candidates) == 1 else None


def equal_parts(sent: Mapping[str, Value], there: Mapping[str, Value]) -> Values:
    """What was sent and stands there."""
    return {name: value for name, value in sent.items() if there.get(name, _NEVER) == value}


def unsent(intent: Intent, there: Mapping[str, Value]) -> Values:
    """What stands there and was not sent."""
    return {name: value for name, value in there.items() if name not in intent.fields}


def notes(service: Service, found: EventType | None) -> tuple[str, ...]:
    """What a person should know about a service beside what is done."""
    if service.price_minor is None or (found is not None and found.price_minor == service.price_minor):
        return ()
    return ("price is kept here only: Cal.com's API does not accept it",)
