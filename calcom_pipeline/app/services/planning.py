"""Make a plan: read both sides, decide (domain), settle the bookkeeping, set the brakes, keep what is left to do."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from calcom_pipeline.app.calls import AccountApi
from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.event_types.ports import EventTypeApi
from calcom_pipeline.app.services.ports import PlanStore, ServiceStore, StoredPlan
from calcom_pipeline.domain.event_types.models import EventType, Owner
from calcom_pipeline.domain.listed import EVENT_TYPES_STREAM, Listed
from calcom_pipeline.domain.reasons import NO_REASON, Reason
from calcom_pipeline.domain.services.fields import Side
from calcom_pipeline.domain.services.links import Link
from calcom_pipeline.domain.services.models import Service
from calcom_pipeline.domain.services.plans import Action, Brakes, Plan
from calcom_pipeline.domain.services.reconcile import Situation, plan_services
from calcom_pipeline.domain.text import content_hash

_ID_BYTES = 4


class PlanningApi(AccountApi, EventTypeApi, Protocol):
    """What Cal.com is asked for while planning."""


#: The owners that are listed, once it is known who the key's own user is.
ConcernedOwners = Callable[[Owner], Collection[Owner]]


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What the operator decides about plans; see the settings of the same names."""

    brakes: Brakes
    lifetime: timedelta
    field_owners: Mapping[str, Side] = field(default_factory=dict[str, Side])
    propose_imports: bool = False
    create_grace: timedelta = timedelta(seconds=30)
    #: How long planning waits for an apply to end, in seconds.
    wait_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class OwnerListing:
    """Everything Cal.com listed, by owner, each complete."""

    me: Owner
    by_owner: Mapping[Owner, Listed[EventType]]

    def event_types(self) -> list[EventType]:
        """All of them."""
        return [event_type for found in self.by_owner.values() for event_type in found]

    def unreadable(self) -> dict[int, str]:
        """Event types that are there although their rows cannot be read, with the reason."""
        rows = [row for found in self.by_owner.values() for row in found.unreadable if row.stream == EVENT_TYPES_STREAM]
        return {int(row.key): row.reason for row in rows if row.key}


def read_listing(calcom: PlanningApi, teams: TeamChoice, concerned: ConcernedOwners | None = None) -> OwnerListing:
    """One listing per owner scope: the key's own user and each chosen team; of `concerned` ones where they are told."""
    me = Owner("user", calcom.me().user_id)
    wanted = concerned(me) if concerned else None
    owners = [me]
    if wanted is None or wanted != {me}:
        owners += (Owner("team", team.id) for team in teams.of(calcom.teams()))
    return OwnerListing(me, {owner: calcom.list_owner(owner) for owner in owners if wanted is None or owner in wanted})


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Who asks for a plan, and about what.

    `only` keeps the actions of these services; the others wait for the next plan.
    """

    source: str
    teams: TeamChoice
    only: Collection[str] | None = None


def make_plan(
    calcom: PlanningApi,
    services: ServiceStore,
    plans: PlanStore,
    request: PlanRequest,
    *,
    rules: PlanRules,
    now: Callable[[], datetime],
) -> tuple[StoredPlan, Plan]:
    """A plan, kept if there is anything to say, and the decisions it was made of.

    Raises:
        CalcomError: Cal.com could not be listed completely; nothing was decided.
        AnotherApply: an apply of this account is running and did not end in time.
    """
    with plans.exclusive(wait_seconds=rules.wait_seconds):  # an apply changes links while it runs
        return _make_plan(calcom, services, plans, request, rules=rules, now=now)


def _make_plan(
    calcom: PlanningApi,
    services: ServiceStore,
    plans: PlanStore,
    request: PlanRequest,
    *,
    rules: PlanRules,
    now: Callable[[], datetime],
) -> tuple[StoredPlan, Plan]:
    looked_at = now()
    listing, plan = decide_now(calcom, services, request.teams, rules=rules, now=looked_at, only=request.only)
    if plan.settled:
        services.settle(plan.settled)
    if request.only is not None:
        plan = _narrowed(plan, request.only, services)
    held = brakes_on(plan, listing, services.links(), services.known_event_types(), rules)
    stored = _stored(plan, held, rules, request.source, looked_at)
    if plan.actions:
        stored = _kept(plans, stored)
    elif request.only is None:
        plans.supersede()  # what an earlier plan wanted is not wanted any more
    return stored, plan


def _narrowed(plan: Plan, only: Collection[str], services: ServiceStore) -> Plan:
    """What a plan says of some services alone."""
    actions = tuple(action for action in plan.actions if action.service_id in only)
    there = {row.id for row in services.services(sorted(only))}
    return replace(plan, actions=actions, unchanged=len(there - {action.service_id for action in actions}))


def _kept(plans: PlanStore, plan: StoredPlan) -> StoredPlan:
    """A plan that says what the open one says keeps its name: a person may be reviewing it."""
    known = plans.renewed(plan)
    if known is None:
        plans.save(plan)
    return known or plan


def decide_now(
    calcom: PlanningApi,
    services: ServiceStore,
    teams: TeamChoice,
    *,
    rules: PlanRules,
    now: datetime,
    only: Collection[str] | None = None,
) -> tuple[OwnerListing, Plan]:
    """Read both sides and decide; nothing is stored. Where services are named, their owners alone are listed.

    What is decided of other services counts then for nothing.
    """
    rows, links = services.services(), services.links()  # before the listing: an edit during it is seen next time
    listing = read_listing(calcom, teams, _owners_of(only, rows, links) if only is not None else None)
    situation = Situation(
        me=listing.me,
        services=rows,
        event_types=listing.event_types(),
        listed=frozenset(listing.by_owner),
        links=links,
        now=now,
        field_owners=rules.field_owners,
        propose_imports=rules.propose_imports,
        create_grace=rules.create_grace,
        unreadable=listing.unreadable(),
    )
    return listing, plan_services(situation)


def _owners_of(only: Collection[str], rows: Iterable[Service], links: Iterable[Link]) -> ConcernedOwners:
    """Whose event types services are, and were."""
    mine, linked = [row for row in rows if row.id in only], {link.owner for link in links if link.service_id in only}
    return lambda me: {row.owner(me) for row in mine} | linked


def brakes_on(
    plan: Plan, listing: OwnerListing, links: Sequence[Link], known: Mapping[Owner, int], rules: PlanRules
) -> dict[str, Reason]:
    """Kinds of action that wait until the plan is applied by name, each with its reason."""
    suspicious = distrust(listing, links, known, rules.brakes.smallest_share)
    linked = sum(link.state == "linked" and link.event_type_id is not None for link in links)
    return {**rules.brakes.held(plan.actions, linked=linked, suspicious=suspicious)}


def distrust(listing: OwnerListing, links: Iterable[Link], known: Mapping[Owner, int], smallest_share: float) -> Reason:
    """Why a listing is not to be trusted for anything destructive; empty when it is."""
    linked = {link.owner for link in links if link.event_type_id is not None and link.state == "linked"}
    for owner, found in listing.by_owner.items():
        shown = len(found) + len(found.unreadable)
        if not shown and owner in linked:
            return Reason("listing_empty", owner=str(owner))
        if shown < known.get(owner, 0) * smallest_share:
            return Reason("listing_shrank", owner=str(owner), listed=shown, known=known[owner])
    return NO_REASON


def _stored(plan: Plan, held: Mapping[Any, Reason], rules: PlanRules, source: str, now: datetime) -> StoredPlan:
    return StoredPlan(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(_ID_BYTES)}",
        hash=plan_hash(plan.actions),
        source=source,
        created_at=now,
        expires_at=now + rules.lifetime,
        actions=plan.actions,
        counts=plan.counts(),
        held=dict(held),
    )


def plan_hash(actions: Sequence[Action]) -> str:
    """What a reviewer saw and an apply does must be the same: a hash over all of it."""
    return content_hash([{**asdict(a), "owner": str(a.owner) if a.owner else None} for a in actions])
