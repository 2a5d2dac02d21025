"""Facts that wait in the outbox."""

# Dagster leaves PathLike in its decorators untyped.
# pyright: reportUnknownMemberType=false

import dagster as dg

from calcom_pipeline.clock import utc_now
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.kept_open import look_container
from calcom_pipeline.defs.timing import look_distance, requested, sensor_status


def sensors(account: Account) -> list[dg.SensorDefinition]:
    """The look at an account's outbox."""

    @dg.sensor(
        name=account.named("new_invalidations"),
        job_name=account.named("cache_invalidation"),
        minimum_interval_seconds=look_distance(account, account.at_load.look_seconds),
        default_status=sensor_status(account),
        description="Facts in the outbox are applied to the caches.",
    )
    def new_invalidations() -> dg.RunRequest | dg.SkipReason:
        """The key changes whenever a fact is added, tried or done, so each state of the outbox is handed over once.

        Once a minute: a run that died before it could touch a fact must not be the last one.
        """
        with look_container(account.settings()) as container:
            backlog = container.availability.outbox.backlog()
        if not backlog.pending:
            return dg.SkipReason("The outbox is empty")
        if not backlog.due:
            return dg.SkipReason(f"{backlog.pending} facts in the outbox wait for their next attempt")
        return requested(f"{backlog.key}:{utc_now():%Y%m%dT%H%M}", f"{backlog.due} facts in the outbox")

    return [new_invalidations]
