"""Services against event types: the plan as a person wants to read it, and what came of it."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.app.services.choices import SyncRules, sync_chosen
from calcom_pipeline.app.services.planning import PlanRequest, make_plan
from calcom_pipeline.app.services.ports import ActionResult, ServiceStore
from calcom_pipeline.app.services.sync import LatestApplied
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.columns import column_lineage, column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.freshness import SERVICES
from calcom_pipeline.defs.markdown import newest, table
from calcom_pipeline.defs.metadata import Meter, see_also
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.defs.reports import hand_over
from calcom_pipeline.defs.services.config import ServicePlanConfig, ServiceSyncConfig
from calcom_pipeline.defs.services.shown import (
    plan_sentence,
    plan_table,
    result_sentence,
    result_table,
)
from calcom_pipeline.domain.cleaning import printable
from calcom_pipeline.domain.services.plans import ActionKind

_OF_PLANS = {"service_id": ("services_table", "service_id"), "service_version": ("services_table", "version")}
_OF_LINKS = {name: ("service_plan", name) for name in ("service_id", "owner", "event_type_id")}
#: What a plan counts, as people say it.
COUNTED_ACTIONS: Mapping[ActionKind, str] = {
    "create": "services to create at Cal.com",
    "adopt": "services to link to an event type that is there",
    "push": "services to change at Cal.com",
    "pull": "services to change here",
    "hide": "services to hide at Cal.com",
    "show": "services to show again at Cal.com",
    "park": "services to park",
    "import": "event types to offer as services",
    "conflict": "services changed on both sides",
    "refuse": "services refused",
    "wait": "services that wait",
}
#: What came of one, as people say it.
_OUTCOMES = {
    "done": "services written",
    "failed": "services failed",
    "held": "services held for approval",
    "left": "services left for the next plan",
}


def service_plan(
    context: dg.AssetExecutionContext,
    config: ServicePlanConfig,
    calcom: dg.ResourceParam[CalcomClient],
    service_store: dg.ResourceParam[PostgresServiceStore],
    plan_store: dg.ResourceParam[PostgresPlanStore],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What has to change so that your services and Cal.com's event types agree, service by service, and why.

    It reads both sides and writes to neither. `service_sync` applies it, and so does `calcom-pipeline apply PLAN`.
    """
    meter = Meter(calcom)
    with dagster_failures("Planning services"):
        request = PlanRequest(
            f"dagster run {context.run.run_id}", container.event_types.teams, tuple(config.services) or None
        )
        stored, plan = make_plan(
            calcom, service_store, plan_store, request, rules=container.services.plan_rules, now=utc_now
        )
        names = _names(service_store, [action.service_id for action in plan.actions])
    hand_over(stored, meter.spent())
    may_write = container.services.apply_mode == "auto"
    metadata: dict[str, Any] = {
        "summary": plan_sentence(stored, may_write=may_write),
        **see_also(container.settings, "services"),
    }
    if plan.actions:
        metadata["actions"] = plan_table(stored, names, container.settings)
    if stored.held:
        metadata["held until applied by name"] = table(("action", "why"), stored.held.items())
    if notes := sorted({note for action in plan.actions for note in action.notes}):
        metadata["notes"] = "; ".join(notes)
    metadata["plan"] = stored.id if plan.actions else "none"
    return dg.MaterializeResult(
        metadata={
            **metadata,
            **{label: stored.counts.get(kind, 0) for kind, label in COUNTED_ACTIONS.items()},
            "services in sync": plan.unchanged,
            **meter.metadata(),
        }
    )


def service_sync(
    context: dg.AssetExecutionContext,
    config: ServiceSyncConfig,
    calcom: dg.ResourceParam[CalcomClient],
    service_store: dg.ResourceParam[PostgresServiceStore],
    plan_store: dg.ResourceParam[PostgresPlanStore],
    container: dg.ResourceParam[Container],
) -> dg.MaterializeResult[Any]:
    """What came of the newest plan: changes written to Cal.com and to your services, with a result for each service.

    Applied unasked on the sandbox; on a real account only with CALCOM_APPLY=auto, or by the name of a plan. The check
    `services_in_sync` says which services need somebody, and what to press.
    """
    meter = Meter(calcom)
    group = container.services
    with dagster_failures("Applying a plan"):
        applied = sync_chosen(
            calcom,
            service_store,
            plan_store,
            config.choice,
            PlanRequest(f"dagster run {context.run.run_id}", container.event_types.teams),
            rules=SyncRules(group.plan_rules, group.apply_rules, group.apply_mode == "auto" and not config.only_plans),
            now=utc_now,
            progress=progress_of(context),
        )
        names = _names(service_store, [r.service_id for r in applied.report.results] if applied.report else [])
    hand_over(applied, meter.spent())
    for result in _failed(applied.report.results if applied.report else ()):
        context.log.warning(printable(f"Service {result.service_id}: {result.message}"))
    return dg.MaterializeResult(metadata={**_outcome(applied, names, container), **meter.metadata()})


def _outcome(applied: LatestApplied, names: dict[str, str], container: Container) -> dict[str, Any]:
    """What came of it: a sentence, a table, numbers."""
    plan, report = applied.plan, applied.report
    counts = report.counts if report else {}
    numbers = {label: counts.get(outcome, 0) for outcome, label in _OUTCOMES.items()}
    if plan is None:
        return {"summary": "Nothing to do: no plan waits to be applied.", **numbers}
    if report is None:
        result = f"Nothing was written: this run was to plan only. To do it: calcom-pipeline apply {plan.id}"
        return {"summary": result, "plan": plan.id, **numbers}
    return {
        "summary": result_sentence(counts, report.results, names),
        **see_also(container.settings, "services"),
        "results": result_table(report.results, names, container.settings),
        "plan": plan.id,
        **numbers,
        "seconds between listing and last write": round(report.gap_seconds, 2),
    }


def _names(services: ServiceStore, ids: Iterable[str]) -> dict[str, str]:
    """Names of services, for people."""
    wanted = sorted({service_id for service_id in ids if service_id})
    return {service.id: service.name or "" for service in services.services(wanted)} if wanted else {}


def _failed(results: Iterable[ActionResult]) -> list[ActionResult]:
    return [r for r in results if r.outcome == "failed"]


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """Both, of an account."""

    def made(
        function: Callable[..., Any],
        table: str,
        deps: Sequence[str],
        lineage: Mapping[str, tuple[str, str]],
        shows: str,
    ) -> dg.AssetsDefinition:
        return dg.asset(
            description=f"{inspect.getdoc(function)}{newest(account.key(function.__name__), shows)}",
            key_prefix=account.key_prefix,
            group_name="services",
            kinds={"calcom", "postgres"},
            owners=OWNERS,
            tags={"account": account.name, "made": "of_both_sides"},
            pool=account.pool,
            deps=[account.key(name) for name in deps],
            freshness_policy=SERVICES.policy,
            metadata={
                **column_schema(table),
                **column_lineage(account.key, lineage),
                "table": table,
                **SERVICES.metadata(),
            },
        )(account.given_to(function))

    return [
        made(service_plan, "sync_actions", ["services_table", "cal_com"], _OF_PLANS, "the plan, service by service"),
        made(service_sync, "service_links", ["service_plan"], _OF_LINKS, "the result of each service"),
    ]
