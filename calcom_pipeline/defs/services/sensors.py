"""Services that somebody changed.

A sensor reads, compares, answers: a run per change, its key naming the cause; a failed read raises. It opens what it
needs for one look: resources of a sensor would be opened even when there is nothing to see.
"""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.kept_open import look_container
from calcom_pipeline.defs.timing import CAUSES_NAMED, look_distance, requested, sensor_status

_FEED_READER = "service_changes"  # what it has not dealt with is not deleted from the feed


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """The look at an account's feed of services."""

    @dg.sensor(
        name=account.named("service_changes"),
        job_name=account.named("services_sync"),
        minimum_interval_seconds=look_distance(account, account.at_load.look_seconds),
        default_status=sensor_status(account),
        description="Services that somebody changed are planned and synced.",
    )
    def service_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """The cursor is a position in the feed; it moves past our own writes without a run."""
        with look_container(account.settings()) as container:
            batch = container.services.feed.settled_after(context.cursor, reader=_FEED_READER)
            idle = not batch.service_ids and not batch.everything
            held = container.services.feed.held_after(batch.cursor) if idle else None
        if idle:
            return dg.SensorResult(
                skip_reason=str(held or "No service changed since the last look"), cursor=batch.cursor
            )
        named = ", ".join(batch.service_ids[:CAUSES_NAMED]) or "all, at the first look"
        return dg.SensorResult([requested(batch.key, f"services changed: {named}")], cursor=batch.cursor)

    return [service_changes]
