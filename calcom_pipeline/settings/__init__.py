"""Every setting once: name, default, unit, bounds, reason. A small file per group, one model `Settings` over them.

Settings come from the environment and from a `.env` file (the environment wins). Ours start with `CALCOM_`, and an
unknown one of that kind is refused, so that a typing error never runs the sandbox silently. A blank one is unset,
whichever it is. Three names belong to the servers: `DATABASE_URL`, `REDIS_URL`, `DAGSTER_PG_URL`. Nothing set means:
embedded servers and the sandbox. A secret may be named by its file (`secret_files`), and an account be described by a
file of its own (`described`).
"""

from calcom_pipeline.settings.account import CALCOM_CLOUD, DEFAULT_ACCOUNT
from calcom_pipeline.settings.example import example
from calcom_pipeline.settings.loader import (
    PREFIX,
    SERVER_VARIABLES,
    accounts_folder,
    described_settings,
    load_settings,
    require_own_tables,
    serves_environment,
    variable_of,
)
from calcom_pipeline.settings.model import GROUPS, Settings

__all__ = [
    "CALCOM_CLOUD",
    "DEFAULT_ACCOUNT",
    "GROUPS",
    "PREFIX",
    "SERVER_VARIABLES",
    "Settings",
    "accounts_folder",
    "described_settings",
    "example",
    "load_settings",
    "require_own_tables",
    "serves_environment",
    "variable_of",
]
