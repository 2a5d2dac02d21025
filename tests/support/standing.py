"""Accounts of some size and their share of the limit, for what their schedules cost."""

from calcom_pipeline.domain.maintenance.standing_calls import AccountSize, StandingRules
from calcom_pipeline.settings import Settings

SHARE = 0.5
TEAMS = 3
#: As `MaintenanceGroup` makes them of the defaults, of a real account and of the sandbox.
REAL, SANDBOX = (30.0, 120.0), (10.0, 60.0)


def rules(looks: tuple[float, float] = REAL, *, limit: float = 120, scopes: int = 30) -> StandingRules:
    settings = Settings()
    return StandingRules(limit, SHARE, settings.slot_warm_share, settings.slot_warm_minutes, *looks, scopes)


def account(event_types: int, *, teams: int = TEAMS, lengths: float = 1.2) -> AccountSize:
    return AccountSize(event_types, int(event_types * lengths), 1 + teams, event_types // 3)
