"""The limiter of calls: what Cal.com grants the key, and how it is shared."""

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup


class LimiterSettings(SettingsGroup):
    """The limiter of calls: what Cal.com grants the key, and how it is shared."""

    rate_limit_per_minute: int = Field(
        default=120, ge=5, le=100_000, description="Requests per window that Cal.com grants the key (fact sheet 3)."
    )
    rate_window_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Length of Cal.com's window; only tests and own servers differ."
    )
    rate_block_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="How long Cal.com blocks a key that went over."
    )
    rate_safety_requests: int = Field(
        default=2, ge=0, le=50, description="Requests of a window left unused, for clocks that disagree."
    )
    rate_reserve_requests: int = Field(
        default=2, ge=0, le=50, description="Requests of a window that only the interactive lane may use."
    )
    rate_burst_requests: int = Field(
        default=6,
        ge=1,
        le=50,
        description="Requests that may go out at once after a rest; big bursts got accounts locked.",
    )
    rate_standing_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Part of the limit that schedules, sensors and warming may take by themselves; where an account "
        "needs more, they come less often.",
    )
    rate_quick_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Part of the limit that follows single changes at once, before all else that comes by itself: a "
        "booking that a webhook names, an edit of a service. What is more waits in turn; 0: all of it.",
    )
    rate_wait_seconds: float = Field(
        default=300.0, gt=0, le=3600, description="Longest wait for a turn; past it the caller gets RateLimited."
    )
    max_processes: int = Field(
        default=8, ge=1, le=1000, description="Processes that may share the key; each takes its part if Redis is away."
    )
