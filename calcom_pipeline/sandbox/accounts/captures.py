"""The account of the recordings: users alice and bob, team support, event types 1 to 11, four keys.

Facts: the README beside the recordings, `00-*`, `01*`. Event types created later are numbered from 20, as in the
recordings (12 to 19 had come and gone).
"""

from datetime import timedelta
from typing import Final

from calcom_pipeline.sandbox.accounts.making import add_for_team, add_personal
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import SECOND_MS, moment_of
from calcom_pipeline.sandbox.http.limiter import Limit
from calcom_pipeline.sandbox.state.model import (
    ApiKey,
    Interval,
    SandboxHost,
    SandboxMembership,
    SandboxSchedule,
    SandboxTeam,
    SchedulingType,
    User,
)
from calcom_pipeline.sandbox.state.world import World

ALICE: Final = 101
BOB: Final = 102
TEAM: Final = 301
ALICE_KEY: Final = "cal_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01"
BOB_KEY: Final = "cal_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02"
SLOW_KEY: Final = "cal_cccccccccccccccccccccccccccccc03"
EXPIRED_KEY: Final = "cal_dddddddddddddddddddddddddddddd04"
_BERLIN: Final = "Europe/Berlin"
_WORKDAYS: Final = [1, 2, 3, 4, 5]
_OPENS, _CLOSES = 9 * 60, 17 * 60
_NEXT_EVENT_TYPE: Final = 20
_ALICE_HITS: Final = 100_000
_SLOW_HITS: Final = 5
_SLOW_MS: Final = 10 * SECOND_MS
_LINK: Final = [{"type": "link", "link": "https://meet.example.com/alice", "public": True}]
_TEAM_LINK: Final = [{"type": "link", "link": "https://meet.example.com/support", "public": True}]

PERSONAL_BODIES: Final[list[Json]] = [
    {"lengthInMinutes": 15, "title": "15 min meeting", "slug": "intro-15", "description": "15 minutes"},
    {"lengthInMinutes": 30, "title": "30 min meeting", "slug": "consult-30", "description": "30 minutes"},
    {"lengthInMinutes": 60, "title": "60 min meeting", "slug": "workshop-60", "description": "60 minutes"},
    {
        "lengthInMinutes": 30,
        "lengthInMinutesOptions": [15, 30, 45],
        "title": "Choose a length",
        "slug": "flex",
        "locations": [{"type": "address", "address": "Street 1, Berlin", "public": True}],
        "bookingFields": [
            {
                "type": "text",
                "slug": "project-code",
                "label": "Project code",
                "required": False,
                "placeholder": "P-1",
            }
        ],
    },
    {
        "lengthInMinutes": 30,
        "title": "Needs confirmation",
        "slug": "confirm-30",
        "hidden": True,
        "confirmationPolicy": {"type": "always", "blockUnconfirmedBookingsInBooker": False},
    },
    {
        "lengthInMinutes": 60,
        "title": "Class",
        "slug": "class-60",
        "seats": {"seatsPerTimeSlot": 3, "showAttendeeInfo": True, "showAvailabilityCount": True},
    },
    {
        "lengthInMinutes": 30,
        "title": "Weekly",
        "slug": "weekly-30",
        "recurrence": {"interval": 1, "occurrences": 3, "frequency": "weekly"},
    },
]
_TEAM_TYPES: Final[list[tuple[Json, SchedulingType, list[int]]]] = [
    ({"lengthInMinutes": 30, "title": "Support round robin", "slug": "support-rr"}, "roundRobin", [ALICE, BOB]),
    ({"lengthInMinutes": 60, "title": "Support collective", "slug": "support-all"}, "collective", [ALICE, BOB]),
    ({"lengthInMinutes": 30, "title": "Managed", "slug": "managed-30"}, "managed", [BOB]),
]


def build_captures(now: int, *, with_event_types: bool = True) -> World:
    """The account as it was before the first booking; without event types it is as before `00-*`."""
    world = World()
    for user_id, name, schedule_id in ((ALICE, "alice", 201), (BOB, "bob", 202)):
        world.users[user_id] = User(
            user_id, name, f"{name.capitalize()} Example", f"{name}@example.com", _BERLIN, schedule_id
        )
        hours = [Interval(list(_WORKDAYS), _OPENS, _CLOSES)]
        world.schedules[schedule_id] = SandboxSchedule(schedule_id, user_id, "Working hours", _BERLIN, hours)
    world.teams[TEAM] = SandboxTeam(TEAM, "Support", "support", _BERLIN)
    world.memberships = {1: SandboxMembership(1, ALICE, TEAM, "OWNER"), 2: SandboxMembership(2, BOB, TEAM, "MEMBER")}
    world.sequences.membership = 3
    yesterday = moment_of(now).date() - timedelta(days=1)
    for key in (
        ApiKey(ALICE_KEY, ALICE, "alice", [Limit(hits=_ALICE_HITS)]),
        ApiKey(BOB_KEY, BOB, "bob"),
        ApiKey(SLOW_KEY, ALICE, "slow", [Limit(hits=_SLOW_HITS, window_ms=_SLOW_MS, block_ms=_SLOW_MS)]),
        ApiKey(EXPIRED_KEY, ALICE, "expired", expires_day=yesterday),
    ):
        world.keys[key.key] = key
    if with_event_types:
        _add_event_types(world, now)
        world.sequences.event_type = _NEXT_EVENT_TYPE
    return world


def _add_event_types(world: World, now: int) -> None:
    for body in PERSONAL_BODIES:
        add_personal(world, ALICE, {"locations": _LINK} | body, now)
    for body, kind, hosts in _TEAM_TYPES:
        add_for_team(world, TEAM, {"locations": _TEAM_LINK} | body, kind, [SandboxHost(host) for host in hosts], now)
