"""What the key can see, looked at before every read: new teams or roles show bookings that no timestamp announces."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from calcom_pipeline.app.bookings.ports import BookingMirror, Outset
from calcom_pipeline.domain.bookings.listing import MINE, Listing
from calcom_pipeline.domain.bookings.positions import ListingState, Scope
from calcom_pipeline.domain.listed import TEAMS_STREAM, Listed
from calcom_pipeline.domain.models import Team


class ScopeApi(Protocol):
    """Teams and roles of the key's user."""

    def teams(self) -> Listed[Team]:
        """The teams that the user belongs to."""
        ...

    def is_refused_by(self, team_id: int) -> bool:
        """Whether a team lets the key in no more: its members are a 403 or a 404 then."""
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

    def of(self, teams: Sequence[Team], kept: Iterable[int] = ()) -> list[Listing]:
        """The listings, the user's own first. `kept` are teams that are there although nothing is known of them now."""
        wanted = {team.id for team in teams if self._wants(team)}
        if self.team_slug is None or self.team_slug not in {team.slug for team in teams}:
            wanted |= {number for number in kept if not self.team_ids or number in self.team_ids}
        chosen = sorted(wanted) if self.team_lists else []
        organization = [] if self.organization_id is None else [Listing("organization", self.organization_id)]
        return [MINE, *(Listing("team", team_id) for team_id in chosen), *organization]

    def _wants(self, team: Team) -> bool:
        return (not self.team_ids or team.id in self.team_ids) and self.team_slug in {None, team.slug}


def look_at_scope(
    calcom: ScopeApi,
    mirror: BookingMirror,
    outset: Outset,
    choice: ListingChoice,
    *,
    now: datetime,
    roles_every: timedelta,
) -> tuple[list[Listing], ListingState]:
    """Compare what the key sees with the last look; a difference makes the next reads full ones.

    One call, and one per team that the list lacks. Roles cost a call per team, so they are looked at only when
    `roles_every` has passed since the last time, or since the first full read. Answers the listings to read, and the
    state of the user's own.
    """
    state = outset.state
    teams = calcom.teams()
    kept = _kept_teams(calcom, teams, state.scope)
    scope = Scope(tuple(sorted({team.id for team in teams} | kept)))
    roles_are_due = _roles_are_due(state, now, roles_every)
    if roles_are_due:
        scope = replace(scope, roles=tuple((team_id, calcom.role_in(team_id)) for team_id in scope.teams))
    elif state.scope is not None and state.scope.teams == scope.teams:
        scope = replace(scope, roles=state.scope.roles)
    reason = scope.difference(state.scope) if state.scope is not None else None
    listings = choice.of(teams, kept)
    if outset.listings - {str(listing) for listing in listings}:
        mirror.keep_listings(listings)
    if scope != state.scope or roles_are_due:
        for listing in listings:
            if listing.filters_changes:
                seen_at = now if roles_are_due else None
                mirror.looked(listing, scope, roles_seen_at=seen_at, needs_full=named(reason, now))
        state = mirror.state(MINE)
    return listings, state


def _kept_teams(calcom: ScopeApi, teams: Listed[Team], before: Scope | None) -> set[int]:
    """Teams that the list does not show, or not so that they can be read, and that have not been left all the same.

    A list alone proves nothing: one empty answer would forget every team's listing. Nor does a refusal while a listed
    team's members are refused too. A call per team that is missing, and one.
    """
    odd = teams.unreadable_ids(TEAMS_STREAM)
    missing = set(before.teams if before else ()) - {team.id for team in teams} - odd
    refused = {number for number in sorted(missing) if calcom.is_refused_by(number)}
    if refused and teams and calcom.is_refused_by(teams[0].id):
        refused.clear()
    return {*odd, *missing - refused}


def _roles_are_due(state: ListingState, now: datetime, every: timedelta) -> bool:
    last = state.roles_looked_at or state.full_done_at
    # One ahead of now was written by a clock that was wrong.
    return last is not None and not now - every < last <= now


def named(reason: str | None, now: datetime) -> str | None:
    """A reason for a full read, told apart from an earlier one of the same kind."""
    return f"{reason} ({now:%Y-%m-%d %H:%M:%S})" if reason else None
