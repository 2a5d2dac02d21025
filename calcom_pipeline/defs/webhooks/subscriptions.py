"""Webhook subscriptions: kept right at Cal.com, and whether their deliveries arrive."""

from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.app.webhooks.supervise import ScopeResult, supervise
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.columns import column_lineage, column_schema
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.freshness import WEBHOOKS
from calcom_pipeline.defs.markdown import rows, table
from calcom_pipeline.defs.metadata import Meter
from calcom_pipeline.defs.progress import progress_of
from calcom_pipeline.domain.webhooks.arrivals import Arrivals

_ROWS_SHOWN = 200
_UNWANTED = "CALCOM_WEBHOOK_URL is not set: no subscriptions are kept, changes are found by polling."


def webhooks(
    context: dg.AssetExecutionContext, calcom: dg.ResourceParam[CalcomClient], container: dg.ResourceParam[Container]
) -> dg.MaterializeResult[Any]:
    """Cal.com's messages to us about bookings: one subscription per user or event type, put right where allowed.

    CALCOM_WEBHOOK_URL names our address, CALCOM_WEBHOOK_APPLY allows; subscriptions of others are left alone.
    """
    group = container.subscriptions
    if not group.is_wanted:
        return dg.MaterializeResult(metadata={"summary": _UNWANTED})
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
    wrong = found.number("wrong") + found.number("failed")
    summary = f"{found.number('right')} subscriptions are right, {wrong} are not; {found.written} were written."
    cells = [_row(result) for result in found.results[:_ROWS_SHOWN]]
    return dg.MaterializeResult(
        metadata={
            "summary": summary,
            "scopes": table(("scope", "state", "done", "to do", "why"), cells),
            **({"waiting": f"{len(found.waiting)}: {found.waiting_for}"} if found.waiting else {}),
            "subscriptions right": found.number("right"),
            "subscriptions wrong": found.number("wrong"),
            "subscriptions failed": found.number("failed"),
            "subscriptions written": found.written,
            "subscriptions that sign with a previous secret": found.rotation_due,
            **meter.metadata(),
        }
    )


def webhooks_alive(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """Lost deliveries are found by polling, so this warns. Without a change nothing is known of the deliveries."""
    group = container.subscriptions
    if not group.is_wanted:
        return dg.AssetCheckResult(passed=True, description=_UNWANTED)
    with dagster_failures("Looking whether webhooks are alive"):
        known = group.store.known()
        arrivals = group.arrivals(utc_now())
    bad = [(str(k.scope), k.state, k.reason) for k in known if k.state != "right"]
    borne = container.settings.webhook_lost_percent
    is_delivered = arrivals is None or not (arrivals.are_silent or arrivals.lost_percent > borne)
    text = [_arrivals_sentence(arrivals) if known else "No subscription was looked at yet: materialize webhooks."]
    if bad:
        text += ["These are not as they should be:", rows(("scope", "state", "why"), bad[:_ROWS_SHOWN])]
    metadata: dict[str, Any] = {"subscriptions not right": len(bad)}
    if arrivals is not None:
        metadata |= {
            "changes that had to be delivered": arrivals.expected,
            "changes delivered": arrivals.named,
            "changes lost": arrivals.lost,
            "lost %": round(arrivals.lost_percent, 1),
            "lost % that is borne": borne,
        }
    return dg.AssetCheckResult(
        passed=bool(known) and not bad and is_delivered,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n\n".join(text),
        metadata=metadata,
    )


def _arrivals_sentence(arrivals: Arrivals | None) -> str:
    if arrivals is None:
        return "Subscribed; nothing takes deliveries in here."
    return f"{arrivals.named} of {arrivals.expected} changes of bookings were delivered lately."


def _row(result: ScopeResult) -> tuple[object, ...]:
    return result.scope, result.state, ", ".join(result.done), ", ".join(result.planned), result.reason


def assets(account: Account) -> list[dg.AssetsDefinition]:
    """The subscriptions of an account."""
    kept = dg.asset(
        key_prefix=account.key_prefix,
        group_name="calcom",
        kinds={"calcom", "postgres"},
        owners=OWNERS,
        tags={"account": account.name, "made": "of_both_sides"},
        metadata={
            **column_schema("webhook_scopes"),
            **column_lineage(account.key, {"scope": ("event_types", "id")}),
            "table": "webhook_scopes",
            **WEBHOOKS.metadata(),
        },
        freshness_policy=WEBHOOKS.policy,
        pool=account.pool,
        deps=[
            account.key("event_types"),
            account.key("cal_com"),
        ],  # each event type of a team has a subscription of its own
    )
    return [kept(account.given_to(webhooks))]


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """The one of an account."""
    alive = dg.asset_check(
        asset=account.key("webhooks"), description="Every scope is subscribed, and what changes is delivered."
    )
    return [alive(account.given_to(webhooks_alive))]
