"""Services that need somebody: what is the matter with each, and what a person can do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.plans import DOING, Action, FieldDecision
from calcom_pipeline.domain.services.remedies import Remedy, remedy_of

#: In the order in which they are to be looked at.
TroubleKind = Literal["parked", "failed", "conflict", "refused", "waiting"]
TROUBLE_KINDS: tuple[TroubleKind, ...] = ("parked", "failed", "conflict", "refused", "waiting")

#: Settles itself within seconds, so it is nobody's business yet.
_PASSING = frozenset({"create_may_appear"})
#: Waits for itself: its link shows what failed.
_FAILED = frozenset({"parked", "next_attempt"})


@dataclass(frozen=True, slots=True)
class ServiceTrouble:
    """What is the matter with one service. `next_attempt_at` (UTC): None where nobody tries it by itself, or at once.

    `fields` are those that both sides changed, of a conflict.
    """

    service_id: str
    kind: TroubleKind
    reason: Reason
    event_type_id: int | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    fields: tuple[FieldDecision, ...] = ()

    @property
    def remedy(self) -> Remedy:
        """What a person can do about it."""
        return remedy_of(self.kind, self.reason.code)


def troubles(actions: Iterable[Action], links: Iterable[Link], *, planned_now: bool) -> tuple[ServiceTrouble, ...]:
    """What is wrong, worst first, by a plan's actions and the links.

    `planned_now`: the plan was made just now, so a service without an action agrees with Cal.com; else a link that
    tells of a failure counts too.
    """
    known = {link.service_id: link for link in links if link.state != "retired"}
    found: dict[str, ServiceTrouble] = {}
    for action in actions:
        trouble = _of_action(action, known.get(action.service_id))
        if trouble is not None:
            found[action.service_id] = trouble
    if not planned_now:
        for link in known.values():
            if link.state == "parked" or link.reason:
                found[link.service_id] = _of_link(link)
    return tuple(sorted(found.values(), key=lambda t: (TROUBLE_KINDS.index(t.kind), len(t.service_id), t.service_id)))


def _of_action(action: Action, link: Link | None) -> ServiceTrouble | None:
    if action.kind == "refuse":
        return _trouble(action, "refused", action.reason)
    if action.kind == "wait":
        if action.reason.code in _PASSING:
            return None
        has_failed = link is not None and action.reason.code in _FAILED
        return _of_link(link) if link and has_failed else _trouble(action, "waiting", action.reason)
    open_fields = tuple(d for d in action.fields if d.verdict == "conflict")
    if action.kind == "conflict" or (open_fields and action.kind != "adopt"):
        return _trouble(action, "conflict", action.reason, open_fields)
    if action.kind in DOING and link is not None and link.attempts:  # due, or edited since it failed
        return _of_link(link)
    return None


def _trouble(
    action: Action, kind: TroubleKind, reason: Reason, fields: tuple[FieldDecision, ...] = ()
) -> ServiceTrouble:
    return ServiceTrouble(action.service_id, kind, reason, action.event_type_id, fields=fields)


def _of_link(link: Link) -> ServiceTrouble:
    """What a link records of failures."""
    is_parked = link.state == "parked"
    at = None if is_parked else link.next_attempt_at
    kind: TroubleKind = "parked" if is_parked else "failed"
    return ServiceTrouble(link.service_id, kind, link.reason, link.event_type_id, link.attempts, at)
