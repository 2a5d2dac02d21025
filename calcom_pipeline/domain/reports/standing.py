"""How each service stands: the planner's own word on what the mirror holds, in the classes that a person thinks in.

Nothing is asked of Cal.com for it, so it is as old as the mirror of event types.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from calcom_pipeline.domain.event_types.models import EventType
from calcom_pipeline.domain.reasons import NO_REASON, Reason
from calcom_pipeline.domain.services.fields import FIELD_NAMES, Side, local_values, remote_values
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import Action, ActionKind, FieldDecision
from calcom_pipeline.domain.services.reconcile import Situation, decide, plan_services
from calcom_pipeline.domain.services.remedies import STANDINGS, Standing


@dataclass(frozen=True, slots=True)
class ServiceStanding:
    """How one service stands and why. `fields` are those that differ, `action` is what is planned for it.

    `next_attempt_at` (UTC) is when a failed one is tried again by itself; None: with the next run, or never.
    """

    service_id: str
    name: str
    slug: str
    standing: Standing
    reason: Reason = NO_REASON
    owner: str = ""
    event_type_id: int | None = None
    action: ActionKind | None = None
    fields: tuple[FieldDecision, ...] = ()
    attempts: int = 0
    next_attempt_at: datetime | None = None


def standings(situation: Situation, held: Mapping[str, Reason]) -> list[ServiceStanding]:
    """One per service, and one per link whose service is gone and that is not settled; worst first, then by id.

    `held`: kinds of action of the open plan that wait for approval, with their reasons.
    """
    planned = {action.service_id: action for action in plan_services(situation).actions}
    links = {link.service_id: link for link in situation.links}
    types = {event_type.id: event_type for event_type in situation.event_types}
    found: list[ServiceStanding] = []
    for service in situation.services:
        link, action = links.get(service.id), planned.pop(service.id, None)
        one = _of_service(service, link, action, held, str(service.owner(situation.me)))
        if one.action == "wait" and link is not None and (there := types.get(link.event_type_id or 0)):
            # What waits is not compared by the planner; a person wants to know what it waits with.
            one = replace(one, fields=drift(service, link, there, situation.field_owners))
        found.append(one)
    found += [_of_lost(action, links.get(action.service_id), held) for action in planned.values()]
    return sorted(found, key=lambda one: (STANDINGS.index(one.standing), len(one.service_id), one.service_id))


def drift(
    service: Service, link: Link, there: EventType, field_owners: Mapping[str, Side]
) -> tuple[FieldDecision, ...]:
    """The fields of a linked service that differ from its event type, each with what would be done about it."""
    remote, found = remote_values(there), list[FieldDecision]()
    for name, value in local_values(service).items():
        if value == remote[name]:
            continue
        verdict, reason = decide(
            local=value, remote=remote[name], base=link.base.get(name), owner=field_owners.get(name)
        )
        if name not in link.base:
            verdict, reason = "conflict", Reason("never_agreed")
        found.append(FieldDecision(name, verdict, value, remote[name], link.base.get(name), reason))
    return tuple(found)


def known_event_types(
    mirrored: Iterable[EventType], links: Iterable[Link], written_since: Collection[str]
) -> list[EventType]:
    """Event types as far as they are known here.

    `written_since` are services whose link changed after the mirror was read: what both sides agreed on then is newer
    than what the mirror holds.
    """
    known = {event_type.id: event_type for event_type in mirrored}
    for link in links:
        number = link.event_type_id
        if number is None or link.service_id not in written_since or link.reason or link.state != "linked":
            continue
        there = known.get(number) or EventType(number, link.owner, slug="", title="", duration_minutes=0)
        agreed = {name: value for name, value in link.base.items() if name in FIELD_NAMES}
        known[number] = replace(there, **agreed)  # type: ignore[arg-type]  # by the names of its own fields
    return list(known.values())


def _of_service(
    service: Service, link: Link | None, action: Action | None, held: Mapping[str, Reason], owner: str
) -> ServiceStanding:
    standing, reason = _judged(action, link, held)
    return ServiceStanding(
        service.id,
        service.name or "",
        service.slug or "",
        standing,
        reason,
        str(link.owner) if link else owner,
        link.event_type_id if link else action.event_type_id if action else None,
        action.kind if action else None,
        _differing(action),
        link.attempts if link else 0,
        link.next_attempt_at if link and standing == "failed" else None,
    )


def _of_lost(action: Action, link: Link | None, held: Mapping[str, Reason]) -> ServiceStanding:
    standing, reason = _judged(action, link, held)
    owner = str(action.owner or "")
    attempts = link.attempts if link else 0
    return ServiceStanding(
        action.service_id, "", "", standing, reason, owner, action.event_type_id, action.kind, (), attempts
    )


def _judged(action: Action | None, link: Link | None, held: Mapping[str, Reason]) -> tuple[Standing, Reason]:
    """The class, and the reason that a person needs: of a failure the failure, not that an attempt is due."""
    if action is None:
        return "in_sync", NO_REASON
    if link is not None and link.reason and action.reason.code == "parked":
        return "parked", link.reason
    if link is not None and link.reason and link.attempts and action.kind != "refuse":
        return "failed", link.reason
    return _planned(action, held)


def _planned(action: Action, held: Mapping[str, Reason]) -> tuple[Standing, Reason]:
    if action.kind in ("refuse", "wait"):
        return ("refused" if action.kind == "refuse" else "waiting"), action.reason
    if action.kind == "conflict" or (action.kind != "adopt" and action.values("conflict")):
        return "conflict", action.reason
    why = action.why_held(held)
    return ("held", why) if why else ("pending", action.reason)


def _differing(action: Action | None) -> tuple[FieldDecision, ...]:
    """What differs; of a new event type nothing does yet."""
    if action is None or action.kind == "create":
        return ()
    return tuple(field for field in action.fields if field.verdict != "agree")
