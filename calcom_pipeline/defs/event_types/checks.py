"""Checks of event types: what services and the mirror know, held against what there is."""

from collections.abc import Callable

import dagster as dg

from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.markdown import rows


def linked_event_types_exist(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """A missing one is parked by the next plan, after it was proven gone."""
    with dagster_failures("Reading links"):
        missing = container.reports.overview.dangling_links()
    text = f"These services are linked to event types that are gone:\n\n{rows(('service', 'event type'), missing)}"
    return dg.AssetCheckResult(
        passed=not missing,
        description=text if missing else "Every linked service has its event type.",
        metadata={"services without their event type": len(missing)},
    )


def mirrored_event_types_are_listed(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """What is missing is kept until that is proven or seen again; meanwhile the mirror may be ahead or behind."""
    with dagster_failures("Reading missing event types"):
        missing = container.reports.overview.missing_event_types()
    cells = [(m.owner, m.event_types, f"{m.since:%Y-%m-%d %H:%M}", m.why) for m in missing]
    table = rows(("owner", "event types", "since (UTC)", "why they are kept"), cells)
    return dg.AssetCheckResult(
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Cal.com lists these no more; they are kept until that is proven:\n\n{table}"
        if missing
        else "Cal.com lists every mirrored event type.",
        metadata={"event types missing and kept": sum(m.event_types for m in missing)},
    )


_CHECKS: dict[Callable[..., dg.AssetCheckResult], str] = {
    linked_event_types_exist: "Every linked service's event type exists.",
    mirrored_event_types_are_listed: "Cal.com's listings show every event type that is mirrored.",
}


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """All of them, of an account."""
    key = account.key("event_types")
    return [dg.asset_check(asset=key, description=d)(account.given_to(check)) for check, d in _CHECKS.items()]
