"""Checks of event types: what services and the mirror know, held against what there is."""

import dagster as dg

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import table


def linked_event_types_exist(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """A missing one is parked by the next plan, after it was proven gone."""
    with dagster_failures("Reading links"):
        missing = container.reports.overview.dangling_links()
    rows = [{"service": service, "event type": number} for service, number in missing]
    return dg.AssetCheckResult(passed=not rows, metadata={"missing": table(rows)} if rows else {})


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


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """Both, of an account."""
    key = account.key("event_types")
    linked = dg.asset_check(asset=key, description="Every linked service's event type exists.")
    listed = dg.asset_check(asset=key, description="Cal.com's listings show every event type that is mirrored.")
    return [
        linked(account.given_to(linked_event_types_exist)),
        listed(account.given_to(mirrored_event_types_are_listed)),
    ]
