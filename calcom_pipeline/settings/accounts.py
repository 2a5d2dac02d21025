"""All accounts that files describe, each with its settings or with what is wrong with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings.described import attributes_of, described_names
from calcom_pipeline.settings.loader import accounts_folder, described_settings
from calcom_pipeline.settings.model import Settings


@dataclass(frozen=True, slots=True)
class DescribedAccounts:
    """By name: settings that are right; problems of a file; the one problem of those who have a schema with others."""

    right: Mapping[str, Settings]
    wrong: Mapping[str, Sequence[str]]
    clashing: Mapping[str, str]

    @property
    def stopped(self) -> dict[str, Sequence[str]]:
        """Those that cannot be used, with their problems."""
        return {**self.wrong, **{name: [problem] for name, problem in self.clashing.items()}}


def described_accounts(own: Settings | None) -> DescribedAccounts:
    """All that files describe now; `own` are the settings of the environment, where that is an account itself.

    What is wrong with one is that one's. Of several with one schema none is right, but for the environment's.
    """
    folder = accounts_folder()
    right, wrong = dict[str, Settings](), dict[str, Sequence[str]]()
    for name in described_names(folder):
        try:
            right[name] = read_account(folder, name)
        except ConfigurationError as error:
            wrong[name] = error.problems
    clashing: dict[str, str] = {}
    for schema, names in one_schema([own, *right.values()] if own else right.values()):
        problem = f"The accounts {' and '.join(names)} have one schema, {schema}"
        clashing |= {name: problem for name in names if name in right}
    return DescribedAccounts({n: s for n, s in right.items() if n not in clashing}, wrong, clashing)


def read_account(folder: Path, name: str) -> Settings:
    """The settings of one, as its file says now. Raises ConfigurationError."""
    return described_settings(name, attributes_of(folder, name))


def one_schema(accounts: Iterable[Settings]) -> list[tuple[str, list[str]]]:
    """Schemas of one database that several accounts name, each with the names of those."""
    tables: dict[tuple[str | None, str], list[str]] = {}
    for settings in accounts:
        tables.setdefault(settings.place, []).append(settings.account)
    return [(schema, sharing) for (_, schema), sharing in tables.items() if len(set(sharing)) > 1]
