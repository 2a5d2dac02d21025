"""The event types of a generated account, in a fixed mix of kinds, lengths and settings."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from calcom_pipeline.sandbox.accounts.generation.hashing import Hashes
from calcom_pipeline.sandbox.accounts.generation.people import FIRST_USER, hosts_of_team
from calcom_pipeline.sandbox.accounts.generation.pools import DESCRIPTIONS, FIELD_SLUGS, TITLES
from calcom_pipeline.sandbox.accounts.generation.wishes import AccountWishes
from calcom_pipeline.sandbox.accounts.making import add_for_team, add_personal
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import DAY_MS
from calcom_pipeline.sandbox.state.model import SandboxEventType, SandboxHost
from calcom_pipeline.sandbox.state.world import World

Kind = Literal["personal", "roundRobin", "collective", "managed"]
# Of twenty types: 11 personal, 5 round robin, 2 collective, 2 managed.
_KINDS: Final[tuple[Kind, ...]] = (
    "personal", "roundRobin", "personal", "personal", "collective", "personal", "roundRobin", "managed", "personal",
    "personal", "roundRobin", "personal", "personal", "roundRobin", "personal", "collective", "personal", "managed",
    "personal", "roundRobin",
)  # fmt: skip
_LENGTHS: Final = (30, 60, 15, 45, 20, 30, 60, 30, 15, 60)
_MOST_HOSTS: Final = {"roundRobin": 8, "collective": 3, "managed": 3}
_RECURRING_EVERY, _SEATED_EVERY, _CONFIRMED_EVERY = 7, 9, 8
_BUFFERED_EVERY, _LIMITED_EVERY, _ASKING_EVERY, _HIDDEN_EVERY = 6, 10, 3, 13
_SEATS: Final = (3, 5, 8)
_SALT: Final = 811


@dataclass(slots=True)
class HostedType:
    """One bookable type as the bookings need it: who hosts it alone, or who hosts it together."""

    event_type: SandboxEventType
    kind: Kind
    hosts: list[int]
    field_slug: str | None


def add_event_types(world: World, wishes: AccountWishes, hashes: Hashes) -> list[HostedType]:
    """Adds as many types as wished and their managed children; the bookable ones, without managed parents."""
    offers: list[HostedType] = []
    teams = [team for team in world.teams.values() if not team.is_organization]
    numbers: dict[Kind, int] = dict.fromkeys(_KINDS, 0)
    for number in range(wishes.event_types):
        kind: Kind = _KINDS[number % len(_KINDS)] if teams else "personal"
        place = numbers[kind]
        numbers[kind] += 1
        made = wishes.now - DAY_MS * (3 * 365) + number
        body, slug = _body(number, place, kind, hashes)
        if kind == "personal":
            own = add_personal(world, FIRST_USER, body, made)
            offers.append(HostedType(own, kind, [FIRST_USER], slug))
            continue
        team_place = place % len(teams)
        hosts = _hosts(hosts_of_team(world, team_place, len(teams)), kind, place // len(teams))
        team_type = add_for_team(world, teams[team_place].id, body, kind, [SandboxHost(one) for one in hosts], made)
        if kind == "managed":
            children = world.event_types.children_of(team_type.id)
            offers += [HostedType(child, kind, [child.owner_id or 0], slug) for child in children]
        else:
            offers.append(HostedType(team_type, kind, hosts, slug))
    return offers


def _hosts(members: list[int], kind: Kind, turn: int) -> list[int]:
    """Who hosts a team's type: every turn others, but all collective types of a team have the same hosts."""
    count = min(_MOST_HOSTS[kind], len(members))
    first = 0 if kind == "collective" else turn * count
    return [members[(first + number) % len(members)] for number in range(count)]


def _body(number: int, place: int, kind: Kind, hashes: Hashes) -> tuple[Json, str | None]:
    """A create's body, and the slug of its own question if it has one."""
    title = TITLES[number % len(TITLES)]
    body: Json = {
        "lengthInMinutes": _LENGTHS[number % len(_LENGTHS)],
        "title": title if number < len(TITLES) else f"{title} {number // len(TITLES) + 1}",
        "slug": f"{title.lower().replace(' ', '-')}-{number + 1}",
        "description": DESCRIPTIONS[number % len(DESCRIPTIONS)],
        "locations": [_location(number, hashes)],
    }
    slug = FIELD_SLUGS[number % len(FIELD_SLUGS)] if _is_turn(number, _ASKING_EVERY) else None
    if slug is not None:
        question = {"type": "text", "slug": slug, "label": slug.replace("-", " ").capitalize()}
        body["bookingFields"] = [question | {"required": False, "placeholder": ""}]
    if kind == "personal":
        body |= _personal_extras(place)
    if kind == "roundRobin" and _is_turn(place, _RECURRING_EVERY):
        body["recurrence"] = _RECURRENCE
    if _is_turn(number, _BUFFERED_EVERY):
        body |= {"beforeEventBuffer": 5, "afterEventBuffer": 10}
    if _is_turn(number, _LIMITED_EVERY):
        body["bookingLimitsCount"] = {"day": 6, "week": 25}
    if _is_turn(number, _HIDDEN_EVERY):
        body["hidden"] = True
    return body, slug


_RECURRENCE: Final = {"interval": 1, "occurrences": 4, "frequency": "weekly"}


def _is_turn(number: int, every: int) -> bool:
    return number % every == every // 2


def _personal_extras(place: int) -> Json:
    if _is_turn(place, _RECURRING_EVERY):
        return {"recurrence": _RECURRENCE}
    if _is_turn(place, _SEATED_EVERY):
        seats = _SEATS[place % len(_SEATS)]
        return {"seats": {"seatsPerTimeSlot": seats, "showAttendeeInfo": True, "showAvailabilityCount": True}}
    if _is_turn(place, _CONFIRMED_EVERY):
        return {"confirmationPolicy": {"type": "always", "blockUnconfirmedBookingsInBooker": True}}
    return {}


def _location(number: int, hashes: Hashes) -> dict[str, Any]:
    token = hashes.uuid(number, _SALT)[:8]
    kinds: list[Json] = [
        {"type": "integration", "integration": "cal-video"},
        {"type": "link", "link": f"https://meet.acme.example/{token}", "public": True},
        {"type": "address", "address": f"{number % 90 + 1} Market Street", "public": True},
        {"type": "phone", "phone": f"+4930{5_550_000 + number}", "public": True},
    ]
    return kinds[number % len(kinds)]
