"""The report: `calcom-pipeline report` and the page `/` of `serve`."""

from typing import Annotated

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_


class ReportSettings(SettingsGroup):
    """The report: `calcom-pipeline report` and the page `/` of `serve`."""

    report_stale_minutes: float = Field(
        default=60.0,
        gt=0,
        le=10_080,
        description="Event types and free starts last read longer ago are late; a schedule reads every 30 minutes.",
    )
    report_url: Annotated[str | None, Optional_] = Field(
        default=None,
        pattern=r"^https?://[^\s/@]+(/\S*)?$",
        description="Address of the report, for links in Dagster's UI. Unset: none; on the sandbox that of `up`.",
    )
    report_rows: int = Field(
        default=20_000,
        ge=100,
        le=200_000,
        description="Services on the page, worst first; 10,000 take about a megabyte, a tenth of that compressed.",
    )
    report_fresh_seconds: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="The page of `serve` is made anew after so long, for all who look: it takes a second at 10,000.",
    )
    report_refresh_seconds: int = Field(
        default=60, ge=0, le=3600, description="An open page of `serve` looks again after so long. 0: when it is told."
    )
    report_session_hours: float = Field(
        default=12.0, gt=0, le=720, description="Who has signed in there with a token is asked again after so long."
    )
