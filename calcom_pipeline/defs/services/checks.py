"""Checks of services say what is wrong now: they ask the planner and the table again, not the history."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from calcom_pipeline.adapters.calcom.client import CalcomClient
from calcom_pipeline.adapters.postgres.services.plans import PostgresPlanStore
from calcom_pipeline.adapters.postgres.services.store import PostgresServiceStore
from calcom_pipeline.app.services.attention import ServicesNow, services_now
from calcom_pipeline.bootstrap.container import Container
from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.failures import dagster_failures
from calcom_pipeline.defs.markdown import table
from calcom_pipeline.defs.services.shown import (
    COUNTED,
    ROWS_IN_TEXT,
    held_table,
    left_table,
    trouble_sentence,
    trouble_table,
)
from calcom_pipeline.domain.services.attention import TROUBLE_KINDS
from calcom_pipeline.domain.text import counted

_LOOK_SECONDS = 60.0  # a check that waits for the limit longer than that says so
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR

IN_SYNC, NOTHING_LEFT, NOTHING_HELD = "services_in_sync", "nothing_left_to_sync", "nothing_held"
_DESCRIPTIONS = {
    IN_SYNC: "No service has failed, is parked, in conflict, refused or waiting; else which, why, and what to press.",
    NOTHING_LEFT: "Planned again just now: nothing is left that would be written.",
    NOTHING_HELD: "No action waits until somebody approves it.",
}


def _in_sync(now: ServicesNow, account: Account, container: Container) -> dg.AssetCheckResult:
    """Warns: nothing is lost, but somebody has to look."""
    settings, found = container.settings, now.troubles
    text = [trouble_sentence(now)]
    metadata: dict[str, Any] = {}
    if found:
        text.append(str(trouble_table(now, account, settings, most=ROWS_IN_TEXT).md_str))
        metadata["all who need somebody"] = trouble_table(now, account, settings)
    counts = {f"services {COUNTED[kind]}": sum(t.kind == kind for t in found) for kind in TROUBLE_KINDS}
    return dg.AssetCheckResult(
        check_name=IN_SYNC,
        passed=not found and not now.unread,
        severity=_WARN,
        description="\n\n".join(text),
        metadata={**metadata, "services": now.services, **counts},
    )


def _nothing_left(now: ServicesNow, container: Container, *, just_synced: bool) -> dg.AssetCheckResult:
    """Where nothing may be written, a plan that waits is only a warning; so is what the next sync will write."""
    may_write = container.services.apply_mode == "auto"
    would = f"{counted(len(now.left), 'service')} would be written now."
    description = would if now.left else "Nothing is left to write."
    return dg.AssetCheckResult(
        check_name=NOTHING_LEFT,
        passed=not now.left and not now.unread,
        severity=_ERROR if may_write and just_synced and not now.unread else _WARN,
        description=f"Cal.com could not be asked: {now.unread}" if now.unread else description,
        metadata={**({"left": left_table(now)} if now.left else {}), "services left to write": len(now.left)},
    )


def _nothing_held(now: ServicesNow, account: Account) -> dg.AssetCheckResult:
    held = now.held_actions()
    wait = counted(len(held), "service waits", "services wait")
    description = f"{wait} for somebody's approval.\n\n{held_table(now, account).md_str}"
    return dg.AssetCheckResult(
        check_name=NOTHING_HELD,
        passed=not held,
        severity=_WARN,
        description=description if held else "Nothing waits for approval.",
        metadata={"services held": len(held)},
    )


def _planned_again(account: Account) -> dg.AssetChecksDefinition:
    """Three checks by one look at both sides."""
    key = account.key("service_sync")

    def services_planned_again(
        context: dg.AssetCheckExecutionContext,
        calcom: dg.ResourceParam[CalcomClient],
        service_store: dg.ResourceParam[PostgresServiceStore],
        plan_store: dg.ResourceParam[PostgresPlanStore],
        container: dg.ResourceParam[Container],
    ) -> Iterator[dg.AssetCheckResult]:
        """Those that were selected; where Cal.com cannot be asked, as of the last plan."""
        with dagster_failures("Planning services again"):
            now = services_now(
                calcom.within(_LOOK_SECONDS),
                service_store,
                plan_store,
                container.event_types.teams,
                rules=container.services.plan_rules,
                now=utc_now,
            )
        just_synced = key in context.op_execution_context.job_def.asset_layer.executable_asset_keys
        results = (
            _in_sync(now, account, container),
            _nothing_left(now, container, just_synced=just_synced),
            _nothing_held(now, account),
        )
        wanted = {check.name for check in context.op_execution_context.selected_asset_check_keys}
        yield from (result for result in results if result.check_name in wanted)

    return dg.multi_asset_check(
        name=account.named("services_planned_again"),
        specs=[
            dg.AssetCheckSpec(name, asset=key, description=description) for name, description in _DESCRIPTIONS.items()
        ],
        can_subset=True,
    )(account.given_to(services_planned_again))


def slugs_are_unique(container: dg.ResourceParam[Container]) -> dg.AssetCheckResult:
    """The second one would be refused."""
    with dagster_failures("Reading services"):
        doubled = container.reports.overview.double_slugs()
    return dg.AssetCheckResult(
        passed=not doubled,
        description=f"{len(doubled)} slugs are taken twice; only the first service of each can be sold."
        if doubled
        else "Every slug is taken once.",
        metadata={"doubled": table(("team", "slug", "services"), doubled)} if doubled else {},
    )


def checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """All of them, of an account."""
    unique = dg.asset_check(
        asset=account.key("service_plan"), description="No two services of one owner have the same slug."
    )
    return [_planned_again(account), unique(account.given_to(slugs_are_unique))]
