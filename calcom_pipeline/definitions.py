"""The whole code location on one screen. Loads with nothing set, and touches no server while it loads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from calcom_pipeline.defs.heap import without_collection

with without_collection():
    import dagster as dg

    from calcom_pipeline.defs.account import Account, require_distinct
    from calcom_pipeline.defs.asked_once import asked_once
    from calcom_pipeline.defs.binding import bound
    from calcom_pipeline.defs.described import known_accounts
    from calcom_pipeline.defs.location import of_account
    from calcom_pipeline.defs.maintenance import alerts, restarts
    from calcom_pipeline.defs.maintenance.leases import leased
    from calcom_pipeline.defs.stopped import StoppedAccount, definitions_of_stopped


def build_definitions(
    accounts: Sequence[Account] | None = None,
    *,
    stopped: Sequence[StoppedAccount] = (),
    executor: dg.ExecutorDefinition = dg.in_process_executor,
    resource_overrides: Mapping[str, object] | None = None,
) -> dg.Definitions:
    """Everything Dagster is told, of these accounts (default: all that the environment and files name).

    Tests replace single resources. The upkeep of the first account is that of the Dagster instance too, which all of
    them share. Of `stopped` ones only the reason is shown. `executor` runs the steps of jobs that name none, as small
    jobs do: Celery's or Kubernetes's, for more than one machine.

    Raises:
        ConfigurationError: a setting is wrong, or two accounts would share names or tables.
    """
    if accounts is None:
        accounts, stopped = known_accounts()
    require_distinct(accounts)
    if len(accounts) > 1:
        accounts = [replace(each, accounts=len(accounts), is_first=n == 0) for n, each in enumerate(accounts)]
    executor = leased(executor)
    each = [of_account(account) for account in accounts]
    plain = [one for one, account in zip(each, accounts, strict=True) if not account.prefix]
    others = [one for one, account in zip(each, accounts, strict=True) if account.prefix]
    all_of_them = [
        *plain,
        *(bound(one, executor, resource_overrides) for one in others),
        *(definitions_of_stopped(account) for account in stopped),
    ]
    jobs = [job for one in all_of_them for job in one.jobs or ()]
    definitions = dg.Definitions(
        assets=[asset for one in all_of_them for asset in one.assets or ()],
        asset_checks=[check for one in all_of_them for check in one.asset_checks or ()],
        jobs=jobs,
        schedules=[schedule for one in all_of_them for schedule in one.schedules or ()],
        sensors=[
            *(sensor for one in all_of_them for sensor in one.sensors or ()),
            *([restarts.sensor(jobs)] if jobs else []),
            alerts.failed_runs,
        ],
        resources={name: it for one in plain for name, it in (one.resources or {}).items()}
        | dict(resource_overrides or {}),
        executor=executor,
    )
    if others:  # Dagster asks for it next, and keeps it
        definitions.get_repository_def().load_all_definitions()
    return definitions


#: What Dagster loads; the one place where settings are read as a module is imported.
with without_collection(), asked_once():
    defs = build_definitions()
