"""What an operator asks of a sync of services: all or some, a reviewed plan, a decision before it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.app.event_types.ports import EventTypeReads
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import ApplyApi, apply_plan
from calcom_pipeline.app.services.conflicts import linked_event_type, settle_conflict, try_again
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules
from calcom_pipeline.app.services.ports import PlanStore, ServiceStore
from calcom_pipeline.app.services.sync import LatestApplied, apply_latest, sync_services
from calcom_pipeline.domain.errors import InvalidInput, PlanUnusable

#: `retry` forgets failures; `local` and `remote` say whose values the open fields of a conflict get.
ServiceDecision = Literal["retry", "local", "remote"]


@dataclass(frozen=True, slots=True)
class SyncChoice:
    """`services`: these alone, planned anew; none: the newest plan. `decision` is made for them first.

    `plan_id` names a plan that somebody has reviewed: it is applied with what it holds back.
    """

    services: tuple[str, ...] = ()
    decision: ServiceDecision | None = None
    plan_id: str = ""


@dataclass(frozen=True, slots=True)
class SyncRules:
    """How plans are made and applied, and whether Cal.com may be written unasked."""

    plan: PlanRules
    apply: ApplyRules
    may_write: bool


def sync_chosen(
    calcom: ApplyApi,
    services: ServiceStore,
    plans: PlanStore,
    choice: SyncChoice,
    request: PlanRequest,
    *,
    rules: SyncRules,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> LatestApplied:
    """Do what was chosen; no report where nothing may be written unasked.

    Raises:
        InvalidInput: choices that contradict each other; nothing was done.
        PlanUnusable: there is no such plan or service, or nothing of it is open.
    """
    _require_sense(choice)
    if choice.plan_id:
        return _apply_named(calcom, services, plans, choice.plan_id, rules=rules.apply, now=now, progress=progress)
    if not choice.services:
        return apply_latest(
            calcom, services, plans, rules=rules.apply, may_write=rules.may_write, now=now, progress=progress
        )
    _require_known(services, choice.services)
    if choice.decision is not None:
        wait = rules.plan.wait_seconds
        decide_services(calcom, services, plans, choice.services, choice.decision, wait_seconds=wait)
    synced = sync_services(
        calcom,
        services,
        plans,
        replace(request, only=choice.services),
        plan_rules=rules.plan,
        apply_rules=rules.apply,
        may_write=rules.may_write,
        now=now,
        progress=progress,
    )
    return LatestApplied(None if synced.decided.is_empty else synced.plan, synced.report)


def decide_services(
    calcom: EventTypeReads,
    services: ServiceStore,
    plans: PlanStore,
    ids: Iterable[str],
    decision: ServiceDecision,
    *,
    wait_seconds: float,
    names: Sequence[str] = (),
) -> list[str]:
    """Settle what a plan left open for services; the next plan follows. Nobody may be applying meanwhile.

    `wait_seconds`: how long to wait for an apply to end. `names`: these fields alone; none: all that are open. The
    fields that were decided.

    Raises:
        PlanUnusable: there is nothing to decide.
        AnotherApply: an apply of this account is running and did not end in time.
    """
    with plans.exclusive(wait_seconds=wait_seconds):  # an apply works on a copy of the links
        return [name for one in ids for name in _decide(calcom, services, one, decision, names)]


def _decide(
    calcom: EventTypeReads, services: ServiceStore, service_id: str, decision: ServiceDecision, names: Sequence[str]
) -> list[str]:
    if decision == "retry":
        try_again(services, service_id)
        return []
    found = linked_event_type(calcom, services, service_id)
    if found is None:
        raise PlanUnusable(f"Service {service_id} has no event type that could be read")
    return settle_conflict(services, service_id, found, take=decision, names=names)


def _require_sense(choice: SyncChoice) -> None:
    problems: list[str] = []
    if choice.plan_id and (choice.services or choice.decision):
        problems.append("A plan is applied as it was reviewed: name it without services and without a decision")
    if choice.decision is not None and not choice.services:
        problems.append("Say which services the decision is about")
    if problems:
        raise InvalidInput(problems)


def _require_known(services: ServiceStore, ids: tuple[str, ...]) -> None:
    known = {service.id for service in services.services(ids)} | {link.service_id for link in services.links()}
    missing = [service_id for service_id in ids if service_id not in known]
    if missing:
        raise PlanUnusable(f"There is no service {', '.join(missing)}")


def _apply_named(
    calcom: ApplyApi,
    services: ServiceStore,
    plans: PlanStore,
    plan_id: str,
    *,
    rules: ApplyRules,
    now: Callable[[], datetime],
    progress: Progress | None,
) -> LatestApplied:
    plan = plans.load(plan_id)
    if plan is None:
        raise PlanUnusable(f"There is no plan {plan_id}", advice="Materialize service_plan: it makes one.")
    report = apply_plan(plan, calcom, services, plans, rules=rules, now=now, approved=True, progress=progress)
    return LatestApplied(plan, report)
