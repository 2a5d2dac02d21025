"""For people who look: the Dagster UI, its log, the live tests' key."""

from typing import Annotated

from pydantic import Field, SecretStr

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_


class UiSettings(SettingsGroup):
    """For people who look: the Dagster UI, its log, the live tests' key."""

    ui_port: int = Field(default=3000, ge=1, le=65_535, description="Port of the Dagster UI (`make up`).")
    dagster_log_megabytes: float = Field(
        default=10.0, gt=0, le=10_000, description="Dagster's log (`up`) longer than that is moved aside."
    )
    dagster_log_files: int = Field(default=3, ge=1, le=100, description="As many older ones of it are kept.")
    live_key: Annotated[SecretStr | None, Optional_] = Field(
        default=None, description="Key of a test account for `make live`, which books and cancels for real."
    )
