"""Planning and applying over stateful fakes."""

from collections.abc import Mapping
from datetime import timedelta

from calcom_pipeline.app.event_types.mirror import TeamChoice
from calcom_pipeline.app.services.actions import ApplyRules
from calcom_pipeline.app.services.apply import ApplyReport, apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, PlanRules, make_plan
from calcom_pipeline.app.services.ports import ActionResult, StoredPlan
from calcom_pipeline.domain.event_types.models import Owner
from calcom_pipeline.domain.models import Team
from calcom_pipeline.domain.services.plans import Brakes
from tests.support.reconciling import (
    FakeCalcom,
    FakeClock,
    FakePlans,
    FakeServices,
)

RULES = PlanRules(brakes=Brakes(10, 3), lifetime=timedelta(hours=1))
APPLY = ApplyRules()
SUPPORT = Team(301, "support", "Support", "UTC")


class Desk:
    """One account with both sides, and shortcuts for planning and applying."""

    def __init__(self, services=(), types=(), links=(), **calcom) -> None:
        self.calcom = FakeCalcom(types, **calcom)
        self.services = FakeServices(services)
        self.services.stored = {link.service_id: link for link in links}
        self.plans, self.clock = FakePlans(), FakeClock()

    def plan(self, rules: PlanRules = RULES, **known: int) -> StoredPlan:
        self.services.known = {Owner.parse(name.replace("_", ":")): number for name, number in known.items()}
        stored, _ = make_plan(
            self.calcom,
            self.services,
            self.plans,
            PlanRequest("test", TeamChoice()),
            rules=rules,
            now=self.clock,
        )
        return stored

    def apply(self, plan: StoredPlan, rules: ApplyRules = APPLY, *, approved: bool = False) -> ApplyReport:
        return apply_plan(plan, self.calcom, self.services, self.plans, rules=rules, now=self.clock, approved=approved)

    def sync(self) -> dict[str, ActionResult]:
        return {r.service_id: r for r in self.apply(self.plan()).results}


def outcomes(results: Mapping[str, ActionResult]) -> dict[str, str]:
    return {service_id: result.outcome for service_id, result in results.items()}
