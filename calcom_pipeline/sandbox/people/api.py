"""`/v2/me`, `/v2/teams`, memberships, `/v2/schedules` and `/v2/calendars` (read).

Facts: recordings `01o` to `01t` and `08-version-schedules-*`.
"""

from typing import Final

from calcom_pipeline.sandbox.core.errors import forbidden, not_found
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import DAY_MS, HOUR_MS, MINUTE_MS, iso
from calcom_pipeline.sandbox.event_types.personal_api import read_whole_number
from calcom_pipeline.sandbox.event_types.team_api import require_team
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, success
from calcom_pipeline.sandbox.http.call import Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import ANY, SCHEDULES, SCHEDULES_LEGACY
from calcom_pipeline.sandbox.state.model import Interval, SandboxMembership, SandboxSchedule, SandboxTeam, User
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation.engine import clean
from calcom_pipeline.sandbox.validation.webhooks import LIST_QUERY

_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_DEFAULT_TAKE: Final = 250


async def read_me(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/me."""
    user = call.caller
    shown: Json = {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "avatarUrl": None,
        "bio": user.bio,
        "timeFormat": user.time_format,
        "defaultScheduleId": user.schedule_id,
        "weekStart": user.week_start,
        "timeZone": user.time_zone,
        "username": user.username,
        "organizationId": user.organization_id,
    }
    if user.organization_id is not None:
        shown["organization"] = {"isPlatform": False, "id": user.organization_id}
    return success(shown)


async def list_teams(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/teams: the teams that the caller belongs to."""
    teams = [team for team in call.world.teams_of(call.caller.id) if not team.is_organization]
    return success([_team(team) for team in teams])


async def read_team(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/teams/{teamId}."""
    return success(_team(require_team(call, admin=False)))


def _team(team: SandboxTeam) -> Json:
    return {
        "hideBookATeamMember": False,
        "timeZone": team.time_zone,
        "weekStart": team.week_start,
        "id": team.id,
        "parentId": team.organization_id,
        "name": team.name,
        "slug": team.slug,
        "logoUrl": None,
        "calVideoLogo": None,
        "appLogo": None,
        "appIconLogo": None,
        "bio": None,
        "hideBranding": False,
        "isOrganization": False,
        "isPrivate": False,
        "metadata": {},
        "theme": None,
        "brandColor": None,
        "darkBrandColor": None,
        "bannerUrl": None,
        "timeFormat": None,
    }


async def list_memberships(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/teams/{teamId}/memberships."""
    team = require_team(call, admin=True)
    query = clean(LIST_QUERY, call.query)
    found = [m for _, m in sorted(call.world.memberships.items()) if m.team_id == team.id]
    skip, take = int(query.get("skip") or 0), int(query.get("take") or _DEFAULT_TAKE)
    return success([_membership(call.world, one) for one in found[skip : skip + take]])


async def read_membership(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/teams/{teamId}/memberships/{id}."""
    team = require_team(call, admin=True)
    membership = call.world.memberships.get(read_whole_number(call.params["id"]))
    if membership is None or membership.team_id != team.id:
        raise not_found(f"Membership with id {call.params['id']} within team id {team.id} not found")
    return success(_membership(call.world, membership))


def _membership(world: World, membership: SandboxMembership) -> Json:
    user = world.users[membership.user_id]
    return {
        "id": membership.id,
        "userId": membership.user_id,
        "teamId": membership.team_id,
        "accepted": membership.accepted,
        "role": membership.role,
        "disableImpersonation": False,
        "user": {
            "avatarUrl": None,
            "username": user.username,
            "name": user.name,
            "email": user.email,
            "bio": user.bio,
        },
    }


def _own_schedules(call: SandboxCall) -> list[SandboxSchedule]:
    owned = (one for one in call.world.schedules.values() if one.owner_id == call.caller.id)
    return sorted(owned, key=lambda one: one.id)


async def list_schedules(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/schedules."""
    return success([_schedule(call.caller, one) for one in _own_schedules(call)])


async def read_default_schedule(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/schedules/default."""
    found = next((one for one in _own_schedules(call) if one.id == call.caller.schedule_id), None)
    return success(_schedule(call.caller, found) if found else None)


async def read_schedule(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/schedules/{id}."""
    return success(_schedule(call.caller, _find_schedule(call)))


def _find_schedule(call: SandboxCall) -> SandboxSchedule:
    schedule_id = read_whole_number(call.params["id"])
    schedule = call.world.schedules.get(schedule_id)
    if schedule is None:
        raise not_found(f"Schedule with ID={schedule_id} does not exist.")
    if schedule.owner_id != call.caller.id:
        raise forbidden(f"User with ID={call.caller.id} does not own schedule with ID={schedule_id}")
    return schedule


def _clock(minutes: int) -> str:
    hours, rest = divmod(min(minutes, 24 * 60 - 1), 60)
    return f"{hours:02d}:{rest:02d}"


def _schedule(user: User, schedule: SandboxSchedule) -> Json:
    return {
        "id": schedule.id,
        "ownerId": schedule.owner_id,
        "name": schedule.name,
        "timeZone": schedule.time_zone,
        "availability": [
            {
                "days": [_DAYS[day] for day in interval.days],
                "startTime": _clock(interval.start),
                "endTime": _clock(interval.end),
            }
            for interval in schedule.intervals
        ],
        "isDefault": schedule.id == user.schedule_id,
        "overrides": [
            {"date": one.day.isoformat(), "startTime": _clock(one.start), "endTime": _clock(one.end)}
            for one in schedule.overrides
        ],
    }


async def list_schedules_legacy(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/schedules in its oldest shape."""
    return success([_legacy_schedule(call, one) for one in _own_schedules(call)])


def _legacy_schedule(call: SandboxCall, schedule: SandboxSchedule) -> Json:
    today = call.now - call.now % DAY_MS

    def on_day(interval: Interval) -> Json:
        return {"start": iso(today + interval.start * MINUTE_MS), "end": iso(today + interval.end * MINUTE_MS)}

    return {
        "id": schedule.id,
        "name": schedule.name,
        "isManaged": False,
        "workingHours": [{"days": one.days, "startTime": one.start, "endTime": one.end} for one in schedule.intervals],
        "schedule": [
            {
                "id": number,
                "userId": None,
                "eventTypeId": None,
                "days": one.days,
                "startTime": iso(one.start // 60 * HOUR_MS + one.start % 60 * MINUTE_MS),
                "endTime": iso(one.end // 60 * HOUR_MS + one.end % 60 * MINUTE_MS),
                "date": None,
                "scheduleId": schedule.id,
            }
            for number, one in enumerate(schedule.intervals, start=_first_row(call, schedule))
        ],
        "availability": [
            [on_day(one) for one in schedule.intervals if weekday in one.days] for weekday in range(len(_DAYS))
        ],
        "timeZone": schedule.time_zone,
        "isDefault": schedule.id == call.caller.schedule_id,
        "dateOverrides": [],
        "readOnly": False,
        "isLastSchedule": len(_own_schedules(call)) == 1,
        "userId": schedule.owner_id,
    }


def _first_row(call: SandboxCall, schedule: SandboxSchedule) -> int:
    """The id of a schedule's first row of hours, counted over all schedules."""
    before = (one for one in call.world.schedules.values() if one.id < schedule.id)
    return 1 + sum(len(one.intervals) for one in before)


async def read_default_schedule_legacy(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/schedules/default in its oldest shape. Guess: the shape of the list; only the status was compared."""
    found = next((one for one in _own_schedules(call) if one.id == call.caller.schedule_id), None)
    return success(_legacy_schedule(call, found) if found else None)


async def read_schedule_legacy(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/schedules/{id} in its oldest shape. Guess: as the default one."""
    return success(_legacy_schedule(call, _find_schedule(call)))


async def read_calendars(call: SandboxCall) -> SandboxAnswer:  # noqa: ARG001 - nobody here has connected one
    """GET /v2/calendars. Guess: the members of an account without calendars; only the status was compared."""
    return success({"connectedCalendars": [], "destinationCalendar": {}})


ROUTES: Final = [
    Route("GET", "/v2/me", read_me, ANY),
    Route("GET", "/v2/teams", list_teams, ANY),
    Route("GET", "/v2/teams/{teamId}", read_team, ANY),
    Route("GET", "/v2/teams/{teamId}/memberships", list_memberships, ANY),
    Route("GET", "/v2/teams/{teamId}/memberships/{id}", read_membership, ANY),
    Route("GET", "/v2/schedules", list_schedules, SCHEDULES),
    Route("GET", "/v2/schedules/default", read_default_schedule, SCHEDULES),
    Route("GET", "/v2/schedules/{id}", read_schedule, SCHEDULES),
    Route("GET", "/v2/schedules", list_schedules_legacy, SCHEDULES_LEGACY),
    Route("GET", "/v2/schedules/default", read_default_schedule_legacy, SCHEDULES_LEGACY),
    Route("GET", "/v2/schedules/{id}", read_schedule_legacy, SCHEDULES_LEGACY),
    Route("GET", "/v2/calendars", read_calendars, ANY),
]
