"""Webhook subscriptions: kept right at Cal.com, and whether their deliveries arrive."""

from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.webhooks.supervise import ScopeResult, supervise
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.metadata import Meter, table
from calcom_pipeline.defs.progress import progress_of

_ROWS_SHOWN = 200
_UNWANTED = "CALCOM_WEBHOOK_URL is not set: no subscriptions are kept, changes are found by polling."


def webhooks(
    context: dg.AssetExecutionContext, calcom: dg.ResourceParam[CalcomClient], container: dg.ResourceParam[Container]
) -> dg.MaterializeResult[Any]:
    """One subscription per scope, put right where that is allowed (CALCOM_WEBHOOK_APPLY); others are left alone."""
    group = container.subscriptions
    if not group.is_wanted:
        return dg.MaterializeResult(metadata={"result": _UNWANTED})
    meter = Meter(calcom)
    with dagster_failures("Looking after webhook subscriptions"):
        found = supervise(
            calcom,
            group.store,
            group.scopes,
            group.wanted,
            rules=group.rules(),
            now=utc_now,
            progress=progress_of(context),
        )
    return dg.MaterializeResult(
        metadata={
            "right": found.number("right"),
            "wrong": found.number("wrong"),
            "failed": found.number("failed"),
            "written": found.written,
            "sign with a previous secret": found.rotation_due,
            "scopes": table([_row(result) for result in found.results[:_ROWS_SHOWN]]),
            **({"waiting": f"{len(found.waiting)}: {found.waiting_for}"} if found.waiting else {}),
            **meter.metadata(),
        }
    )


def webhooks_alive(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """Lost deliveries are found by polling, so this warns. Without a change nothing is said of the deliveries."""
    group = container.subscriptions
    if not group.is_wanted:
        return dg.AssetCheckResult(passed=True, description=_UNWANTED)
    with dagster_failures("Looking whether webhooks are alive"):
        known = group.store.known()
        arrivals = group.arrivals(utc_now())
    bad = [{"scope": str(k.scope), "state": k.state, "why": str(k.reason)} for k in known if k.state != "right"]
    borne = container.settings.webhook_lost_percent
    is_heard = arrivals is None or not (arrivals.are_silent or arrivals.lost_percent > borne)
    metadata: dict[str, Any] = {"not right": table(bad)} if bad else {}
    if arrivals is not None:
        metadata |= {
            "changes": arrivals.expected,
            "delivered": arrivals.named,
            "lost": arrivals.lost,
            "lost %": round(arrivals.lost_percent, 1),
            "borne %": borne,
        }
    return dg.AssetCheckResult(
        passed=bool(known) and not bad and is_heard, severity=dg.AssetCheckSeverity.WARN, metadata=metadata
    )


def _row(result: ScopeResult) -> dict[str, Any]:
    return {
        "scope": str(result.scope),
        "state": result.state,
        "done": ", ".join(result.done),
        "to do": ", ".join(result.planned),
        "why": str(result.reason),
    }


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The subscriptions of an account."""
    kept = dg.asset(
        key_prefix=account.key_prefix,
        group_name="calcom",
        kinds={"calcom", "postgres"},
        owners=OWNERS,
        pool=account.pool,
        deps=[account.key("event_types")],  # each event type of a team has a subscription of its own
    )
    return [kept(account.given_to(webhooks))]


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """The one of an account."""
    alive = dg.asset_check(
        asset=account.key("webhooks"), description="Every scope is subscribed, and what changes is delivered."
    )
    return [alive(account.given_to(webhooks_alive))]
