"""The planner: a three-way comparison of services and event types, pure and as fast as its input is long.

Per field: local now, remote now, base (the last agreement). Only one side moved: it is followed. Both moved to the
same value: they agree. Both moved apart: the field's owner decides, or the field is a conflict that shows both values.
A field that was never agreed on (a stranger's event type that was adopted) is always a conflict.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.services.fields import FIELD_NAMES, Side, Value, Values, local_values, remote_values
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.models import Service, clean_slug, problems_of
from calcom_pipeline.domain.services.plans import Action, ActionKind, FieldDecision, Plan, Verdict

_NEVER = object()
GONE = "its event type is gone"


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything the planner looks at. `listed` are the owners whose listing was read completely."""

    me: Owner
    services: Sequence[Service]
    event_types: Sequence[EventType]
    listed: frozenset[Owner]
    links: Sequence[Link]
    now: datetime
    field_owners: Mapping[str, Side] = field(default_factory=dict[str, Side])
    propose_imports: bool = False
    #: How long a create without an answer may still turn up.
    create_grace: timedelta = timedelta(seconds=30)
    #: Event types that are listed and could not be read, with the reason: neither gone nor to be compared.
    unreadable: Mapping[int, str] = field(default_factory=dict[int, str])


def plan_services(situation: Situation) -> Plan:
    """Decide what has to happen so that both sides agree again."""
    return _Planner(situation).plan()


def decide(*, local: Value, remote: Value, base: object, owner: Side | None) -> tuple[Verdict, str]:
    """Three-way comparison of one field: the verdict, and why."""
    if local == remote:
        return "agree", "both sides agree"
    if base is _NEVER:
        return "conflict", "the sides were never the same"
    if remote == base:
        return "push", "only the service changed"
    if local == base:
        return "pull", "only Cal.com changed"
    if owner is None:
        return "conflict", "both changed"
    settled: dict[Side, tuple[Verdict, str]] = {
        "local": ("push", "both changed, the service owns this field"),
        "remote": ("pull", "both changed, Cal.com owns this field"),
    }
    return settled[owner]


class _Planner:
    """Indexes over one situation, and a pass over its services."""

    def __init__(self, situation: Situation) -> None:
        self._s = situation
        self._types = {e.id: e for e in situation.event_types}
        self._by_slug = {(e.owner, clean_slug(e.slug)): e for e in situation.event_types}
        self._links = {link.service_id: link for link in situation.links}
        self._present = {service.id for service in situation.services}
        self._linked = {link.event_type_id: link.service_id for link in situation.links if link.event_type_id}
        self._doubts = {
            link.service_id: link.intent
            for link in situation.links
            if link.intent is not None and link.event_type_id is None and link.service_id in self._present
        }
        self._slug_holders = self._first_of_each_slug()
        self._settled: dict[str, Link] = {}
        self._unchanged = 0

    def plan(self) -> Plan:
        actions = [*self._for_services(), *self._for_lost_services(), *self._imports()]
        return Plan(tuple(actions), tuple(self._settled.values()), self._unchanged)

    def _for_services(self) -> Iterator[Action]:
        # Creates whose end is not known come first: what they made is nobody else's to take.
        for service in sorted(self._s.services, key=lambda service: service.id not in self._doubts):
            link = self._links.get(service.id)
            action = self._unlinked(service) if link is None else self._with_link(service, link)
            if action is None:
                self._unchanged += 1
            else:
                yield action

    def _first_of_each_slug(self) -> dict[tuple[Owner, str], str]:
        """Which service a slug belongs to when several want it: a linked one, else the first."""
        holders: dict[tuple[Owner, str], str] = {}
        for service in self._s.services:
            if not (slug := clean_slug(service.slug)):
                continue
            key = (service.owner(self._s.me), slug)
            if key not in holders or (service.id in self._links and holders[key] not in self._links):
                holders[key] = service.id
        return holders

    # --- services without an event type ------------------------------------------------------------------

    def _unlinked(self, service: Service) -> Action | None:
        owner = service.owner(self._s.me)
        if refused := self._refused(service, owner):
            return refused
        slug = str(local_values(service)["slug"])
        found = self._by_slug.get((owner, slug))
        if found is None:
            return self._action("create", service, owner, "no event type has its slug") if service.is_active else None
        return self._matched(service, owner, found)

    def _matched(self, service: Service, owner: Owner, found: EventType) -> Action | None:
        """An event type has the slug of a service that is not linked."""
        if reason := _not_writable(found):
            return self._action("refuse", service, owner, reason)
        other = self._linked.get(found.id)
        if other is None and (maybe := self._maybe_made_for(found, service.id)):
            said = f"event type {found.id} may have been made for service {maybe}: that is settled first"
            return self._action("wait", service, owner, said)
        if other is None:
            return self._adopt(service, found)
        if other in self._present:
            return self._action("refuse", service, owner, f"event type {found.id} is written by service {other}")
        return self._take_over(service, self._links[other])

    def _maybe_made_for(self, found: EventType, service_id: str = "") -> str | None:
        """Another service, for which an event type may have been created: nobody knows yet."""
        for other, intent in self._doubts.items():
            known = self._settled.get(other, self._links[other])
            is_open = known.intent is not None and known.event_type_id is None
            if other != service_id and is_open and known.owner == found.owner and found.id > intent.above_id:
                return other
        return None

    def _take_over(self, service: Service, before: Link) -> Action | None:
        """The service that had the event type was deleted, perhaps to be made anew: its link moves, base and all."""
        self._settle(Link(before.service_id, before.owner, state="retired", reason=f"now service {service.id}"))
        moved = Link(service.id, before.owner, before.event_type_id, before.base, before.intent)
        self._linked[before.event_type_id or 0] = service.id
        self._settle(moved)
        if moved.intent is not None:
            return self._after_intent(service, moved, moved.intent)
        return self._compared(service, moved)

    def _adopt(self, service: Service, found: EventType) -> Action:
        self._linked[found.id] = service.id
        decisions = self._decisions(service, found, {}, keep=("agree", "conflict"))
        differing = sum(d.verdict == "conflict" for d in decisions)
        said = f"event type {found.id} has its slug" + (f"; {differing} fields differ" if differing else "")
        return self._action("adopt", service, found.owner, said, found, decisions)

    def _refused(self, service: Service, owner: Owner) -> Action | None:
        reason = "; ".join(problems_of(service))
        holder = self._slug_holders.get((owner, clean_slug(service.slug)), service.id)
        if not reason and owner not in self._s.listed:
            reason = f"the event types of {owner} cannot be read with this key"
        if not reason and holder != service.id:
            reason = f"its slug {service.slug!r} is taken by service {holder}"
        return self._action("refuse", service, owner, reason) if reason else None

    # --- services with a link ----------------------------------------------------------------------------

    def _with_link(self, service: Service, link: Link) -> Action | None:
        if said := self._must_wait(service, link):
            return self._action("wait", service, link.owner, said, event_type_id=link.event_type_id)
        if refused := self._refused(service, service.owner(self._s.me)):
            return replace(refused, event_type_id=link.event_type_id)
        if service.owner(self._s.me) != link.owner:
            said = f"event types cannot move from {link.owner} to {service.owner(self._s.me)}"
            return self._action("refuse", service, link.owner, said, event_type_id=link.event_type_id)
        if link.intent is not None:
            return self._after_intent(service, link, link.intent)
        return self._compared(service, link)

    def _must_wait(self, service: Service, link: Link) -> str:
        """Why a link is left alone for now; an edit of the service since the failure is worth a new attempt."""
        if (why := self._s.unreadable.get(link.event_type_id or 0)) is not None:
            return f"its event type is listed and cannot be read: {why}"
        if link.failed_version != service.version:
            return ""
        if link.state == "parked":
            return f"parked: {link.reason}"
        if link.next_attempt_at is not None and link.next_attempt_at > self._s.now:
            return f"attempt {link.attempts + 1} not before {link.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC: {link.reason}"
        return ""

    def _after_intent(self, service: Service, link: Link, intent: Intent) -> Action | None:
        """A write was begun and its end is not known: find out what came of it before anything else."""
        if link.owner not in self._s.listed:
            return self._action("wait", service, link.owner, f"the event types of {link.owner} were not read")
        if link.event_type_id is None:
            return self._after_create(service, link, intent)
        now_there = self._types.get(link.event_type_id)
        base = dict(link.base)
        if now_there is not None:
            base |= _equal_parts(intent.fields, remote_values(now_there))
        return self._compared(service, self._settle(replace(link, base=base, intent=None)))

    def _after_create(self, service: Service, link: Link, intent: Intent) -> Action | None:
        free = self._free_since(link, intent)
        ours = _made_by(intent, free)
        if ours is not None:
            self._linked[ours.id] = service.id
            base = _equal_parts(intent.fields, remote_values(ours)) | _unsent(intent, remote_values(ours))
            settled = replace(link, event_type_id=ours.id, base=base, intent=None, state="linked")
            return self._compared(service, self._settle(settled))
        if intent.at + self._s.create_grace > self._s.now:
            return self._action("wait", service, link.owner, "a create without an answer may still turn up")
        if free:
            numbers = ", ".join(str(e.id) for e in free)
            said = f"an earlier create may have become one of event types {numbers}; if not: resolve it with --retry"
            return self._action("conflict", service, link.owner, said)
        return self._unlinked(service)

    def _free_since(self, link: Link, intent: Intent) -> list[EventType]:
        """Event types that are newer than an intent and nobody's: one of them may be what it made."""
        newer = [e for e in self._s.event_types if e.owner == link.owner and e.id > intent.above_id]
        return [e for e in newer if e.id not in self._linked and _not_writable(e) is None]

    def _compared(self, service: Service, link: Link) -> Action | None:
        if link.event_type_id is None:
            return self._unlinked(service)
        found = self._types.get(link.event_type_id)
        if found is None:
            return self._missing(service, link)
        if reason := _not_writable(found):
            return self._action("refuse", service, link.owner, reason, found)
        local, remote = local_values(service), remote_values(found)
        if link.base == remote and local.items() <= remote.items():
            return None
        decisions = self._decisions(service, found, link.base)
        self._rebase(link, local, remote)
        return self._changed(service, found, tuple(d for d in decisions if d.verdict != "agree"))

    def _missing(self, service: Service, link: Link) -> Action:
        if link.owner not in self._s.listed:
            said = f"the event types of {link.owner} were not read"
            return self._action("wait", service, link.owner, said, event_type_id=link.event_type_id)
        return self._action("park", service, link.owner, GONE, event_type_id=link.event_type_id)

    def _changed(self, service: Service, found: EventType, decisions: tuple[FieldDecision, ...]) -> Action | None:
        if not decisions:
            return None  # only the base was renewed
        pushed = {d.field: d.local for d in decisions if d.verdict == "push"}
        if taken := self._taken(found, pushed.get("slug")):
            return self._action("refuse", service, found.owner, taken, found)
        kind = _kind(decisions, pushed)
        said = "; ".join(f"{d.field}: {d.reason}" for d in decisions)
        return self._action(kind, service, found.owner, said, found, decisions)

    def _taken(self, found: EventType, slug: Value) -> str:
        holder = self._by_slug.get((found.owner, str(slug))) if slug is not None else None
        return f"its slug {slug!r} is taken by event type {holder.id}" if holder and holder.id != found.id else ""

    def _rebase(self, link: Link, local: Values, remote: Values) -> None:
        """Where both sides are the same, or the service does not manage the field, the base is what is there."""
        agreed = {n: remote[n] for n in FIELD_NAMES if n not in local or local[n] == remote[n]}
        base = {**link.base, **agreed}
        if base != link.base:
            self._settle(replace(link, base=base))

    def _decisions(
        self,
        service: Service,
        found: EventType,
        base: Mapping[str, Value],
        keep: Sequence[Verdict] = ("agree", "push", "pull", "conflict"),
    ) -> tuple[FieldDecision, ...]:
        local, remote = local_values(service), remote_values(found)
        decisions: list[FieldDecision] = []
        for name, value in local.items():
            owner = self._s.field_owners.get(name)
            verdict, reason = decide(local=value, remote=remote[name], base=base.get(name, _NEVER), owner=owner)
            if verdict in keep:
                decisions.append(FieldDecision(name, verdict, value, remote[name], base.get(name), reason))
        return tuple(decisions)

    # --- links without a service, event types without one ------------------------------------------------

    def _for_lost_services(self) -> Iterator[Action]:
        for link in self._s.links:
            if link.service_id in self._present or link.service_id in self._settled:
                continue
            if link.state == "retired" or link.owner not in self._s.listed:
                continue
            known = link if link.event_type_id is not None else self._found_again(link)
            if known.event_type_id is not None and (action := self._lost(known, known.event_type_id)):
                yield action

    def _found_again(self, link: Link) -> Link:
        """A create that was begun for a service which is gone by now may have worked."""
        ours = _made_by(link.intent, self._free_since(link, link.intent)) if link.intent is not None else None
        if ours is None:
            return link
        self._linked[ours.id] = link.service_id
        return self._settle(replace(link, event_type_id=ours.id, base=remote_values(ours), intent=None, state="linked"))

    def _lost(self, link: Link, event_type_id: int) -> Action | None:
        found = self._types.get(event_type_id)
        gone = Service(link.service_id, None, None, None, is_active=False)
        if said := self._must_wait(gone, link):
            return self._action("wait", gone, link.owner, said, event_type_id=event_type_id)
        if found is None:  # proven before it is believed: this listing may be the one that is wrong
            said = f"{GONE}, and so is its service"
            return self._action("park", gone, link.owner, said, event_type_id=event_type_id)
        if found.hidden or _not_writable(found):
            self._settle(replace(link, state="retired", intent=None, reason="its service was deleted"))
            return None
        hidden = FieldDecision("hidden", "push", True, False, False, "the service was deleted")
        return self._action("hide", gone, found.owner, "the service was deleted", found, (hidden,))

    def _imports(self) -> Iterator[Action]:
        if not self._s.propose_imports:
            return
        for found in self._s.event_types:
            if found.id in self._linked or _not_writable(found) or self._claimed(found) or self._maybe_made_for(found):
                continue
            nobody = Service("", None, None, None)
            yield self._action("import", nobody, found.owner, "no service has this event type", found)

    def _claimed(self, found: EventType) -> bool:
        return (found.owner, clean_slug(found.slug)) in self._slug_holders

    # --- small parts -------------------------------------------------------------------------------------

    def _settle(self, link: Link) -> Link:
        self._settled[link.service_id] = link
        return link

    def _action(
        self,
        kind: ActionKind,
        service: Service,
        owner: Owner,
        reason: str,
        found: EventType | None = None,
        decisions: tuple[FieldDecision, ...] = (),
        *,
        event_type_id: int | None = None,
    ) -> Action:
        return Action(
            kind=kind,
            service_id=service.id,
            reason=reason,
            owner=owner,
            event_type_id=found.id if found else event_type_id,
            fields=decisions if kind != "create" else _all_pushed(service),
            service_version=service.version,
            remote=remote_values(found) if found else {},
            notes=_notes(service, found),
        )


def _all_pushed(service: Service) -> tuple[FieldDecision, ...]:
    return tuple(FieldDecision(name, "push", value, None, None, "new") for name, value in local_values(service).items())


def _kind(decisions: Iterable[FieldDecision], pushed: Mapping[str, Value]) -> ActionKind:
    """The most telling name of what happens to a service: visibility first, then what is written where."""
    if "hidden" in pushed:
        return "hide" if pushed["hidden"] else "show"
    if pushed:
        return "push"
    return "pull" if any(d.verdict == "pull" for d in decisions) else "conflict"


def _not_writable(event_type: EventType) -> str | None:
    if event_type.is_managed_parent:
        return f"event type {event_type.id} is a managed parent, which takes no bookings itself"
    if event_type.parent_id is not None:
        return f"event type {event_type.id} is managed by its team's event type {event_type.parent_id}"
    return None


def _made_by(intent: Intent, candidates: Sequence[EventType]) -> EventType | None:
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


def _equal_parts(sent: Mapping[str, Value], there: Mapping[str, Value]) -> Values:
    return {name: value for name, value in sent.items() if there.get(name, _NEVER) == value}


def _unsent(intent: Intent, there: Mapping[str, Value]) -> Values:
    return {name: value for name, value in there.items() if name not in intent.fields}


def _notes(service: Service, found: EventType | None) -> tuple[str, ...]:
    if service.price_minor is None or (found is not None and found.price_minor == service.price_minor):
        return ()
    return ("price is kept here only: Cal.com's API does not accept it",)
