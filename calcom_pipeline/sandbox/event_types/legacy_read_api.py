"""`/v2/event-types/{id}` in the versions before 2024-06-14: the row and who may see it, in the web application's shape.

Facts: a comparison with the real server (200 with `data.eventType` and `data.currentUserMembership`; after the deletion
404 of the tRPC layer). Guess: the members that the list does not have, read from `getEventTypeById` of the source.
"""

from typing import Final

from calcom_pipeline.sandbox.core.errors import forbidden, not_found, trpc
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.event_types.legacy_api import row
from calcom_pipeline.sandbox.event_types.personal_api import read_whole_number, remove
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import EVENT_TYPES_LEGACY
from calcom_pipeline.sandbox.state.model import SandboxEventType, SandboxTeam, User
from calcom_pipeline.sandbox.state.world import World


async def read_event_type(call: SandboxCall) -> SandboxAnswer:
    """GET: the owner's alone; a type of a team is there for its members, and still nobody's own."""
    event_type = call.world.event_types.get(read_whole_number(call.params["id"]))
    if event_type is None or not _is_in_sight(call.world, call.caller, event_type):
        raise trpc(404, "NOT_FOUND")
    _check_owner(call.caller, event_type)
    team = call.world.teams.get(event_type.team_id or 0)
    shown: Json = {
        "eventType": _event_type(call.world, call.caller, event_type),
        "locationOptions": [],
        "destinationCalendar": None,
        "team": _team(team),
        "currentUserMembership": None,
        "isUserOrganizationAdmin": False,
    }
    return success(shown)


async def delete_event_type(call: SandboxCall) -> SandboxAnswer:
    """DELETE: as in the newer version, with `length` in the answer."""
    event_type = call.world.event_types.get(read_whole_number(call.params["id"]))
    if event_type is None:
        raise not_found(f"Event type with ID={call.params['id']} does not exist.")
    _check_owner(call.caller, event_type)
    remove(call.world, event_type)
    shown = {"id": event_type.id, "length": event_type.length, "slug": event_type.slug, "title": event_type.title}
    return success(shown)


def _is_in_sight(world: World, user: User, event_type: SandboxEventType) -> bool:
    if event_type.owner_id == user.id or user.id in world.host_ids(event_type):
        return True
    return event_type.team_id is not None and world.role_in(user.id, event_type.team_id) is not None


def _check_owner(user: User, event_type: SandboxEventType) -> None:
    if event_type.owner_id != user.id:
        raise forbidden(f"User with ID={user.id} does not own event type with ID={event_type.id}")


def _event_type(world: World, user: User, event_type: SandboxEventType) -> Json:
    owner = {
        "name": user.name,
        "avatarUrl": None,
        "username": user.username,
        "id": user.id,
        "email": user.email,
        "locale": "en",
        "defaultScheduleId": user.schedule_id,
        "isPlatformManaged": False,
        "timeZone": user.time_zone,
    }
    schedule = world.schedules.get(event_type.schedule_id or 0)
    return row(world, event_type) | {
        "schedule": event_type.schedule_id or user.schedule_id,
        "scheduleName": schedule.name if schedule else None,
        "restrictionScheduleName": None,
        "customInputs": [],
        "users": [owner | {"avatar": f"{world.booker_url}/avatar.svg"}],
        "bookerUrl": world.booker_url,
        "childrenCount": len(world.event_types.children_of(event_type.id)),
    }


def _team(team: SandboxTeam | None) -> Json | None:
    return {"id": team.id, "name": team.name, "slug": team.slug} if team else None


_PATH: Final = "/v2/event-types/{id}"
ROUTES: Final = [
    Route("GET", _PATH, read_event_type, EVENT_TYPES_LEGACY, Guard.PERMISSION),
    Route("DELETE", _PATH, delete_event_type, EVENT_TYPES_LEGACY, Guard.PERMISSION),
]
