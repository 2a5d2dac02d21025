"""Checks say what is wrong now: they ask the planner and the tables again, not the history."""

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.app.services.planning import decide_now
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.event_types.assets import event_types
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import table
from calcom_pipeline.defs.services.assets import service_plan, service_sync
from calcom_pipeline.domain.services.plans import DOING


@dg.asset_check(asset=service_sync, description="Planning again finds nothing to do.")
def nothing_left_to_sync(
    calcom: dg.ResourceParam[CalcomClient],
    service_store: dg.ResourceParam[PostgresServiceStore],
    container: dg.ResourceParam[Container],
) -> dg.AssetCheckResult:
    """Where nothing may be written, a plan that waits is only a warning."""
    with dagster_failures("Planning services again"):
        _, plan = decide_now(
            calcom, service_store, container.event_types.teams, rules=container.services.plan_rules, now=utc_now()
        )
    left = [{"service": a.service_id, "action": a.kind, "why": a.reason} for a in plan.actions if a.kind in DOING]
    severity = dg.AssetCheckSeverity.ERROR if container.services.apply_mode == "auto" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=plan.is_empty, severity=severity, metadata={**plan.counts(), **({"left": table(left)} if left else {})}
    )


@dg.asset_check(asset=event_types, description="Every linked service's event type exists.")
def linked_event_types_exist(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """A missing one is parked by the next plan, after it was proven gone."""
    with dagster_failures("Reading links"):
        missing = container.reports.overview.dangling_links()
    rows = [{"service": service, "event type": number} for service, number in missing]
    return dg.AssetCheckResult(passed=not rows, metadata={"missing": table(rows)} if rows else {})


@dg.asset_check(asset=service_plan, description="No two services of one owner have the same slug.")
def slugs_are_unique(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """The second one would be refused."""
    with dagster_failures("Reading services"):
        doubled = container.reports.overview.double_slugs()
    rows = [{"team": team, "slug": slug, "services": services} for team, slug, services in doubled]
    return dg.AssetCheckResult(passed=not rows, metadata={"doubled": table(rows)} if rows else {})


@dg.asset_check(asset=event_types, description="Cal.com's listings show every event type that is mirrored.")
def mirrored_event_types_are_listed(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """What is missing is kept until that is proven or seen again; meanwhile the mirror may be ahead or behind."""
    with dagster_failures("Reading missing event types"):
        missing = container.reports.overview.missing_event_types()
    rows = [
        {"owner": m.owner, "event types": m.event_types, "since (UTC)": f"{m.since:%Y-%m-%d %H:%M}", "why": m.why}
        for m in missing
    ]
    metadata = {"missing and kept": table(rows)} if rows else {}
    return dg.AssetCheckResult(passed=not rows, severity=dg.AssetCheckSeverity.WARN, metadata=metadata)


ALL = [nothing_left_to_sync, linked_event_types_exist, slugs_are_unique, mirrored_event_types_are_listed]
