"""One sync of services: plan, and apply what may be done unasked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import ApplyApi, ApplyReport, apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.app.services.ports import PlanStore, ServiceStore, StoredPlan
from calcom_pipeline.domain.services.plans import DOING, Plan


@dataclass(frozen=True, slots=True)
class ServicesSynced:
    """The plan and what came of it; no report where there was nothing to do, or nothing may be written unasked."""

    plan: StoredPlan
    decided: Plan
    report: ApplyReport | None = None


def sync_services(
    calcom: ApplyApi,
    services: ServiceStore,
    plans: PlanStore,
    request: PlanRequest,
    *,
    plan_rules: PlanRules,
    apply_rules: ApplyRules,
    may_write: bool,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> ServicesSynced:
    """Plan services, all or some, and apply the plan where Cal.com may be written unasked.

    Raises what `make_plan` and `apply_plan` do.
    """
    plan, decided = make_plan(calcom, services, plans, request, rules=plan_rules, now=now)
    if decided.is_empty or not may_write:
        return ServicesSynced(plan, decided)
    report = apply_plan(plan, calcom, services, plans, rules=apply_rules, now=now, progress=progress)
    return ServicesSynced(plan, decided, report)


@dataclass(frozen=True, slots=True)
class LatestApplied:
    """The newest open plan, if it holds anything to do, and what came of it."""

    plan: StoredPlan | None = None
    report: ApplyReport | None = None


def apply_latest(
    calcom: ApplyApi,
    services: ServiceStore,
    plans: PlanStore,
    *,
    rules: ApplyRules,
    may_write: bool,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> LatestApplied:
    """Apply the newest open plan, as far as nobody has to be asked. Raises what `apply_plan` does."""
    plan = plans.latest_open()
    if plan is None or not any(action.kind in DOING for action in plan.actions):
        return LatestApplied()
    if not may_write:
        return LatestApplied(plan)
    return LatestApplied(plan, apply_plan(plan, calcom, services, plans, rules=rules, now=now, progress=progress))
