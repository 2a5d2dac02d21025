"""Checks of services say what is wrong now: they ask the planner and the table again, not the history."""

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.app.services.planning import decide_now
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import table
from calcom_pipeline.domain.services.plans import DOING


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


def slugs_are_unique(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """The second one would be refused."""
    with dagster_failures("Reading services"):
        doubled = container.reports.overview.double_slugs()
    rows = [{"team": team, "slug": slug, "services": services} for team, slug, services in doubled]
    return dg.AssetCheckResult(passed=not rows, metadata={"doubled": table(rows)} if rows else {})


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """Both, of an account."""
    planned = dg.asset_check(asset=account.key("service_sync"), description="Planning again finds nothing to do.")
    unique = dg.asset_check(
        asset=account.key("service_plan"), description="No two services of one owner have the same slug."
    )
    return [planned(account.given_to(nothing_left_to_sync)), unique(account.given_to(slugs_are_unique))]
