"""Reasons: a code with parameters for programs, and the sentence that people read.

Every sentence stands in `SENTENCES`, once, under its code. Filters, alerts and tests use the code; tables, the command
line and the UI show the sentence. Both are stored, so that a sentence that a later release words differently stays as
it was told.
"""

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, Self

from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.domain.text import snake_case

SENTENCES: Mapping[str, str] = {
    # --- one field: which side changed
    "agree": "both sides agree",
    "never_agreed": "the sides were never the same",
    "local_changed": "only the service changed",
    "remote_changed": "only Cal.com changed",
    "both_changed": "both changed",
    "both_changed_local_owns": "both changed, the service owns this field",
    "both_changed_remote_owns": "both changed, Cal.com owns this field",
    "new": "new",
    # --- one service: what is to happen, or what stands in the way
    "no_event_type": "no event type has its slug",
    "slug_matches": "event type {event_type} has its slug",
    "slug_matches_differs": "event type {event_type} has its slug; {fields} fields differ",
    "fields_differ": "{text}",
    "import_offered": "no service has this event type",
    "import_needs_approval": "an event type becomes a service only when the plan is applied by name",
    "invalid": "{text}",
    "slug_taken": "its slug {slug!r} is taken by service {service}",
    "slug_taken_remote": "its slug {slug!r} is taken by event type {event_type}",
    "owner_unreadable": "the event types of {owner} cannot be read with this key",
    "owner_not_read": "the event types of {owner} were not read",
    "owner_changed": "event types cannot move from {before} to {after}",
    "linked_elsewhere": "event type {event_type} is written by service {service}",
    "managed_parent": "event type {event_type} is a managed parent, which takes no bookings itself",
    "managed_child": "event type {event_type} is managed by its team's event type {parent}",
    "create_of_another": "event type {event_type} may have been made for service {service}: that is settled first",
    "create_may_appear": "a create without an answer may still turn up",
    "create_ambiguous": "an earlier create may have become one of event types {event_types}; if not: "
    "resolve it with --retry",
    "event_type_unreadable": "its event type is listed and cannot be read: {why}",
    "gone": "its event type is gone",
    "gone_with_service": "its event type is gone, and so is its service",
    "parked": "parked: {reason}",
    "next_attempt": "attempt {attempt} not before {at} UTC: {reason}",
    "service_deleted": "the service was deleted",
    # --- links
    "link_moved": "now service {service}",
    "link_retired": "its service was deleted",
    "link_reverted": "unlinked by a revert",
    # --- brakes: kinds of action that wait until the plan is applied by name
    "brake_hide": "{number} of {linked} linked services would be hidden at Cal.com, more than the {limit} that pass "
    "unasked",
    "brake_park": "{number} of {linked} linked services would be parked, more than the {limit} that pass unasked",
    "brake_pull": "{number} of {linked} linked services would have values overwritten from Cal.com, more than the "
    "{limit} that pass unasked",
    "listing_empty": "Cal.com lists no event type of {owner} any more, though services are linked to some",
    "listing_shrank": "Cal.com lists {listed} event types of {owner}, where there were {known}",
    # --- values that cannot become an event type
    "name_missing": "it has no name",
    "name_too_long": "its name is longer than {most} characters",
    "slug_missing": "its slug is empty after trimming",
    "slug_characters": "its slug {slug!r} may hold letters, digits and single - _ . between them only",
    "currency_unknown": "its currency {currency!r} is no three-letter code",
    "value_unreadable": "its {what}",
    "duration_out_of_range": "its duration of {minutes} minutes is not between 1 and {most}",
    "value_out_of_range": "its {column} of {value} is not between {least} and {most}",
    "price_negative": "its price of {value} is negative",
    "before_buffer_negative": "its buffer before is negative",
    "after_buffer_negative": "its buffer after is negative",
    "notice_negative": "its minimum notice is negative",
    # --- just before a write: one side moved since the plan was made
    "service_edited": "the service was edited since the plan was made",
    "service_deleted_since": "the service was deleted since the plan was made",
    "event_type_edited": "the event type was edited since the plan was made",
    "event_type_vanished": "the event type has vanished since the plan was made",
    "event_type_back": "the event type is there again",
    "slug_appeared": "an event type with its slug has appeared since the plan was made",
    "unproven_readable": "the event type is missing from its listing, but can still be read",
    "unproven_sibling": "not proven gone: event type {event_type} is listed and cannot be read either",
    "unproven_key": "not proven gone: the key is somebody else's by now",
    "unproven_refused": "not proven gone: {text}",
    # --- webhook subscriptions: what is found of a scope
    "webhook_right": "subscribed as it should be",
    "webhook_missing": "there is no subscription of our address",
    "webhook_differs": "its {fields} are not as they should be",
    "webhook_doubled": "a second subscription of our address: everything would come twice",
    "webhook_unwanted": "made by us for an event type that is not read any more",
    "webhook_rotation_due": "signs with a previous secret",
    "webhook_not_looked_at": "not looked at yet; {most} scopes are looked at in a run",
    "webhook_forbidden": "this key may not see or change its subscriptions; it takes an admin or owner of the team",
    "webhook_new_secret_refused": "the receiver is away or does not take the new secret yet; nothing was changed",
    "webhook_old_secret_refused": "the receiver does not take a previous secret; what is signed with it would be lost",
    # --- polling beside webhooks: how often it looks
    "sweep_not_subscribed": "not every webhook is subscribed as it should be",
    "sweep_unproven": "nothing has changed lately that would prove that deliveries arrive",
    "sweep_lost": "{lost} of {expected} changes were not delivered, the last one among them",
    "sweep_proven": "deliveries arrive: the last {number} changes were named by one",
    # --- schedules and sensors that come less often
    "standing_stretched": "{work}: every {minutes} minutes instead of {instead}, since {event_types} event types of "
    "{owners} owners would take more than {share} of {limit} calls a minute",
    # --- webhooks: a look that did not come about
    "webhook_stopped": "not looked at: {text}",
}

# Parameters that are whole sentences: reasons that differ in one are different reasons, in any other they are one.
_SENTENCES_WITHIN = frozenset({"text", "what", "why", "reason"})
_VARYING = "\N{HORIZONTAL ELLIPSIS}"


class Reason(str):
    """A sentence that knows its code and parameters. The empty one, `NO_REASON`, is false and has no code."""

    __slots__ = ("code", "params")

    code: str
    params: Mapping[str, Any]

    def __new__(cls, code: str, /, **params: object) -> Self:
        """The sentence of a code. Raises KeyError for a code or a parameter that `SENTENCES` does not know."""
        return cls.stored(SENTENCES[code].format(**params), code, params)

    @classmethod
    def stored(cls, sentence: str, code: str = "", params: Mapping[str, Any] | None = None) -> Self:
        """A reason as it was kept; of an earlier release only the sentence may be known."""
        reason = super().__new__(cls, sentence)
        reason.code = code
        reason.params = params or {}
        return reason

    @classmethod
    def of(cls, error: PipelineError) -> Self:
        """What failed, with the kind of error as the code."""
        return cls.stored(str(error), snake_case(type(error).__name__))

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (str(self), self.code, dict(self.params))

    @property
    def shown(self) -> Mapping[str, Any]:
        """The parameters that its sentence shows; of an earlier release's reason perhaps none."""
        names = (name for _, name, _, _ in Formatter().parse(SENTENCES.get(self.code, "")) if name)
        return {name: self.params[name] for name in names if name in self.params}

    @property
    def kind(self) -> tuple[object, ...]:
        """Equal for reasons that are one reason to a person, of which the numbers and names may differ."""
        shown = self.shown
        if self.code not in SENTENCES or set(shown) != _parameters(self.code):
            return self.code, str(self)
        return self.code, *(str(shown[name]) for name in sorted(_SENTENCES_WITHIN & set(shown)))


def common_reason(reasons: Sequence[Reason]) -> tuple[str, list[dict[str, Any]]]:
    """One sentence for reasons of one kind, three dots where they differ; and, of each, the parameters that differ."""
    first = reasons[0]
    differing = [name for name in first.shown if any(r.params[name] != first.params[name] for r in reasons)]
    own = [{name: reason.params[name] for name in differing} for reason in reasons]
    if not differing:
        return str(first), own
    return SENTENCES[first.code].format(**{**first.shown, **dict.fromkeys(differing, _VARYING)}), own


def _parameters(code: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(SENTENCES[code]) if name}


def _restored(sentence: str, code: str, params: Mapping[str, Any]) -> Reason:
    return Reason.stored(sentence, code, params)


NO_REASON = Reason.stored("")
