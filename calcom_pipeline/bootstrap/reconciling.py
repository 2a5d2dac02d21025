"""Plan and apply with what an open pipeline holds, for every face that does so."""

from collections.abc import Collection

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.app.services.apply import ApplyReport, apply_plan
from calcom_pipeline.app.services.planning import PlanRequest, make_plan
from calcom_pipeline.app.services.ports import StoredPlan
from calcom_pipeline.bootstrap.container import Pipeline
from calcom_pipeline.clock import utc_now
from calcom_pipeline.domain.services.plans import Plan


def plan_now(pipeline: Pipeline, source: str, only: Collection[str] | None = None) -> tuple[StoredPlan, Plan]:
    """Make a plan, of some services or of all; `source` says who asks. Raises what `make_plan` does."""
    store = pipeline.service_store
    request = PlanRequest(source, pipeline.teams, store.known_event_types(), only)
    return make_plan(pipeline.calcom, store, pipeline.plan_store, request, rules=pipeline.plan_rules, now=utc_now)


def apply_now(
    pipeline: Pipeline, plan: StoredPlan, *, approved: bool = False, progress: Progress | None = None
) -> ApplyReport:
    """Apply a plan; `approved` means that a person named it. Raises what `apply_plan` does."""
    return apply_plan(
        plan,
        pipeline.calcom,
        pipeline.service_store,
        pipeline.plan_store,
        rules=pipeline.apply_rules,
        now=utc_now,
        approved=approved,
        progress=progress,
    )
