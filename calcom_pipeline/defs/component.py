"""The component `calcom_pipeline.CalcomAccount`: one `defs.yaml` is one account.

`calcom_pipeline.definitions` reads such files itself, so that one that is wrong stops its own account alone. In a
Dagster project of another package's, Dagster loads them like any component; there a file that its schema refuses stops
the project's location, as with every other component.
"""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

import click
import dagster as dg
from pydantic import BaseModel

from calcom_pipeline.defs.account import Account
from calcom_pipeline.defs.binding import bound
from calcom_pipeline.defs.location import of_account
from calcom_pipeline.defs.maintenance.leases import leased
from calcom_pipeline.defs.stopped import StoppedAccount, definitions_of_stopped
from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings import described_settings
from calcom_pipeline.settings.described import ACCOUNT_NAME, COMPONENT, FILE_NAME, description_model

_SCAFFOLD = """\
type: {type}

# Every setting of .env.example that is an account's own, by its name in small letters without CALCOM_; what is not said
# here is as in the environment. A secret is named, by a variable or a file, and never stands here.
attributes:
  api_key:
    variable: {variable}
    # file: /run/secrets/{name}
  # database_schema: {name}
  # team_ids: []
  # rate_limit_per_minute: 120
  # schedules: true
  # sensors: true
"""


class CalcomAccountScaffolder(dg.Scaffolder[Any]):
    """Writes the `defs.yaml` of a new account."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Raises click's UsageError, which `dg` shows in a line, if the folder's name fits no account or is taken."""
        name = request.target_path.name
        if not ACCOUNT_NAME.fullmatch(name):
            with suppress(OSError):
                request.target_path.rmdir()  # `dg` has just made it
            raise click.UsageError(
                f"{name} is no name of an account: small letters, digits and _, at most 31, a letter first"
            )
        if (request.target_path / FILE_NAME).exists():
            raise click.UsageError(f"The account {name} is described already")
        request.target_path.mkdir(parents=True, exist_ok=True)
        text = _SCAFFOLD.format(type=COMPONENT, name=name, variable=f"{name.upper()}_API_KEY")
        (request.target_path / FILE_NAME).write_text(text)


@dg.scaffold_with(CalcomAccountScaffolder)
class CalcomAccount(dg.Component, dg.Resolvable):
    """One Cal.com account: mirrors, services, availability and webhooks, with schedules and sensors, from one file.

    The name of the file's folder is the account's: its assets, jobs and keys in Redis begin with it, and its schema in
    PostgreSQL is called so unless `database_schema` says otherwise.
    """

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.attributes = attributes

    @classmethod
    def model(cls) -> type[BaseModel]:
        """A field per setting, with its bounds and description."""
        return description_model()

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> "CalcomAccount":
        """What the file says, templates in its texts filled in."""
        resolve = cast("Any", context).resolve_value
        given = model.model_dump(exclude_unset=True)
        return cls({name: resolve(value) for name, value in given.items()})

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg` shows beside the schema."""
        return dg.ComponentTypeSpec(
            owners=["team:calcom-pipeline"],
            tags=["cal.com"],
            produces=["asset", "asset_check", "job", "schedule", "sensor"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The account, or, where a secret is missing or settings contradict each other, what says so."""
        name = context.path.name
        settings = partial(described_settings, name, self.attributes)
        try:
            account = Account.described(settings)
        except ConfigurationError as error:
            return definitions_of_stopped(StoppedAccount(name, error.problems, lambda: _problems(settings)))
        return bound(of_account(replace(account, is_first=False)), leased(dg.in_process_executor))


def _problems(settings: "partial[Any]") -> list[str]:
    try:
        settings()
    except ConfigurationError as error:
        return error.problems
    return []
