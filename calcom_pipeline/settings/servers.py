"""Where things run: the servers, the embedded ones' folder, the file of settings."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_, PostgresUrl, RedisUrl


class ServerSettings(SettingsGroup):
    """Where things run: the servers, the embedded ones' folder, the file of settings."""

    local: Literal["auto", "never"] = Field(
        default="auto",
        description="auto: servers that are not named run embedded. never: a missing one is an error (production).",
    )
    data_dir: Annotated[Path | None, Optional_] = Field(
        default=None, description="Folder of the embedded servers. Unset: .calcom in the checkout."
    )
    accounts_dir: Annotated[Path | None, Optional_] = Field(
        default=None,
        description="Folder of accounts as data, NAME/defs.yaml each. Unset: where `dg scaffold defs "
        "calcom_pipeline.CalcomAccount NAME` puts them. A command takes the one that CALCOM_ACCOUNT names.",
    )
    env_file: Annotated[Path | None, Optional_] = Field(
        default=None, description="File of settings to read. Unset: .env in the working folder, if there."
    )
    database_url: PostgresUrl = Field(default=None, description="PostgreSQL 14 or newer. Unset: embedded.")
    database_schema: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="Schema of all tables. Unset: the account's name.",
    )
    redis_url: RedisUrl = Field(default=None, description="Redis 7 or Valkey 8, or newer. Unset: embedded.")
    dagster_pg_url: PostgresUrl = Field(
        default=None,
        description="Dagster's own database. Unset beside a given DATABASE_URL: <name>_dagster on that server.",
    )
