"""Settings from the environment and the `.env` file: checked as a whole, all problems reported at once."""

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.redaction import know_secrets
from calcom_pipeline.settings.account import DEFAULT_ACCOUNT
from calcom_pipeline.settings.described import (
    FILE_NAME,
    OWN_FIELDS,
    OWN_FOLDER,
    attributes_of,
    described_names,
    fields_of,
)
from calcom_pipeline.settings.model import SECRET_FIELDS, Settings, secrets_in
from calcom_pipeline.settings.secret_files import SUFFIX, other_spelling, read_secrets
from calcom_pipeline.settings.validators import sentence

PREFIX = "CALCOM_"
SERVER_VARIABLES = ("DATABASE_URL", "REDIS_URL", "DAGSTER_PG_URL")


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    name = field.upper()
    return name if name in SERVER_VARIABLES else PREFIX + name


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (default: the process's own), the `.env` file, and the files that they name.

    Where CALCOM_ACCOUNT names an account that is described (see `described`), that one's settings.

    Raises:
        ConfigurationError: naming every unknown variable and every wrong value, none of them quoted; or the accounts
            that name the tables of this one, too.
    """
    values = _values(environ)
    name = values.get(variable_of("account"), "").strip() or DEFAULT_ACCOUNT
    folder = _folder(values)
    if not (folder / name / FILE_NAME).is_file():
        _require_described(name, values, folder)
        return _settings(values, name, None)
    settings = _settings(values, name, attributes_of(folder, name))
    require_own_tables(settings, environ)
    return settings


def _require_described(name: str, values: Mapping[str, str], folder: Path) -> None:
    """A name that no file has is the environment's account, which has a key, or a typing error."""
    known = described_names(folder)
    if name == DEFAULT_ACCOUNT or not known or _has_key(values):
        return
    near = difflib.get_close_matches(name, known, n=1)
    raise ConfigurationError(
        [f"CALCOM_ACCOUNT names {name}, which no file describes" + (f"; did you mean {near[0]}?" if near else "")],
        advice=f"Those of {len(known)} accounts are in CALCOM_ACCOUNTS_DIR, a folder each.",
    )


def require_own_tables(settings: Settings, environ: Mapping[str, str] | None = None) -> None:
    """Refuse a described account whose tables another one names too, as the code location does.

    Raises:
        ConfigurationError: naming both.
    """
    values = _values(environ)
    for other in _in_schema(settings, values, _folder(values)):
        if other.place == settings.place:
            sharing = " and ".join(sorted((settings.account, other.account)))
            raise ConfigurationError(
                [f"Account {settings.account}: the accounts {sharing} have one schema, {settings.schema_name}"],
                advice="Give each a schema of its own.",
            )


def _in_schema(settings: Settings, values: dict[str, str], folder: Path) -> Iterator[Settings]:
    """Other accounts that are right and name a schema of that name; only their files are read in full."""
    known = described_names(folder)
    for name in known:
        if name == settings.account:
            continue
        with suppress(ConfigurationError):  # what is wrong with another one is that one's
            attributes = attributes_of(folder, name)
            if str(attributes.get("database_schema") or name) == settings.schema_name:
                yield _settings(values, name, attributes)
    if not _has_key(values):
        return
    account = variable_of("account")
    own = values.get(account, "").strip() or DEFAULT_ACCOUNT
    if own in known:  # a command names the account it is for; what the environment's is called is not known here
        own = DEFAULT_ACCOUNT
    schema = values.get(variable_of("database_schema"), "").strip() or own
    if own not in known and schema == settings.schema_name:
        with suppress(ConfigurationError):
            yield _settings({**values, account: own}, own, None)


def described_settings(name: str, attributes: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Those of an account that is described by these attributes, beside the environment. Raises as above."""
    return _settings(_values(environ), name, attributes)


def accounts_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where accounts are described: CALCOM_ACCOUNTS_DIR, else the folder that `dg scaffold` writes to."""
    return _folder(_values(environ))


def serves_environment(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment itself is an account: it has a key of its own, or no account is described."""
    values = _values(environ)
    name = values.get(variable_of("account"), "").strip() or DEFAULT_ACCOUNT
    known = described_names(_folder(values))
    return not known or (_has_key(values) and name not in known)


def _has_key(values: Mapping[str, str]) -> bool:
    key = variable_of("api_key")
    return any(values.get(spelling, "").strip() for spelling in (key, key + SUFFIX))


def _folder(values: Mapping[str, str]) -> Path:
    named = values.get(variable_of("accounts_dir"), "").strip()
    return Path(named).expanduser() if named else OWN_FOLDER


def _settings(values: dict[str, str], name: str, attributes: Mapping[str, Any] | None) -> Settings:
    if attributes is not None:
        own = {spelling for field in OWN_FIELDS for spelling in (variable_of(field), variable_of(field) + SUFFIX)}
        values = {variable: value for variable, value in values.items() if variable not in own}
    secrets = {variable_of(field) for field in SECRET_FIELDS}
    values, problems = read_secrets(values, secrets)
    fields = {variable_of(field): field for field in Settings.model_fields}
    problems += _unknown(values, fields)
    # After the file was read: a blank in the environment takes back what the file says.
    given: dict[str, Any] = {field: values[name] for name, field in fields.items() if values.get(name, "").strip()}
    if attributes is not None:
        given |= fields_of(name, attributes, values)
    for field in given.keys() & SECRET_FIELDS:  # also where the settings turn out to be wrong
        know_secrets(secrets_in(field, given[field]))
    return _checked(given, problems + _contradictions(given, _folder(values)))


def _checked(given: Mapping[str, Any], problems: list[str]) -> Settings:
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        for entry in error.errors(include_url=False):
            location = entry["loc"]
            problems.append(sentence(variable_of(str(location[0])) if location else "", entry["msg"]))
    else:
        if settings.rate_safety_requests + settings.rate_reserve_requests >= settings.rate_limit_per_minute:
            problems.append(
                "CALCOM_RATE_SAFETY_REQUESTS and CALCOM_RATE_RESERVE_REQUESTS leave nothing of "
                "CALCOM_RATE_LIMIT_PER_MINUTE"
            )
        if not problems:
            return settings
    raise ConfigurationError(problems, advice="See .env.example for every setting, its unit and its default.")


def _values(environ: Mapping[str, str] | None) -> dict[str, str]:
    """The variables of the `.env` file and of the environment, which wins, also over another spelling of a secret."""
    values = dict(os.environ if environ is None else environ)
    secrets = {variable_of(field) for field in SECRET_FIELDS}
    spelled = {spelling for name in secrets for spelling in (name, name + SUFFIX)}
    file = _env_file(values)
    return {
        name: value for name, value in file.items() if name not in spelled or other_spelling(name) not in values
    } | values


def _env_file(environ: Mapping[str, str]) -> dict[str, str]:
    named = environ.get(PREFIX + "ENV_FILE")
    path = Path(named) if named else Path(".env")
    if named is not None and not named.strip():
        return {}
    if not path.is_file():
        if named:
            raise ConfigurationError([f"CALCOM_ENV_FILE names {named}, which is no file"])
        return {}
    # Literally: a password may hold "${".
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


def _unknown(values: Mapping[str, str], fields: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for name in sorted(values):
        if name.startswith(PREFIX) and name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            problems.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return problems


def _contradictions(given: Mapping[str, Any], accounts: Path) -> list[str]:
    problems: list[str] = []
    if "base_url" in given and "api_key" not in given:
        problems.append("CALCOM_BASE_URL is set, but CALCOM_API_KEY is not")
    if "webhook_url" in given and "webhook_secret" not in given:
        problems.append("CALCOM_WEBHOOK_URL is set, but CALCOM_WEBHOOK_SECRET is not")
    if str(given.get("local", "")).strip() == "never":
        needed = ["database_url", "redis_url"]
        if not described_names(accounts):  # else each of them has a key of its own
            needed.insert(0, "api_key")
        missing = [variable_of(field) for field in needed if field not in given]
        problems += [f"CALCOM_LOCAL=never, but {variable} is not set" for variable in missing]
    return problems
