"""Accounts as data: one `defs.yaml` describes one account, and the name of its folder is the account's.

    agency_a/defs.yaml
        type: calcom_pipeline.CalcomAccount
        attributes:
          api_key: {file: /run/secrets/agency_a}    # or {variable: AGENCY_A_API_KEY}
          team_ids: [4, 7]
          rate_limit_per_minute: 60

Its attributes are settings by their names in small letters. What it does not say is as in the environment, but for what
makes an account this one: key, teams, webhook, schema. A secret never stands in the file itself: it is named, by the
variable or the file that holds it.
"""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self, cast, get_args

import yaml
from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.settings.account import AccountSettings
from calcom_pipeline.settings.availability import AvailabilitySettings
from calcom_pipeline.settings.bookings import BookingSettings
from calcom_pipeline.settings.breaker import BreakerSettings
from calcom_pipeline.settings.client import ClientSettings
from calcom_pipeline.settings.event_types import EventTypeSettings
from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.limiter import LimiterSettings
from calcom_pipeline.settings.privacy import PrivacySettings
from calcom_pipeline.settings.retention import RetentionSettings
from calcom_pipeline.settings.secret_files import secret_in
from calcom_pipeline.settings.sensors import SensorSettings
from calcom_pipeline.settings.servers import ServerSettings
from calcom_pipeline.settings.services import ServiceSettings
from calcom_pipeline.settings.validators import sentence
from calcom_pipeline.settings.webhooks import WebhookSettings

COMPONENT = "calcom_pipeline.CalcomAccount"
FILE_NAME = "defs.yaml"
# libyaml reads a file in a tenth of the time; each look reads its account's.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Where `dg scaffold defs calcom_pipeline.CalcomAccount NAME` puts them.
OWN_FOLDER = Path(__file__).parents[1] / "accounts"
ACCOUNT_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")

_GROUPS: tuple[type[SettingsGroup], ...] = (
    AccountSettings,
    LimiterSettings,
    SensorSettings,
    WebhookSettings,
    ServiceSettings,
    BookingSettings,
    EventTypeSettings,
    AvailabilitySettings,
    PrivacySettings,
    RetentionSettings,
    ClientSettings,
    BreakerSettings,
)
_OF_SERVERS = ("database_schema", "database_url", "redis_url")
_OF_THE_INSTANCE = frozenset({"account", "dagster_retention_days", "webhook_spool_folder", "webhook_spool_megabytes"})
#: What no account takes from the environment: these say which account it is.
OWN_FIELDS = (
    "account",
    "api_key",
    "team_ids",
    "team_slug",
    "organization_id",
    "webhook_secret",
    "webhook_previous_secret",
    "webhook_url",
    "database_schema",
)


def _no_setting_of_ours(name: str) -> str:
    if name.startswith("CALCOM_"):
        raise ValueError("must not begin with CALCOM_: such variables are settings of the whole deployment")
    return name


class SecretSource(SettingsGroup):
    """Where a secret is: a variable of the environment (or of the .env file), or a file."""

    variable: Annotated[str | None, AfterValidator(_no_setting_of_ours)] = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Variable that holds it; its name does not begin with CALCOM_.",
    )
    file: str | None = Field(default=None, min_length=1, description="File that holds it, such as /run/secrets/key.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.variable is None) == (self.file is None):
            raise ValueError("wants a variable or a file, one of them")
        return self

    def read(self, values: Mapping[str, str]) -> str:
        """The secret.

        Raises:
            ValueError: it is not there; the sentence says which variable or file.
        """
        if self.file is not None:
            try:
                return secret_in(Path(self.file))
            except ValueError as error:
                raise ValueError(f"the file {self.file}, {error}") from None
        found = values.get(self.variable or "", "")
        if not found.strip():
            raise ValueError(f"the variable {self.variable} is not set")
        return found


@cache
def description_model() -> type[BaseModel]:
    """What `attributes` may hold: a field per setting that an account may decide, with its bounds and description."""
    fields: dict[str, Any] = {}
    known = {name: field for group in _GROUPS for name, field in group.model_fields.items()}
    known |= {name: ServerSettings.model_fields[name] for name in _OF_SERVERS}
    for name, field in known.items():
        if name in _OF_THE_INSTANCE:
            continue
        if SecretStr not in get_args(field.annotation):
            fields[name] = (field.annotation, field)
        elif name == "api_key":
            fields[name] = (SecretSource, Field(description="Where the Cal.com API key (cal_...) is."))
        else:
            fields[name] = (SecretSource | None, Field(default=None, description=field.description))
    return create_model("AccountDescription", __base__=SettingsGroup, **fields)


def described_names(folder: Path) -> list[str]:
    """The accounts that a folder describes, by name, whether they are right or not."""
    try:
        return sorted(file.parent.name for file in folder.glob(f"*/{FILE_NAME}"))
    except OSError:
        return []


def attributes_of(folder: Path, name: str) -> dict[str, Any]:
    """What the file of an account says, as it stands there.

    Raises:
        ConfigurationError: there is no such file, or it is no description of an account.
    """
    file = folder / name / FILE_NAME
    try:
        content: object = yaml.load(file.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe one, either way
    except (OSError, yaml.YAMLError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where is not None else ""
        raise _wrong(name, [f"{file} is no YAML file that can be read{line}"]) from None
    if not isinstance(content, dict):
        raise _wrong(name, [f"{file} does not say `type: {COMPONENT}`"])
    found = cast("dict[str, Any]", content)
    if found.get("type") != COMPONENT:
        raise _wrong(name, [f"{file} does not say `type: {COMPONENT}`"])
    attributes: object = found.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise _wrong(name, [f"{file}: attributes are no mapping"])
    return cast("dict[str, Any]", attributes)


def fields_of(name: str, attributes: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The settings that an account decides, by field, its secrets read; `values` are the environment's variables.

    Raises:
        ConfigurationError: naming the account and everything that is wrong with it, no value quoted.
    """
    if not ACCOUNT_NAME.fullmatch(name):
        raise _wrong(name, ["an account's name has small letters, digits and _, at most 31, a letter first"])
    try:
        described = description_model().model_validate(dict(attributes))
    except ValidationError as error:
        raise _wrong(name, [_problem(each) for each in error.errors(include_url=False)]) from None
    given: dict[str, Any] = {"account": name}
    problems = list[str]()
    for field in described.model_fields_set:
        value = getattr(described, field)
        if not isinstance(value, SecretSource):
            given[field] = value
            continue
        try:
            given[field] = value.read(values)
        except ValueError as error:
            problems.append(f"{field}: {error}")
    if problems:
        raise _wrong(name, sorted(problems))
    return given


def _problem(found: ErrorDetails) -> str:
    """A sentence, no value in it; pydantic's own words but for what is most often wrong."""
    field, message = ".".join(str(part) for part in found["loc"]), found["msg"]
    if found["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, description_model().model_fields, n=1)
        message = "no setting of an account" + (f"; did you mean {near[0]}?" if near else "")
    elif found["type"] == "model_type":
        message = "name where the secret is, `variable: NAME` or `file: PATH`; it never stands here"
    return sentence(field, message)


def _wrong(name: str, problems: list[str]) -> ConfigurationError:
    sentences = [f"Account {name}: {problem}" for problem in problems]
    return ConfigurationError(sentences, advice="Correct its defs.yaml, or what it names.")
