"""The sandbox's demo account."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class SandboxSettings(SettingsGroup):
    """The sandbox's demo account."""

    sandbox_event_types: int = Field(
        default=8,
        ge=1,
        le=100_000,
        description="Event types of the demo account: few, so that `demo` ends in half a minute at 120 calls a minute. "
        "60, with 3 teams and 5000 bookings, are more to look at.",
    )
    sandbox_teams: int = Field(default=1, ge=0, le=1000, description="Teams of the demo account.")
    sandbox_bookings: int = Field(default=300, ge=0, le=10_000_000, description="Bookings of the demo account.")
    sandbox_control: bool = Field(
        default=False,
        description="Serve the sandbox's control surface, /__sandbox: its counters, changes by other hands, faults.",
    )
