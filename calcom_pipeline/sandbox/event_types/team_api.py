"""Event types of teams, below a team and below its organization.

Facts: fact sheet 4.6, recordings `00-create-team-*`, `01j` to `01s`.
"""

import copy
from typing import Final, cast

from calcom_pipeline.sandbox.core.errors import bad_request, forbidden, not_found, trpc
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.event_types import inputs, views
from calcom_pipeline.sandbox.event_types.personal_api import (
    add,
    in_some_order,
    read_whole_number,
    remove,
)
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, created, success
from calcom_pipeline.sandbox.http.call import Guard, Handler, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import ANY
from calcom_pipeline.sandbox.state.model import ADMIN_ROLES, SandboxEventType, SandboxHost, SandboxTeam, SchedulingType
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation import event_types as rules
from calcom_pipeline.sandbox.validation.engine import clean

_KINDS: Final = {"COLLECTIVE": "collective", "ROUND_ROBIN": "roundRobin", "MANAGED": "managed"}
_DEFAULT_TAKE: Final = 250
# What a managed type's children keep in step with their parent.
_INHERITED: Final = (
    "length", "title", "slug", "description", "locations", "booking_fields", "length_options", "recurrence",
    "slot_interval", "notice", "before_buffer", "after_buffer", "limits_count", "limits_duration", "booker_limit",
    "only_first_slot", "offset_start", "window", "confirmation", "seats", "hidden", "disable_guests",
    "requires_authentication", "settings",
)  # fmt: skip


def require_team(call: SandboxCall, *, admin: bool) -> SandboxTeam:
    """The team of the path, if the caller may; raises 403 as Cal.com's role guard does.

    Below an organization its admins may everything; elsewhere a team's own membership is what counts.
    """
    team = call.world.teams.get(read_whole_number(call.params["teamId"]))
    role = None if team is None or team.is_organization else call.world.role_in(call.caller.id, team.id)
    if team is not None and "orgId" in call.params and _rules_organization(call, int(call.params["orgId"])):
        return team
    if team is None or role is None:
        raise forbidden(_not_a_member(call))
    if admin and role not in ADMIN_ROLES:
        raise forbidden(_too_low(call, "TEAM_ADMIN"))
    return team


def _not_a_member(call: SandboxCall) -> str:
    team_id = call.params["teamId"]
    if "orgId" not in call.params:
        return f"RolesGuard - User is not a member of the team with id={team_id}."
    return (
        f"RolesGuard - User is not part of the team with id={team_id} and/or, is not an admin nor an owner of the "
        f"organization with id={call.params['orgId']}."
    )


def _rules_organization(call: SandboxCall, organization_id: int) -> bool:
    return call.world.role_in(call.caller.id, organization_id) in ADMIN_ROLES


def _too_low(call: SandboxCall, role: str) -> str:
    named = (("orgId", "organization"), ("teamId", "team"))
    within = "".join(f" {what} with id={call.params[name]}" for name, what in named if name in call.params)
    return f"RolesGuard - user with id={call.caller.id} does not have the minimum required role={role} within{within}."


async def list_team_types(call: SandboxCall) -> SandboxAnswer:
    """GET …/event-types: nobody asks who calls; no pages."""
    query = clean(rules.TEAM_LIST_QUERY, call.query)
    team_id = read_whole_number(call.params["teamId"])
    found = call.world.event_types.of_team(team_id)
    if query.get("eventSlug"):
        found = [one for one in found if one.slug == query["eventSlug"]]
    limit = int(query["hostsLimit"]) if query.get("hostsLimit") else None
    ordered = in_some_order(call, found, query.get("sortCreatedAt"))
    return success([views.for_team(call.world, one, names="all", hosts_limit=limit) for one in ordered])


def _find(call: SandboxCall, team: SandboxTeam) -> SandboxEventType:
    event_type = call.world.event_types.get(read_whole_number(call.params["id"]))
    if event_type is None or event_type.team_id != team.id:
        raise not_found(f"Event type with id {call.params['id']} not found")
    return event_type


async def read_team_type(call: SandboxCall) -> SandboxAnswer:
    """GET …/event-types/{id}."""
    event_type = _find(call, require_team(call, admin=True))
    return success(views.for_team(call.world, event_type, names="some"))


async def create_team_type(call: SandboxCall) -> SandboxAnswer:
    """POST …/event-types: one object, or for a managed type the parent and its children."""
    team = require_team(call, admin=True)
    body = clean(rules.team_body(_object(call), creating=True), call.body)
    inputs.check_apps(body)
    kind = cast("SchedulingType", _KINDS[body["schedulingType"]])
    event_type = SandboxEventType(id=0, length=0, title="", slug="", team_id=team.id, scheduling=kind)
    inputs.write(event_type, body, creating=True)
    inputs.check_combinations(event_type)
    _write_hosts(call, team, event_type, body)
    if _slug_taken(call.world, team.id, event_type.slug):
        raise trpc(400, "URL Slug already exists for given user.")
    event_type.created = call.now
    add(call.world, event_type)
    return created(_shown_after_write(call.world, event_type))


def _object(call: SandboxCall) -> Json:
    return is_object(call.body) or {}


def _slug_taken(world: World, team_id: int, slug: str, but: int = 0) -> bool:
    return any(one.slug == slug and one.id != but for one in world.event_types.of_team(team_id))


def _write_hosts(call: SandboxCall, team: SandboxTeam, event_type: SandboxEventType, body: Json) -> None:
    if body.get("assignAllTeamMembers") and body.get("hosts"):
        raise bad_request("Provide either assignAllTeamMembers or hosts but not both")
    if body.get("hosts") is None:
        return
    members = {m.user_id for m in call.world.memberships.values() if m.team_id == team.id}
    strangers = [host["userId"] for host in body["hosts"] if host["userId"] not in members]
    if strangers:
        raise not_found(f"Invalid userId {strangers[0]}")
    event_type.hosts = [
        SandboxHost(host["userId"], mandatory=_is_fixed(event_type, host), priority=host["priority"], created=call.now)
        for host in body["hosts"]
    ]
    event_type.assign_all = False


def _is_fixed(event_type: SandboxEventType, host: Json) -> bool:
    return bool(host["mandatory"]) and event_type.scheduling == "roundRobin"


def _shown_after_write(world: World, event_type: SandboxEventType) -> Json | list[Json]:
    if event_type.scheduling != "managed":
        return views.for_team(world, event_type, names="id")
    family = [event_type, *sync_children(world, event_type)]
    return [views.for_team(world, one, names="id") for one in family]


def sync_children(world: World, parent: SandboxEventType) -> list[SandboxEventType]:
    """Gives every assigned user a child of a managed type, keeps children in step, removes those of others."""
    wanted = {host.user_id for host in world.hosts_of(parent)}
    for child in world.event_types.children_of(parent.id):
        if child.owner_id not in wanted:
            remove(world, child)
    existing = {child.owner_id: child for child in world.event_types.children_of(parent.id)}
    for host in world.hosts_of(parent):
        child = existing.get(host.user_id)
        if child is None:
            child = SandboxEventType(id=0, length=0, title="", slug="", owner_id=host.user_id, parent_id=parent.id)
            child.created = parent.created
            add(world, child)
        for name in _INHERITED:
            setattr(child, name, copy.deepcopy(getattr(parent, name)))
    world.touch_event_types()
    return world.event_types.children_of(parent.id)


async def update_team_type(call: SandboxCall) -> SandboxAnswer:
    """PATCH …/event-types/{id}."""
    team = require_team(call, admin=True)
    found = _find(call, team)
    body = clean(rules.team_body(_object(call), creating=False), call.body)
    inputs.check_apps(body)
    kind = body.get("schedulingType")
    if kind is not None and body.get("hosts") is None and not body.get("assignAllTeamMembers"):
        raise bad_request(
            "If you change scheduling type you must also provide hosts or assignAllTeamMembers in the request body, "
            "otherwise the event type will have no hosts"
        )
    changed = copy.deepcopy(found)
    if kind is not None:
        changed.scheduling = cast("SchedulingType", _KINDS[kind])
    inputs.write(changed, body, creating=False)
    inputs.check_combinations(changed)
    _write_hosts(call, team, changed, body)
    if _slug_taken(call.world, team.id, changed.slug, but=found.id):
        raise trpc(400, "error_event_type_url_duplicate")
    call.world.event_types.put(changed)
    call.world.touch_event_types()
    call.sandbox.reshuffle_rows(found.id)
    return success(_shown_after_write(call.world, changed))


async def delete_team_type(call: SandboxCall) -> SandboxAnswer:
    """DELETE …/event-types/{id}."""
    team = require_team(call, admin=True)
    event_type = call.world.event_types.get(read_whole_number(call.params["id"]))
    if event_type is None or event_type.team_id != team.id:
        raise not_found(f"Event type with ID={call.params['id']} does not exist.")
    remove(call.world, event_type)
    return success({"id": event_type.id, "title": event_type.title})


async def list_organization_types(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/organizations/{orgId}/teams/event-types: pages without a pagination object or an order."""
    organization = require_organization(call)
    query = clean(rules.ORGANIZATION_LIST_QUERY, call.query)
    teams = {team.id for team in call.world.teams.values() if team.organization_id == organization.id}
    found = [one for one in call.world.event_types.values() if one.team_id in teams]
    ordered = in_some_order(call, found, query.get("sortCreatedAt"))
    skip, take = int(query.get("skip") or 0), int(query.get("take") or _DEFAULT_TAKE)
    page = ordered[skip : skip + take]
    return success([views.for_team(call.world, one, names="all") for one in page])


def require_organization(call: SandboxCall, *, admin: bool = True) -> SandboxTeam:
    """The organization of the path, if the caller is one of its admins, or just a member; raises 403."""
    organization = call.world.teams.get(read_whole_number(call.params["orgId"]))
    if organization is None or not organization.is_organization:
        wrong = call.params["orgId"]
        raise forbidden(f"IsOrgGuard - provided organization id={wrong} does not represent any existing organization.")
    role = call.world.role_in(call.caller.id, organization.id)
    if role is None:
        belongs = "a member" if admin else "part"
        raise forbidden(f"RolesGuard - User is not {belongs} of the organization with id={organization.id}.")
    if admin and role not in ADMIN_ROLES:
        raise forbidden(_too_low(call, "ORG_ADMIN"))
    return organization


def in_organization(handler: Handler) -> Handler:
    """The same handler below an organization's path: the organization is checked first."""

    async def checked(call: SandboxCall) -> SandboxAnswer:
        organization = require_organization(call, admin=False)
        team = call.world.teams.get(read_whole_number(call.params["teamId"]))
        if team is None or team.organization_id != organization.id:
            raise forbidden(f"IsTeamInOrg - Team ({call.params['teamId']}) not found.")
        return await handler(call)

    return checked


_TEAM = "/v2/teams/{teamId}/event-types"
_ORGANIZATION = "/v2/organizations/{orgId}/teams/{teamId}/event-types"
_HANDLERS: Final[list[tuple[str, str, Handler]]] = [
    ("POST", "", create_team_type),
    ("GET", "/{id}", read_team_type),
    ("PATCH", "/{id}", update_team_type),
    ("DELETE", "/{id}", delete_team_type),
]
ROUTES: Final = [
    Route("GET", _TEAM, list_team_types, ANY, Guard.NONE),
    *(Route(method, _TEAM + path, handler, ANY) for method, path, handler in _HANDLERS),
    Route("GET", _ORGANIZATION, in_organization(list_team_types), ANY),
    *(Route(method, _ORGANIZATION + path, in_organization(handler), ANY) for method, path, handler in _HANDLERS),
    Route("GET", "/v2/organizations/{orgId}/teams/event-types", list_organization_types, ANY),
]
