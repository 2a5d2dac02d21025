"""How bookings are read and how long they stay."""

from typing import Annotated, Literal

from pydantic import Field

from calcom_pipeline.settings.group import SettingsGroup
from calcom_pipeline.settings.validators import Optional_


class BookingSettings(SettingsGroup):
    """How bookings are read and how long they stay."""

    bookings_version: Literal["2024-08-13", "2026-02-25"] = Field(
        default="2024-08-13", description="cal-api-version of the booking endpoints; both answer the same shape."
    )
    booking_page_size: int = Field(default=250, ge=1, le=250, description="Rows a page; Cal.com allows 250.")
    booking_overlap_seconds: float = Field(
        default=120.0, ge=0, le=86_400, description="How far back each read begins: Cal.com stamps before it commits."
    )
    clock_tolerance_seconds: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="Clocks set by NTP differ by less, with the time an answer takes: a Date of Cal.com that differs "
        "more is told, and what lies further ahead of now is read anew.",
    )
    booking_team_lists: bool = Field(
        default=False,
        description="Read each team's own list too. The user's list holds what its teams' admins see in most builds.",
    )
    booking_roles_seconds: float = Field(
        default=3600.0, ge=60, le=604_800, description="How often roles in teams are looked at; a call per team."
    )
    booking_reread_past_days: float = Field(
        default=2.0, ge=0, le=3660, description="The sliding re-read begins so far back: absences are marked late."
    )
    booking_reread_future_days: float = Field(
        default=14.0, ge=0, le=3660, description="... and ends so far ahead: seats there move no timestamp."
    )
    booking_proofs: int = Field(
        default=500, ge=1, le=100_000, description="Deletions proven in one run; each costs a call."
    )
    booking_freshness_seconds: float = Field(
        default=900.0, gt=0, le=604_800, description="Bookings last read longer ago than that are reported as stale."
    )
    booking_retention_days: Annotated[int | None, Optional_] = Field(
        default=None,
        ge=1,
        le=36_600,
        description="Bookings that ended longer ago are dropped, and unreadable ones not seen since. Unset: all stay.",
    )
    backfill_from: str = Field(
        default="2022-01", pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="First month that can be backfilled."
    )
    backfill_workers: int = Field(
        default=8, ge=1, le=64, description="Months read at once, where the limit allows that many calls."
    )
