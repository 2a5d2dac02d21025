"""The users, teams and keys of a generated account. The first user owns it and administers every team."""

from typing import Final

from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes
from calcom_pipeline.sandbox.accounts.generation.pools import FIRST_NAMES, LAST_NAMES, TEAM_NAMES, TEAM_ZONES
from calcom_pipeline.sandbox.accounts.generation.wishes import AccountWishes
from calcom_pipeline.sandbox.state.model import ApiKey, Interval, SandboxMembership, SandboxSchedule, SandboxTeam, User
from calcom_pipeline.sandbox.state.world import World

FIRST_USER: Final = 1001
_FIRST_SCHEDULE: Final = 2001
_FIRST_TEAM: Final = 301
ORGANIZATION: Final = 300
_FEWEST_USERS, _MOST_USERS = 4, 1_000
_BOOKINGS_PER_USER: Final = 10_000
_WORKDAYS: Final = [1, 2, 3, 4, 5]
OPENS, CLOSES = 9 * 60, 17 * 60  # every generated host's day, in minutes
_KEY_SALT: Final = 901


def add_people(world: World, wishes: AccountWishes, hashes: Hashes) -> None:
    """Users in the zones of their teams, a schedule each, memberships, and the keys `owner` and `member`."""
    wanted = -(-wishes.bookings // _BOOKINGS_PER_USER)
    count = min(max(wanted, _FEWEST_USERS, wishes.teams), _MOST_USERS)
    organization_id = ORGANIZATION if wishes.organization else None
    _add_teams(world, wishes, organization_id)
    for number in range(count):
        _add_user(world, number, TEAM_ZONES[team_place(number, wishes.teams) % len(TEAM_ZONES)], organization_id)
    _add_memberships(world, wishes)
    for place, name in enumerate(("owner", "member")):
        user_id = FIRST_USER + place
        given = wishes.owner_key if name == "owner" else None
        text = given or "cal_" + hashes.uuid(user_id, _KEY_SALT).replace("-", "")
        world.keys[text] = ApiKey(text, user_id, name)


def team_place(number: int, teams: int) -> int:
    """The team (counted from 0) in which a user hosts; the owner hosts in the first."""
    return number % teams if teams else 0


def _add_teams(world: World, wishes: AccountWishes, organization_id: int | None) -> None:
    if organization_id is not None:
        world.teams[organization_id] = SandboxTeam(organization_id, "Acme", "acme", TEAM_ZONES[0], is_organization=True)
    for place in range(wishes.teams):
        name = TEAM_NAMES[place % len(TEAM_NAMES)]
        again = place // len(TEAM_NAMES)
        shown = f"{name} {again + 1}" if again else name
        team_id = _FIRST_TEAM + place
        world.teams[team_id] = SandboxTeam(
            team_id,
            shown,
            shown.lower().replace(" ", "-"),
            TEAM_ZONES[place % len(TEAM_ZONES)],
            organization_id=organization_id,
        )


def _add_user(world: World, number: int, zone: str, organization_id: int | None) -> None:
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    last = LAST_NAMES[(number // len(FIRST_NAMES) + number) % len(LAST_NAMES)]
    username = f"{first}-{last}-{number + 1}".lower()
    user = User(
        id=FIRST_USER + number,
        username=username,
        name=f"{first} {last}",
        email=f"{username}@acme.example",
        time_zone=zone,
        schedule_id=_FIRST_SCHEDULE + number,
        organization_id=organization_id,
    )
    world.users[user.id] = user
    hours = [Interval(list(_WORKDAYS), OPENS, CLOSES)]
    world.schedules[user.schedule_id] = SandboxSchedule(user.schedule_id, user.id, "Working hours", zone, hours)


def _add_memberships(world: World, wishes: AccountWishes) -> None:
    def join(user_id: int, team_id: int) -> None:
        number = world.sequences.take("membership")
        role = "OWNER" if user_id == FIRST_USER else "MEMBER"
        world.memberships[number] = SandboxMembership(number, user_id, team_id, role)

    for user_id in world.users:
        if wishes.organization:
            join(user_id, ORGANIZATION)
        own = team_place(user_id - FIRST_USER, wishes.teams)
        for place in range(wishes.teams):
            if user_id == FIRST_USER or place == own:
                join(user_id, _FIRST_TEAM + place)


def hosts_of_team(world: World, place: int, teams: int) -> list[int]:
    """The users who host in a team, the owner among them only in the first."""
    return [user_id for user_id in world.users if team_place(user_id - FIRST_USER, teams) == place]
