"""What the key can see, looked at before every read: new teams or roles show bookings that no timestamp announces."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from calcom_pipeline.app.bookings.ports import BookingMirror
from calcom_pipeline.domain.bookings.listing import MINE, Listing
from calcom_pipeline.domain.bookings.positions import ListingState, Scope
from calcom_pipeline.domain.models import Team


class ScopeApi(Protocol):
    """Teams and roles of the key's user."""

    def teams(self) -> list[Team]:
        """The teams that the user belongs to."""
        ...

    def role_in(self, team_id: int) -> str:
        """The user's role in one of them, in capitals; empty when it cannot be seen."""
        ...


@dataclass(frozen=True, slots=True)
class ListingChoice:
    """Which listings are read besides the user's own; see the settings of the same names."""

    team_lists: bool = False
    team_ids: tuple[int, ...] = ()
    team_slug: str | None = None
    organization_id: int | None = None

    def of(self, teams: Iterable[Team]) -> list[Listing]:
        """The listings, the user's own first."""
        chosen = sorted(team.id for team in teams if self.team_lists and self._wants(team))
        organization = [] if self.organization_id is None else [Listing("organization", self.organization_id)]
        return [MINE, *(Listing("team", team_id) for team_id in chosen), *organization]

    def _wants(self, team: Team) -> bool:
        return (not self.team_ids or team.id in self.team_ids) and self.team_slug in {None, team.slug}


def look_at_scope(
    calcom: ScopeApi, mirror: BookingMirror, choice: ListingChoice, *, now: datetime, roles_every: timedelta
) -> list[Listing]:
    """Compare what the key sees with the last look; a difference makes the next reads full ones. One call.

    Roles cost a call per team, so they are looked at only when `roles_every` has passed since the last time, or since
    the first full read. Answers the listings to read.
    """
    state = mirror.state(MINE)
    teams = calcom.teams()
    scope = Scope(tuple(sorted(team.id for team in teams)))
    roles_are_due = _roles_are_due(state, now, roles_every)
    if roles_are_due:
        scope = replace(scope, roles=tuple((team_id, calcom.role_in(team_id)) for team_id in scope.teams))
    elif state.scope is not None and state.scope.teams == scope.teams:
        scope = replace(scope, roles=state.scope.roles)
    reason = scope.difference(state.scope) if state.scope is not None else None
    listings = choice.of(teams)
    mirror.keep_listings(listings)
    if scope != state.scope or roles_are_due:
        for listing in listings:
            if listing.filters_changes:
                seen_at = now if roles_are_due else None
                mirror.looked(listing, scope, roles_seen_at=seen_at, needs_full=named(reason, now))
    return listings


def _roles_are_due(state: ListingState, now: datetime, every: timedelta) -> bool:
    last = state.roles_looked_at or state.full_done_at
    # One ahead of now was written by a clock that was wrong.
    return last is not None and not now - every < last <= now


def named(reason: str | None, now: datetime) -> str | None:
    """A reason for a full read, told apart from an earlier one of the same kind."""
    return f"{reason} ({now:%Y-%m-%d %H:%M:%S})" if reason else None
