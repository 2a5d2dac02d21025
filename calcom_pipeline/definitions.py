"""The whole code location on one screen. Loads with nothing set, and touches no server while it loads."""

from collections.abc import Mapping, Sequence

import dagster as dg

from calcom_pipeline.defs.account import Account, require_distinct
from calcom_pipeline.defs.location import of_account
from calcom_pipeline.defs.maintenance import alerts, restarts
from calcom_pipeline.defs.maintenance.leases import leased


def build_definitions(
    accounts: Sequence[Account] | None = None, *, resource_overrides: Mapping[str, object] | None = None
) -> dg.Definitions:
    """Everything Dagster is told, of these accounts (default: the environment's); tests replace single resources.

    The upkeep of the first account is that of the Dagster instance too, which all of them share.

    Raises:
        ConfigurationError: a setting is wrong, or two accounts would share names or tables.
    """
    known = [Account.from_environment()] if accounts is None else list(accounts)
    require_distinct(known)
    each = [of_account(account, with_dagster=n == 0) for n, account in enumerate(known)]
    jobs = [job for one in each for job in one.jobs or ()]
    return dg.Definitions(
        assets=[asset for one in each for asset in one.assets or ()],
        asset_checks=[check for one in each for check in one.asset_checks or ()],
        jobs=jobs,
        schedules=[schedule for one in each for schedule in one.schedules or ()],
        sensors=[*(sensor for one in each for sensor in one.sensors or ()), restarts.sensor(jobs), alerts.failed_runs],
        resources={name: it for one in each for name, it in (one.resources or {}).items()}
        | dict(resource_overrides or {}),
        executor=leased(dg.in_process_executor),
    )


#: What Dagster loads; the one place where settings are read as a module is imported.
defs = build_definitions()
