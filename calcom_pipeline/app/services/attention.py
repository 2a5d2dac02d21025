"""What is wrong with services now: plan again, without keeping it, and say what a person has to look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.planning import PlanningApi, PlanRules, brakes_on, decide_now
from calcom_pipeline.app.services.ports import PlanStore, ServiceStore
from calcom_pipeline.domain.errors import CalcomError
from calcom_pipeline.domain.reasons import NO_REASON, Reason
from calcom_pipeline.domain.services.attention import ServiceTrouble, troubles
from calcom_pipeline.domain.services.plans import DOING, Action


@dataclass(frozen=True, slots=True)
class ServicesNow:
    """How services stand. `left` is what would be written, `held` what of that waits for approval by name, and why.

    `plan_id` names the newest plan that was not applied. `unread` says why Cal.com could not be asked: then all of this
    is as of that plan.
    """

    services: int
    names: Mapping[str, str]
    troubles: tuple[ServiceTrouble, ...] = ()
    left: tuple[Action, ...] = ()
    held: Mapping[str, Reason] = field(default_factory=dict[str, Reason])
    plan_id: str | None = None
    unread: Reason = NO_REASON

    def held_actions(self) -> list[tuple[Action, Reason]]:
        """What waits for approval, each with its reason."""
        return [(action, why) for action in self.left if (why := action.why_held(self.held))]

    def named(self, service_id: str) -> str:
        """A service for people: its name and its id."""
        name = self.names.get(service_id, "")
        return f"{name} ({service_id})" if name else service_id


def services_now(
    calcom: PlanningApi,
    services: ServiceStore,
    plans: PlanStore,
    teams: TeamChoice,
    *,
    rules: PlanRules,
    now: Callable[[], datetime],
) -> ServicesNow:
    """Look at both sides; where Cal.com cannot be asked, at what was planned last. Writes nothing.

    Raises:
        StoreError: PostgreSQL cannot be asked.
    """
    names = {service.id: service.name or "" for service in services.services()}
    latest = plans.latest_open()
    plan_id = latest.id if latest else None
    try:
        listing, plan = decide_now(calcom, services, teams, rules=rules, now=now())
    except CalcomError as error:
        known = latest.actions if latest else ()
        return ServicesNow(
            services=len(names),
            names=names,
            troubles=troubles(known, services.links(), planned_now=False),
            left=_doing(known),
            held=latest.held if latest else {},
            plan_id=plan_id,
            unread=Reason.of(error),
        )
    links = services.links()
    return ServicesNow(
        services=len(names),
        names=names,
        troubles=troubles(plan.actions, links, planned_now=True),
        left=_doing(plan.actions),
        held=brakes_on(plan, listing, links, services.known_event_types(), rules),
        plan_id=plan_id,
    )


def _doing(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple(action for action in actions if action.kind in DOING)
