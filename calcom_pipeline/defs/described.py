"""The accounts of a code location: those that files describe, and that of the environment where it is one."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from calcom_pipeline.adapters.observability.structured_log import event_logger
from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.run_process import account_of_job, is_retention, job_of_this_process
from calcom_pipeline.defs.stopped import StoppedAccount
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import accounts_folder, load_settings, require_own_tables, serves_environment
from calcom_pipeline.settings.accounts import described_accounts, read_account
from calcom_pipeline.settings.described import described_names

_log = event_logger("accounts")


def known_accounts() -> tuple[list[Account], list[StoppedAccount]]:
    """All that this process's environment and files name, and those of them whose settings are wrong.

    In a process that runs one account's job, that account alone.

    Raises:
        ConfigurationError: what all of them need is wrong, or the environment is an account and wrong itself; in a
            process of one account's job, that one is.
    """
    folder, job = accounts_folder(), job_of_this_process()
    only = account_of_job(job, described_names(folder))
    if only is not None:
        account = Account.described(partial(read_account, folder, only))
        require_own_tables(account.at_load)
        return [replace(account, is_first=is_retention(job, only) and _is_first(only))], []
    own = [Account.from_environment()] if serves_environment() else []
    if not own:
        load_settings()  # what all share: an unknown variable or a missing server stops the location
    found = described_accounts(own[0].at_load if own else None)
    accounts = [*own, *(Account.of(settings, partial(read_account, folder, n)) for n, settings in found.right.items())]
    stopped = [StoppedAccount(name, list(why), partial(_problems, folder, name)) for name, why in found.wrong.items()]
    stopped += [StoppedAccount(name, [why], partial(list[str], [why])) for name, why in found.clashing.items()]
    for each in stopped:
        _log.warning("account_stopped", account=each.name, reason="; ".join(each.problems))
    return accounts, stopped


def _is_first(name: str) -> bool:
    """Whether the location has that account before all others; reads all files, and builds nothing of them."""
    return not serves_environment() and next(iter(described_accounts(None).right), None) == name


def _problems(folder: Path, name: str) -> list[str]:
    try:
        read_account(folder, name)
    except ConfigurationError as error:
        return error.problems
    return []
