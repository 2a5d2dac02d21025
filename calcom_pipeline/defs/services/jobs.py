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
    Writing,
)
from calcom_pipeline.defs.timing import running


def jobs(account: Account) -> list[UnresolvedAssetJobDefinition]:
    """Plan and apply, for an account; and three for a person, of two fields at most."""
    plan, sync = (account.key(name).to_python_identifier() for name in ("service_plan", "service_sync"))
    sync_alone = account.selection("service_sync")

    @dg.config_mapping
    def some(config: SyncSomeConfig) -> dg.RunConfig:
        planned = ServicePlanConfig(services=config.services)
        return dg.RunConfig(
            ops={plan: planned, sync: ServiceSyncConfig(services=config.services, writing=config.writing)}
        )

    @dg.config_mapping
    def named(config: ApplyPlanConfig) -> dg.RunConfig:
        return dg.RunConfig(ops={sync: ServiceSyncConfig(plan=config.plan)})

    @dg.config_mapping
    def retried(config: RetryServiceConfig) -> dg.RunConfig:
        again = ServiceSyncConfig(services=[config.service], writing=config.writing, decision=Decided.retry)
        return dg.RunConfig(ops={sync: again})

    @dg.config_mapping
    def resolved(config: ResolveConflictConfig) -> dg.RunConfig:
        decided = ServiceSyncConfig(
            services=[config.service], writing=Writing.as_configured, decision=Decided(config.take.value)
        )
        return dg.RunConfig(ops={sync: decided})

    return [
        dg.define_asset_job(
            account.named("services_sync"),
            selection=account.selection("service_plan", "service_sync"),
            config=some,
            description="Services that differ from their event types are planned and, where that is allowed, written.",
        ),
        dg.define_asset_job(
            account.named("apply_plan"),
            selection=sync_alone,
            config=named,
            description="A reviewed plan is applied by its name, with what it holds back.",
        ),
        dg.define_asset_job(
            account.named("retry_service"),
            selection=sync_alone,
            config=retried,
            description="One service that failed or is parked is tried again at once, its failures forgotten.",
        ),
        dg.define_asset_job(
            account.named("resolve_conflict"),
            selection=sync_alone,
            config=resolved,
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
            why="Finds what changed at Cal.com, and tries again what failed; sensors are faster for own changes.",
        )
    ]
