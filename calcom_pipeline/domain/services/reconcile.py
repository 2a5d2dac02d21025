"""The planner: a three-way comparison of services and event types, pure and as fast as its input is long.

Per field: local now, remote now, base (the last agreement). Only one side moved: it is followed. Both moved to the
same value: they agree. Both moved apart: the field's owner decides, or the field is a conflict that shows both values.
A field that was never agreed on (a stranger's event type that was adopted) is always a conflict.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.services.fields import FIELD_NAMES, Side, Value, Values, local_values, remote_values
from calcom_pipeline.domain.services.links import Intent, Link
from calcom_pipeline.domain.services.matching import equal_parts, kind_of, made_by, not_writable, notes, unsent
from calcom_pipeline.domain.services.models import Service, clean_slug
from calcom_pipeline.domain.services.plans import Action, ActionKind, FieldDecision, Plan, Verdict
from calcom_pipeline.domain.services.problems import problems_of

_NEVER = object()
GONE = Reason("gone")
_AGREE = Reason("agree")
_NEVER_AGREED = Reason("never_agreed")
_LOCAL_CHANGED = Reason("local_changed")
_REMOTE_CHANGED = Reason("remote_changed")
_BOTH_CHANGED = Reason("both_changed")
_NEW = Reason("new")
_OWNED: Mapping[Side, tuple[Verdict, Reason]] = {
    "local": ("push", Reason("both_changed_local_owns")),
    "remote": ("pull", Reason("both_changed_remote_owns")),
}


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


def decide(*, local: Value, remote: Value, base: object, owner: Side | None) -> tuple[Verdict, Reason]:
    """Three-way comparison of one field: the verdict, and why."""
    if local == remote:
        return "agree", _AGREE
    if base is _NEVER:
        return "conflict", _NEVER_AGREED
    if remote == base:
        return "push", _LOCAL_CHANGED
    if local == base:
        return "pull", _REMOTE_CHANGED
    if owner is None:
        return "conflict", _BOTH_CHANGED
    return _OWNED[owner]


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
        slug = clean_slug(service.slug)
        found = self._by_slug.get((owner, slug))
        if found is None:
            return self._action("create", service, owner, Reason("no_event_type")) if service.is_active else None
        return self._matched(service, owner, found)

    def _matched(self, service: Service, owner: Owner, found: EventType) -> Action | None:
        """An event type has the slug of a service that is not linked."""
        if reason := not_writable(found):
            return self._action("refuse", service, owner, reason)
        other = self._linked.get(found.id)
        if other is None and (maybe := self._maybe_made_for(found, service.id)):
            reason = Reason("create_of_another", event_type=found.id, service=maybe)
            return self._action("wait", service, owner, reason)
        if other is None:
            return self._adopt(service, found)
        if other in self._present:
            reason = Reason("linked_elsewhere", event_type=found.id, service=other)
            return self._action("refuse", service, owner, reason)
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
        self._settle(
            Link(before.service_id, before.owner, state="retired", reason=Reason("link_moved", service=service.id))
        )
        moved = Link(service.id, before.owner, before.event_type_id, before.base, before.intent)
        self._linked[before.event_type_id or 0] = service.id
        self._settle(moved)
        if moved.intent is not None:
            return self._after_intent(service, moved, moved.intent)
        return self._compared(service, moved)

    def _adopt(self, service: Service, found: EventType) -> Action:
        self._linked[found.id] = service.id
        decisions = self._decisions(local_values(service), remote_values(found), {}, keep=("agree", "conflict"))
        differing = sum(d.verdict == "conflict" for d in decisions)
        code = "slug_matches_differs" if differing else "slug_matches"
        reason = Reason(code, event_type=found.id, fields=differing)
        return self._action("adopt", service, found.owner, reason, found, decisions)

    def _refused(self, service: Service, owner: Owner) -> Action | None:
        problems = problems_of(service)
        holder = self._slug_holders.get((owner, clean_slug(service.slug)), service.id)
        if problems:
            reason = _together(problems)
        elif owner not in self._s.listed:
            reason = Reason("owner_unreadable", owner=str(owner))
        elif holder != service.id:
            reason = Reason("slug_taken", slug=service.slug, service=holder)
        else:
            return None
        return self._action("refuse", service, owner, reason)

    # --- services with a link ----------------------------------------------------------------------------

    def _with_link(self, service: Service, link: Link) -> Action | None:
        if reason := self._must_wait(service, link):
            return self._action("wait", service, link.owner, reason, event_type_id=link.event_type_id)
        if refused := self._refused(service, service.owner(self._s.me)):
            return replace(refused, event_type_id=link.event_type_id)
        if service.owner(self._s.me) != link.owner:
            reason = Reason("owner_changed", before=str(link.owner), after=str(service.owner(self._s.me)))
            return self._action("refuse", service, link.owner, reason, event_type_id=link.event_type_id)
        if link.intent is not None:
            return self._after_intent(service, link, link.intent)
        return self._compared(service, link)

    def _must_wait(self, service: Service, link: Link) -> Reason | None:
        """Why a link is left alone for now; an edit of the service since the failure is worth a new attempt."""
        if (why := self._s.unreadable.get(link.event_type_id or 0)) is not None:
            return Reason("event_type_unreadable", why=why)
        if link.failed_version != service.version:
            return None
        cause = {"reason": str(link.reason), "cause": link.reason.code}
        if link.state == "parked":
            return Reason("parked", **cause)
        if link.next_attempt_at is not None and link.next_attempt_at > self._s.now:
            at = f"{link.next_attempt_at:%Y-%m-%d %H:%M:%S}"
            return Reason("next_attempt", attempt=link.attempts + 1, at=at, **cause)
        return None

    def _after_intent(self, service: Service, link: Link, intent: Intent) -> Action | None:
        """A write was begun and its end is not known: find out what came of it before anything else."""
        if link.owner not in self._s.listed:
            return self._action("wait", service, link.owner, Reason("owner_not_read", owner=str(link.owner)))
        if link.event_type_id is None:
            return self._after_create(service, link, intent)
        now_there = self._types.get(link.event_type_id)
        base = dict(link.base)
        if now_there is not None:
            base |= equal_parts(intent.fields, remote_values(now_there))
        return self._compared(service, self._settle(replace(link, base=base, intent=None)))

    def _after_create(self, service: Service, link: Link, intent: Intent) -> Action | None:
        free = self._free_since(link, intent)
        ours = made_by(intent, free)
        if ours is not None:
            self._linked[ours.id] = service.id
            base = equal_parts(intent.fields, remote_values(ours)) | unsent(intent, remote_values(ours))
            settled = replace(link, event_type_id=ours.id, base=base, intent=None, state="linked")
            return self._compared(service, self._settle(settled))
        if intent.at + self._s.create_grace > self._s.now:
            return self._action("wait", service, link.owner, Reason("create_may_appear"))
        if free:
            numbers = ", ".join(str(e.id) for e in free)
            return self._action("conflict", service, link.owner, Reason("create_ambiguous", event_types=numbers))
        return self._unlinked(service)

    def _free_since(self, link: Link, intent: Intent) -> list[EventType]:
        """Event types that are newer than an intent and nobody's: one of them may be what it made."""
        newer = [e for e in self._s.event_types if e.owner == link.owner and e.id > intent.above_id]
        return [e for e in newer if e.id not in self._linked and not_writable(e) is None]

    def _compared(self, service: Service, link: Link) -> Action | None:
        if link.event_type_id is None:
            return self._unlinked(service)
        found = self._types.get(link.event_type_id)
        if found is None:
            return self._missing(service, link)
        if reason := not_writable(found):
            return self._action("refuse", service, link.owner, reason, found)
        local, remote = local_values(service), remote_values(found)
        if link.base == remote and local.items() <= remote.items():
            return None
        decisions = self._decisions(local, remote, link.base)
        self._rebase(link, local, remote)
        return self._changed(service, found, tuple(d for d in decisions if d.verdict != "agree"))

    def _missing(self, service: Service, link: Link) -> Action:
        if link.owner not in self._s.listed:
            reason = Reason("owner_not_read", owner=str(link.owner))
            return self._action("wait", service, link.owner, reason, event_type_id=link.event_type_id)
        return self._action("park", service, link.owner, GONE, event_type_id=link.event_type_id)

    def _changed(self, service: Service, found: EventType, decisions: tuple[FieldDecision, ...]) -> Action | None:
        if not decisions:
            return None  # only the base was renewed
        pushed = {d.field: d.local for d in decisions if d.verdict == "push"}
        if taken := self._taken(found, pushed.get("slug")):
            return self._action("refuse", service, found.owner, taken, found)
        text = "; ".join(f"{d.field}: {d.reason}" for d in decisions)
        reason = Reason("fields_differ", text=text, fields={d.field: d.reason.code for d in decisions})
        return self._action(kind_of(decisions, pushed), service, found.owner, reason, found, decisions)

    def _taken(self, found: EventType, slug: Value) -> Reason | None:
        holder = self._by_slug.get((found.owner, str(slug))) if slug is not None else None
        if holder is None or holder.id == found.id:
            return None
        return Reason("slug_taken_remote", slug=slug, event_type=holder.id)

    def _rebase(self, link: Link, local: Values, remote: Values) -> None:
        """Where both sides are the same, or the service does not manage the field, the base is what is there."""
        agreed = {n: remote[n] for n in FIELD_NAMES if n not in local or local[n] == remote[n]}
        base = {**link.base, **agreed}
        if base != link.base:
            self._settle(replace(link, base=base))

    def _decisions(
        self,
        local: Values,
        remote: Values,
        base: Mapping[str, Value],
        keep: Sequence[Verdict] = ("agree", "push", "pull", "conflict"),
    ) -> tuple[FieldDecision, ...]:
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
        ours = made_by(link.intent, self._free_since(link, link.intent)) if link.intent is not None else None
        if ours is None:
            return link
        self._linked[ours.id] = link.service_id
        return self._settle(replace(link, event_type_id=ours.id, base=remote_values(ours), intent=None, state="linked"))

    def _lost(self, link: Link, event_type_id: int) -> Action | None:
        found = self._types.get(event_type_id)
        gone = Service(link.service_id, None, None, None, is_active=False)
        if reason := self._must_wait(gone, link):
            return self._action("wait", gone, link.owner, reason, event_type_id=event_type_id)
        if found is None:  # proven before it is believed: this listing may be the one that is wrong
            return self._action("park", gone, link.owner, Reason("gone_with_service"), event_type_id=event_type_id)
        if found.hidden or not_writable(found):
            self._settle(replace(link, state="retired", intent=None, reason=Reason("link_retired")))
            return None
        deleted = Reason("service_deleted")
        hidden = FieldDecision("hidden", "push", True, False, False, deleted)
        return self._action("hide", gone, found.owner, deleted, found, (hidden,))

    def _imports(self) -> Iterator[Action]:
        if not self._s.propose_imports:
            return
        for found in self._s.event_types:
            if found.id in self._linked or not_writable(found) or self._claimed(found) or self._maybe_made_for(found):
                continue
            nobody = Service("", None, None, None)
            yield self._action("import", nobody, found.owner, Reason("import_offered"), found)

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
        reason: Reason,
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
            notes=notes(service, found),
        )


def _all_pushed(service: Service) -> tuple[FieldDecision, ...]:
    return tuple(FieldDecision(name, "push", value, None, None, _NEW) for name, value in local_values(service).items())


def _together(problems: Sequence[Reason]) -> Reason:
    """All that is wrong with a service: one problem keeps its own code."""
    if len(problems) == 1:
        return problems[0]
    return Reason("invalid", text="; ".join(problems), problems=[problem.code for problem in problems])
