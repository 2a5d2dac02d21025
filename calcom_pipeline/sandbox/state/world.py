"""One account: its tables, its sequences of ids, and the questions everything asks of them."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date

from calcom_pipeline.sandbox.state.bookings import BookingTable
from calcom_pipeline.sandbox.state.event_types import EventTypeTable
from calcom_pipeline.sandbox.state.model import (
    ADMIN_ROLES,
    ApiKey,
    Reservation,
    Role,
    SandboxBooking,
    SandboxEventType,
    SandboxHost,
    SandboxMembership,
    SandboxSchedule,
    SandboxTeam,
    SandboxWebhook,
    User,
)

BOOKER_URL = "http://127.0.0.1:3000"  # where the recorded server's booking pages were


@dataclass(slots=True)
class Sequences:
    """The next id of each table, as PostgreSQL's sequences: a failed insert uses one up."""

    event_type: int = 1
    booking: int = 1
    attendee: int = 1
    membership: int = 1

    def take(self, name: str) -> int:
        """The next id of a table."""
        value: int = getattr(self, name)
        setattr(self, name, value + 1)
        return value


@dataclass(slots=True)
class World:
    """Everything that belongs to one account."""

    users: dict[int, User] = field(default_factory=dict[int, User])
    schedules: dict[int, SandboxSchedule] = field(default_factory=dict[int, SandboxSchedule])
    teams: dict[int, SandboxTeam] = field(default_factory=dict[int, SandboxTeam])
    memberships: dict[int, SandboxMembership] = field(default_factory=dict[int, SandboxMembership])
    keys: dict[str, ApiKey] = field(default_factory=dict[str, ApiKey])
    event_types: EventTypeTable = field(default_factory=EventTypeTable)
    bookings: BookingTable = field(default_factory=BookingTable)
    webhooks: dict[str, SandboxWebhook] = field(default_factory=dict[str, SandboxWebhook])
    reservations: dict[str, Reservation] = field(default_factory=dict[str, Reservation])
    sequences: Sequences = field(default_factory=Sequences)
    booker_url: str = BOOKER_URL
    event_types_version: int = 0
    _emails: dict[str, int] = field(default_factory=dict[str, int])
    _emails_version: int = -1

    # -- people and teams

    def user_named(self, username: str) -> User | None:
        """The user of that name."""
        return next((user for user in self.users.values() if user.username == username), None)

    def user_with_email(self, email: str) -> User | None:
        """The user of that address."""
        return next((user for user in self.users.values() if user.email == email), None)

    def team_named(self, slug: str) -> SandboxTeam | None:
        """The team (not the organization) of that slug."""
        return next((t for t in self.teams.values() if t.slug == slug and not t.is_organization), None)

    def organization_named(self, slug: str) -> SandboxTeam | None:
        """The organization of that slug."""
        return next((team for team in self.teams.values() if team.slug == slug and team.is_organization), None)

    def role_in(self, user_id: int, team_id: int) -> Role | None:
        """The user's role in a team or organization, if accepted."""
        for membership in self.memberships.values():
            if membership.user_id == user_id and membership.team_id == team_id and membership.accepted:
                return membership.role
        return None

    def is_admin_of(self, user_id: int, team_id: int) -> bool:
        """Whether the user may manage the team, by its own role or as admin of the parent organization."""
        if self.role_in(user_id, team_id) in ADMIN_ROLES:
            return True
        team = self.teams.get(team_id)
        parent = team.organization_id if team else None
        return parent is not None and self.role_in(user_id, parent) in ADMIN_ROLES

    def teams_of(self, user_id: int) -> list[SandboxTeam]:
        """The teams that the user belongs to, by id."""
        ids = {m.team_id for m in self.memberships.values() if m.user_id == user_id and m.accepted}
        return [team for team_id, team in sorted(self.teams.items()) if team_id in ids]

    def members_of(self, team_ids: Collection[int]) -> set[int]:
        """The users who belong to one of the teams or organizations."""
        return {m.user_id for m in self.memberships.values() if m.team_id in team_ids and m.accepted}

    def administered_by(self, user_id: int) -> list[SandboxTeam]:
        """The teams whose bookings the user may see."""
        return [team for team_id, team in sorted(self.teams.items()) if self.is_admin_of(user_id, team_id)]

    def share_a_team(self, one: int, other: int) -> bool:
        """Whether two users have a team in common."""
        return bool({team.id for team in self.teams_of(one)} & {team.id for team in self.teams_of(other)})

    # -- event types

    def host_ids(self, event_type: SandboxEventType) -> list[int]:
        """Who hosts a type, in the order in which hosts are tried."""
        if event_type.owner_id is not None:
            return [event_type.owner_id]
        return [host.user_id for host in self.hosts_of(event_type) if host.user_id in self.users]

    def hosts_of(self, event_type: SandboxEventType) -> list[SandboxHost]:
        """The hosts of a team's type; all accepted members if it says so."""
        if not event_type.assign_all or event_type.team_id is None:
            return event_type.hosts
        members = [m for m in self.memberships.values() if m.team_id == event_type.team_id and m.accepted]
        return [SandboxHost(member.user_id) for member in sorted(members, key=lambda member: member.id)]

    def schedule_of(self, event_type: SandboxEventType, user_id: int) -> SandboxSchedule:
        """The schedule by which a host's times for a type are found: the type's own, else the host's default."""
        own = self.schedules.get(event_type.schedule_id or 0)
        return own if own is not None else self.schedules[self.users[user_id].schedule_id]

    def touch_event_types(self) -> None:
        """Something about event types, users or teams changed: whatever was derived from them is void."""
        self.event_types_version += 1

    # -- bookings

    def hosts_booked(self, booking: SandboxBooking) -> set[int]:
        """Every user whose time a booking takes: the organizer and each attendee who is a user here."""
        taken = {booking.user_id} if booking.user_id is not None else set[int]()
        by_email = self._users_by_email()
        return taken | {by_email[one.email] for one in booking.attendees if one.email in by_email}

    def _users_by_email(self) -> dict[str, int]:
        if self._emails_version != self.event_types_version or len(self._emails) != len(self.users):
            self._emails = {user.email: user.id for user in self.users.values()}
            self._emails_version = self.event_types_version
        return self._emails

    # -- keys

    def key_of(self, text: str) -> ApiKey | None:
        """The key with that text."""
        return self.keys.get(text)


def fingerprint(text: str) -> str:
    """What stands for a key or token in counters and buckets, so that none of them shows a secret."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_expired(key: ApiKey, today: date) -> bool:
    """Whether a key is past its last day; Cal.com compares calendar days."""
    return key.expires_day is not None and key.expires_day < today
