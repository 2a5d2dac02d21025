"""Services against event types: the plan as a person wants to read it, and what came of it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.app.services.planning import PlanRequest, make_plan
from calcom_pipeline.app.services.ports import ActionResult
from calcom_pipeline.app.services.sync import apply_latest
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import Meter, table
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over
from calcom_pipeline.domain.cleaning import printable
from calcom_pipeline.domain.services.plans import Action

# The UI renders tables of a few hundred rows well; all of them stand in `sync_actions`.
_ROWS_SHOWN = 200


def service_plan(
    context: dg.AssetExecutionContext,
    calcom: dg.ResourceParam[CalcomClient],
    service_store: dg.ResourceParam[PostgresServiceStore],
    plan_store: dg.ResourceParam[PostgresPlanStore],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What has to happen so that services and event types agree: per service, field by field, with the reason."""
    meter = Meter(calcom)
    with dagster_failures("Planning services"):
        request = PlanRequest(f"dagster run {context.run.run_id}", container.event_types.teams)
        stored, plan = make_plan(
            calcom, service_store, plan_store, request, rules=container.services.plan_rules, now=utc_now
        )
    hand_over(stored, meter.spent())
    metadata: dict[str, Any] = {
        "plan": stored.id if plan.actions else "nothing to say",
        "nothing to do": plan.is_empty,
        **{kind: number for kind, number in stored.counts.items() if number},
        **meter.metadata(),
    }
    if plan.actions:
        metadata["actions"] = table([_action_row(a) for a in plan.actions[:_ROWS_SHOWN]])
    if notes := sorted({note for action in plan.actions for note in action.notes}):
        metadata["notes"] = "; ".join(notes)
    if stored.held:
        metadata["held until applied by name"] = table([{"kind": k, "why": why} for k, why in stored.held.items()])
    return dg.MaterializeResult(metadata=metadata)


def service_sync(
    context: dg.AssetExecutionContext,
    calcom: dg.ResourceParam[CalcomClient],
    service_store: dg.ResourceParam[PostgresServiceStore],
    plan_store: dg.ResourceParam[PostgresPlanStore],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """The latest plan, applied: a result per service. Writes only to the sandbox, or with CALCOM_APPLY=auto."""
    meter = Meter(calcom)
    with dagster_failures("Applying a plan"):
        applied = apply_latest(
            calcom,
            service_store,
            plan_store,
            rules=container.services.apply_rules,
            may_write=container.services.apply_mode == "auto",
            now=utc_now,
            progress=progress_of(context),
        )
    hand_over(applied, meter.spent())
    plan, report = applied.plan, applied.report
    if plan is None:
        return dg.MaterializeResult(metadata={"result": "nothing to do", **meter.metadata()})
    if report is None:
        result = f"nothing written (CALCOM_APPLY=plan); review it and run: calcom-pipeline apply {plan.id}"
        return dg.MaterializeResult(metadata={"plan": plan.id, "result": result, **meter.metadata()})
    for result in _failed(report.results):
        context.log.warning(printable(f"Service {result.service_id}: {result.message}"))
    return dg.MaterializeResult(
        metadata={
            "plan": plan.id,
            **report.counts,
            "results": table([_result_row(r) for r in _failures_first(report.results)[:_ROWS_SHOWN]]),
            "seconds between listing and last write": round(report.gap_seconds, 2),
            **meter.metadata(),
        }
    )


def _action_row(action: Action) -> dict[str, Any]:
    fields = "; ".join(f"{d.field}: {d.verdict}, here {d.local!r}, Cal.com {d.remote!r}" for d in action.fields)
    return {
        "service": action.service_id,
        "action": action.kind,
        "event type": action.event_type_id or 0,
        "why": action.reason,
        "fields": fields if action.kind != "create" else "",
    }


def _result_row(result: ActionResult) -> dict[str, Any]:
    return {
        "service": result.service_id,
        "action": result.kind,
        "outcome": result.outcome,
        "event type": result.event_type_id or 0,
        "message": result.message,
    }


def _failed(results: Iterable[ActionResult]) -> list[ActionResult]:
    return [r for r in results if r.outcome == "failed"]


def _failures_first(results: Sequence[ActionResult]) -> list[ActionResult]:
    return sorted(results, key=lambda r: (r.outcome == "done", r.position))


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """Both, of an account."""

    def made(function: Callable[..., Any], deps: Sequence[dg.AssetKey] = ()) -> dg.AssetsDefinition:
        return dg.asset(
            key_prefix=account.key_prefix,
            group_name="services",
            kinds={"calcom", "postgres"},
            owners=OWNERS,
            pool=account.pool,
            deps=deps,
        )(account.given_to(function))

    return [made(service_plan), made(service_sync, [account.key("service_plan")])]
