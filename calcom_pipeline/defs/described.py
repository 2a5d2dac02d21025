"""The accounts of a code location: those that files describe, and that of the environment where it is one."""

from functools import partial
from pathlib import Path

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.defs.account import Account, one_schema
from calcom_pipeline.defs.run_process import account_of_job, job_of_this_process
from calcom_pipeline.defs.stopped import StoppedAccount
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import (
    Settings,
    accounts_folder,
    described_settings,
    load_settings,
    serves_environment,
)
from calcom_pipeline.settings.described import attributes_of, described_names

_log = event_logger("accounts")


def known_accounts() -> tuple[list[Account], list[StoppedAccount]]:
    """All that this process's environment and files name, and those of them whose settings are wrong.

    In a process that runs one account's job, that account alone.

    Raises:
        ConfigurationError: what all of them need is wrong, or the environment is an account and wrong itself.
    """
    folder = accounts_folder()
    only = account_of_job(job_of_this_process(), described_names(folder))
    if only is not None:
        return [Account.described(partial(_read, folder, only))], []
    own = [Account.from_environment()] if serves_environment() else []
    if not own:
        load_settings()  # what all share: an unknown variable or a missing server stops the location
    accounts, stopped = list(own), list[StoppedAccount]()
    for name in described_names(folder):
        try:
            accounts.append(Account.described(partial(_read, folder, name)))
        except ConfigurationError as error:
            stopped.append(StoppedAccount(name, error.problems, partial(_problems, folder, name)))
    for schema, names in one_schema(accounts):
        problem = f"The accounts {' and '.join(names)} have one schema, {schema}"
        clashing = [account for account in accounts if account.name in names and account not in own]
        stopped += [StoppedAccount(each.name, [problem], partial(list[str], [problem])) for each in clashing]
        accounts = [account for account in accounts if account not in clashing]
    for each in stopped:
        _log.warning("account_stopped", account=each.name, reason="; ".join(each.problems))
    return accounts, stopped


def _read(folder: Path, name: str) -> Settings:
    return described_settings(name, attributes_of(folder, name))


def _problems(folder: Path, name: str) -> list[str]:
    try:
        _read(folder, name)
    except ConfigurationError as error:
        return error.problems
    return []
