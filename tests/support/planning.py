"""Plan and apply with an open container, as faces do."""

from calcom_pipeline.app.services.apply import ApplyReport, apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, make_plan
from calcom_pipeline.app.services.ports import StoredPlan
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now


def plan_now(container: Container, source: str) -> StoredPlan:
    group, teams = container.services, container.event_types.teams
    request = PlanRequest(source, teams)
    return make_plan(container.calcom, group.store, group.plans, request, rules=group.plan_rules, now=utc_now)[0]


def apply_now(container: Container, plan: StoredPlan, *, approved: bool = False) -> ApplyReport:
    group = container.services
    rules = group.apply_rules
    return apply_plan(plan, container.calcom, group.store, group.plans, rules=rules, now=utc_now, approved=approved)
