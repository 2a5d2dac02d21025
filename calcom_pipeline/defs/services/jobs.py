"""What runs services, and when; and what a person presses about one of them."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.services.config import (
    ApplyPlanConfig,
    Decided,
    ResolveConflictConfig,
    RetryServiceConfig,
    ServicePlanConfig,
    ServiceSyncConfig,
    SyncSomeConfig,
)
from calcom_pipeline.defs.timing import running


def _some(plan: str, sync: str) -> dg.ConfigMapping:
    """Launchpad of a sync, of all services or of some; `plan` and `sync` name the ops."""

    @dg.config_mapping
    def some(config: SyncSomeConfig) -> dg.RunConfig:
        written = ServiceSyncConfig(services=config.services, writing=config.writing)
        return dg.RunConfig(ops={plan: ServicePlanConfig(services=config.services), sync: written})

    return some


def _named(sync: str) -> dg.ConfigMapping:
    @dg.config_mapping
    def named(config: ApplyPlanConfig) -> dg.RunConfig:
        return dg.RunConfig(ops={sync: ServiceSyncConfig(plan=config.plan)})

    return named


def _retried(sync: str) -> dg.ConfigMapping:
    @dg.config_mapping
    def retried(config: RetryServiceConfig) -> dg.RunConfig:
        again = ServiceSyncConfig(services=[config.service], writing=config.writing, decision=Decided.retry)
        return dg.RunConfig(ops={sync: again})

    return retried


def _resolved(sync: str) -> dg.ConfigMapping:
    @dg.config_mapping
    def resolved(config: ResolveConflictConfig) -> dg.RunConfig:
        decided = ServiceSyncConfig(services=[config.service], decision=Decided(config.take.value))
        return dg.RunConfig(ops={sync: decided})

    return resolved


def jobs(account: Account) -> list[UnresolvedAssetJobDefinition]:
    """Plan and apply, for an account; and three for a person, of two fields at most."""
    plan, sync = (account.key(name).to_python_identifier() for name in ("service_plan", "service_sync"))
    sync_alone = account.selection("service_sync")
    return [
        dg.define_asset_job(
            account.named("services_sync"),
            selection=account.selection("service_plan", "service_sync"),
            config=_some(plan, sync),
            description="Services that differ from their event types are planned and, where that is allowed, written.",
        ),
        dg.define_asset_job(
            account.named("apply_plan"),
            selection=sync_alone,
            config=_named(sync),
            description="A reviewed plan is applied by its name, with what it holds back.",
        ),
        dg.define_asset_job(
            account.named("retry_service"),
            selection=sync_alone,
            config=_retried(sync),
            description="One service that failed or is parked is tried again at once, its failures forgotten.",
        ),
        dg.define_asset_job(
            account.named("resolve_conflict"),
            selection=sync_alone,
            config=_resolved(sync),
            description="A service that was changed on both sides: your values count, or Cal.com's.",
        ),
    ]


def schedules(account: Account) -> list[dg.ScheduleDefinition]:
    """Run out of the box."""
    return [
        running(
            account,
            "services_every_15_minutes",
            job="services_sync",
            cron="3-59/15 * * * *",
            work="services",
            why="Finds what changed at Cal.com, and tries again what failed; sensors are faster for own changes.",
        )
    ]
