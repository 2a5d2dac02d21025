"""What runs when event types changed at Cal.com."""

# Dagster leaves PathLike in define_asset_job untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from calcom_pipeline.defs.account import Account


def jobs(account: Account) -> list[UnresolvedAssetJobDefinition]:
    """Services follow before the mirror does."""
    return [
        dg.define_asset_job(
            account.named("event_types_sync"),
            selection=account.selection("service_plan", "service_sync", "event_types", "webhooks"),
            description="Event types that changed at Cal.com: services follow, or tell of a conflict, "
            "and so does the mirror; a team's new one gets its webhook subscription.",
        )
    ]
