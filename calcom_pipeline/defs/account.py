"""One account as Dagster sees it: its names, its pool, its resources, and where its settings come from.

Everything in `defs/` is built from an account by a function, so several accounts live in one code location. The one
of the environment has the plain names; those of a further one begin with its name (`berlin_full_sync`).
"""

import functools
import hashlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import dagster as dg

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import Settings, load_settings
from calcom_pipeline.settings.accounts import one_schema

OWNERS = ["team:calcom-pipeline"]

_F = TypeVar("_F", bound=Callable[..., Any])
#: How Dagster's annotation `dg.ResourceParam[...]` is told apart from the rest.
_RESOURCE = "resource_param"


@dataclass(frozen=True, slots=True)
class Account:
    """`at_load` made the names, intervals and partitions; `settings` says what is opened when a step or a look begins.

    `prefix` begins the names of jobs, sensors, schedules, ops and resources. `accounts` is how many its location has;
    the first of them sees to the Dagster instance too.
    """

    at_load: Settings
    settings: Callable[[], Settings]
    prefix: str = ""
    accounts: int = 1
    is_first: bool = True

    @classmethod
    def from_environment(cls) -> Self:
        """The one that the environment and `.env` describe: now for names, anew whenever something is opened.

        Raises:
            ConfigurationError: naming every unknown variable and every wrong value.
        """
        return cls(load_settings(), load_settings)

    @classmethod
    def further(cls, settings: Settings) -> Self:
        """One beside that of the environment, with these settings as long as the code location is loaded."""
        return cls(settings, lambda: settings, f"{settings.account}_")

    @classmethod
    def described(cls, settings: Callable[[], Settings]) -> Self:
        """One that a file describes, which is read anew whenever something is opened.

        Raises:
            ConfigurationError: naming everything that is wrong with it.
        """
        return cls.of(settings(), settings)

    @classmethod
    def of(cls, at_load: Settings, settings: Callable[[], Settings]) -> Self:
        """The same, where the file has been read just now."""
        return cls(at_load, settings, f"{at_load.account}_")

    @property
    def name(self) -> str:
        """Asset keys are `<name>/<table>`."""
        return self.at_load.account

    @property
    def key_prefix(self) -> list[str]:
        """What the asset keys begin with."""
        return [self.name]

    @property
    def pool(self) -> str:
        """Steps that talk to Cal.com share a pool per API key, as they share its budget."""
        return f"calcom_api_{self.at_load.key_name}"

    @property
    def shift_minutes(self) -> int:
        """By how much its schedules come later within an hour: always the same, and another one for another key."""
        return hashlib.sha256(f"{self.at_load.key_name}/{self.name}".encode()).digest()[0] % 60

    def key(self, asset: str) -> dg.AssetKey:
        """The key of one of its assets."""
        return dg.AssetKey([*self.key_prefix, asset])

    def selection(self, *assets: str) -> dg.AssetSelection:
        """These of its assets."""
        return dg.AssetSelection.assets(*(self.key(asset) for asset in assets))

    def named(self, name: str) -> str:
        """The name of its job, sensor, schedule, op or resource."""
        return self.prefix + name

    def given_to(self, function: _F) -> _F:
        """The function, with its resources taken from this account: `calcom` is asked for as `berlin_calcom`."""
        return _asking_for(function, self.prefix) if self.prefix else function


def _asking_for(function: Any, prefix: str) -> Any:
    """Dagster finds a resource by the name of the parameter that takes it, so those parameters are renamed."""
    signature = inspect.signature(function)
    own = {prefix + name: name for name, p in signature.parameters.items() if _takes_resource(p)}
    ours = {name: key for key, name in own.items()}

    def asked(given: dict[str, Any]) -> dict[str, Any]:
        return {own.get(name, name): value for name, value in given.items()}

    if inspect.isgeneratorfunction(function):  # Dagster looks whether it is one

        @functools.wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            yield from function(*args, **asked(kwargs))

    else:

        @functools.wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **asked(kwargs))

    parameters = [p.replace(name=ours.get(name, name)) for name, p in signature.parameters.items()]
    renamed.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    annotations: dict[str, Any] = function.__annotations__
    renamed.__annotations__ = {ours.get(name) or name: kind for name, kind in annotations.items()}
    return renamed


def _takes_resource(parameter: inspect.Parameter) -> bool:
    return _RESOURCE in getattr(parameter.annotation, "__metadata__", ())


def require_distinct(accounts: Iterable[Account]) -> None:
    """Refuse accounts that would share names or tables.

    Raises:
        ConfigurationError: naming every clash.
    """
    known = list(accounts)
    names = Counter(account.name for account in known)
    plain = [account.name for account in known if not account.prefix]
    problems = [f"{number} accounts are called {name}" for name, number in names.items() if number > 1]
    problems += [
        f"The accounts {' and '.join(sharing)} have one schema, {schema}"
        for schema, sharing in one_schema(each.at_load for each in known)
    ]
    if len(plain) > 1:
        problems.append(f"More than one account has plain names: {', '.join(plain)}")
    if problems:
        raise ConfigurationError(problems, advice="Give each a name and a schema of its own.")
