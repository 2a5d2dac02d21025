"""Settings from the environment and the `.env` file: checked as a whole, all problems told at once."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.redaction import know_secrets
from calcom_pipeline.settings.model import SECRET_FIELDS, Settings, secrets_in

PREFIX = "CALCOM_"
SERVER_VARIABLES = ("DATABASE_URL", "REDIS_URL", "DAGSTER_PG_URL")


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    name = field.upper()
    return name if name in SERVER_VARIABLES else PREFIX + name


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (default: the process's own) and the `.env` file.

    Raises:
        ConfigurationError: naming every unknown variable and every wrong value, none of them quoted.
    """
    values = dict(os.environ if environ is None else environ)
    values = {**_env_file(values), **values}
    fields = {variable_of(name): name for name in Settings.model_fields}
    problems = _unknown(values, fields) + _contradictions(values)
    # After the file was read: a blank in the environment takes back what the file says.
    given: dict[str, Any] = {field: values[name] for name, field in fields.items() if values.get(name, "").strip()}
    for name in given.keys() & SECRET_FIELDS:  # also where the settings turn out to be wrong
        know_secrets(secrets_in(name, given[name]))
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        problems += [_sentence(entry["loc"], entry["msg"]) for entry in error.errors(include_url=False)]
    else:
        if settings.rate_safety_requests + settings.rate_reserve_requests >= settings.rate_limit_per_minute:
            problems.append(
                "CALCOM_RATE_SAFETY_REQUESTS and CALCOM_RATE_RESERVE_REQUESTS leave nothing of "
                "CALCOM_RATE_LIMIT_PER_MINUTE"
            )
        if not problems:
            return settings
    raise ConfigurationError(problems, advice="See .env.example for every setting, its unit and its default.")


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


def _contradictions(values: Mapping[str, str]) -> list[str]:
    def given(name: str) -> bool:
        return bool(values.get(name, "").strip())

    problems: list[str] = []
    if given("CALCOM_BASE_URL") and not given("CALCOM_API_KEY"):
        problems.append("CALCOM_BASE_URL is set, but CALCOM_API_KEY is not")
    if given("CALCOM_WEBHOOK_URL") and not given("CALCOM_WEBHOOK_SECRET"):
        problems.append("CALCOM_WEBHOOK_URL is set, but CALCOM_WEBHOOK_SECRET is not")
    if values.get("CALCOM_LOCAL", "").strip() == "never":
        missing = [n for n in ("CALCOM_API_KEY", "DATABASE_URL", "REDIS_URL") if not given(n)]
        problems += [f"CALCOM_LOCAL=never, but {name} is not set" for name in missing]
    return problems


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    message = re.sub(r"^(Value error|Assertion failed), ", "", message)
    return f"{variable_of(str(location[0]))}: {message}" if location else message
