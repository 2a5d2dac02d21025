"""`/v2/event-types`: a user's own event types (version 2024-06-14).

Facts: fact sheet 4.1, recordings `00`, `01`, `27`, `28`.
"""

import copy
from typing import Final

from calcom_pipeline.sandbox.core.errors import (
    bad_request,
    database_error,
    forbidden,
    not_found,
    trpc,
)
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.event_types import inputs, views
from calcom_pipeline.sandbox.event_types.dynamic import dynamic_type
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, created, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import EVENT_TYPES
from calcom_pipeline.sandbox.state.model import SandboxEventType, User
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation import event_types as rules
from calcom_pipeline.sandbox.validation.engine import clean

_DUPLICATE_SLUG: Final = "error_event_type_url_duplicate"


def read_id(text: str) -> int:
    """An id from the path; what is no number fails in the database (`07v`)."""
    if not text.isdigit() or not text.isascii():
        raise database_error()
    return int(text)


def read_whole_number(text: str) -> int:
    """An id from the path of a route that checks it first."""
    if not text.isascii() or not text.lstrip("-").isdigit():
        raise bad_request("Validation failed (numeric string is expected)")
    return int(text)


def in_some_order(call: SandboxCall, found: list[SandboxEventType], sort: str | None) -> list[SandboxEventType]:
    """By id if a direction was sent; otherwise in an order that changes, as rows of a table do."""
    if sort is not None:
        return sorted(found, key=lambda one: one.id, reverse=sort == "desc")
    return call.sandbox.row_order(found)


async def list_event_types(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/event-types."""
    query = clean(rules.LIST_QUERY, call.query)
    if query.get("username"):
        found = _of_username(call, query)
    elif query.get("usernames"):
        return success([dynamic_type(call.world, query["usernames"])])
    elif call.user is not None:
        found = call.world.event_types.of_owner(call.user.id)
    else:
        found = []
    ordered = in_some_order(call, found, query.get("sortCreatedAt"))
    return success([views.personal(call.world, one, with_hidden=False) for one in ordered])


def _of_username(call: SandboxCall, query: Json) -> list[SandboxEventType]:
    owner = call.world.user_named(query["username"])
    if owner is None or not _is_in_organization(call.world, owner, query):
        return []
    found = call.world.event_types.of_owner(owner.id)
    if call.user is None or call.user.id != owner.id:
        found = [one for one in found if not one.hidden]
    slug = query.get("eventSlug")
    return found if not slug else [one for one in found if one.slug == slug]


def _is_in_organization(world: World, owner: User, query: Json) -> bool:
    if query.get("orgSlug"):
        organization = world.organization_named(query["orgSlug"])
        return organization is not None and owner.organization_id == organization.id
    return query.get("orgId") is None or owner.organization_id == query["orgId"]


async def read_event_type(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/event-types/{id}: owner, hosts and the team's admins; for others it does not exist (`01n`)."""
    event_type = call.world.event_types.get(read_id(call.params["id"]))
    if event_type is None or not may_read(call.world, call.caller, event_type):
        raise not_found(f"Event type with id {call.params['id']} not found")
    if event_type.team_id is not None:
        return success(views.for_team(call.world, event_type, names="all"))
    return success(views.personal(call.world, event_type, with_hidden=True))


def may_read(world: World, user: User, event_type: SandboxEventType) -> bool:
    """Whether a user counts as owner, host or admin of a type."""
    if event_type.owner_id == user.id or user.id in world.host_ids(event_type):
        return True
    if event_type.team_id is not None:
        return world.is_admin_of(user.id, event_type.team_id)
    owner = world.users.get(event_type.owner_id or 0)
    return owner is not None and owner.organization_id is not None and world.is_admin_of(user.id, owner.organization_id)


async def create_event_type(call: SandboxCall) -> SandboxAnswer:
    """POST /v2/event-types: two writes; the second may fail after the first."""
    body = clean(rules.personal_body(_object(call), creating=True), call.body)
    user = call.caller
    inputs.check_apps(body)
    event_type = SandboxEventType(id=0, length=0, title="", slug="", owner_id=user.id)
    inputs.write(event_type, body, creating=True)
    inputs.check_combinations(event_type)
    inputs.check_calendar(body)
    if _slug_taken(call.world, user.id, event_type.slug):
        raise bad_request("User already has an event type with this slug.")
    inputs.check_schedule(call.world, user.id, event_type.schedule_id)
    event_type.created = call.now
    add(call.world, event_type)
    return created(views.personal(call.world, event_type, with_hidden=True))


def _object(call: SandboxCall) -> Json:
    return is_object(call.body) or {}


def add(world: World, event_type: SandboxEventType) -> None:
    """Gives a type its id and its place."""
    event_type.id = world.sequences.take("event_type")
    world.event_types.put(event_type)
    world.touch_event_types()


def _slug_taken(world: World, owner_id: int, slug: str, but: int = 0) -> bool:
    return any(one.slug == slug and one.id != but for one in world.event_types.of_owner(owner_id))


async def update_event_type(call: SandboxCall) -> SandboxAnswer:
    """PATCH /v2/event-types/{id}: the owner's alone, for anybody else it does not exist."""
    event_type_id = read_whole_number(call.params["id"])
    body = clean(rules.personal_body(_object(call), creating=False), call.body)
    inputs.check_apps(body)
    found = call.world.event_types.get(event_type_id)
    changed = copy.deepcopy(found) if found is not None else SandboxEventType(id=0, length=1, title="", slug="")
    inputs.write(changed, body, creating=False)
    inputs.check_combinations(changed)
    inputs.check_calendar(body)
    if found is None or found.owner_id != call.caller.id:
        raise not_found(f"Event type with id {event_type_id} not found")
    inputs.check_schedule(call.world, call.caller.id, body.get("scheduleId"))
    if _slug_taken(call.world, call.caller.id, changed.slug, but=event_type_id):
        raise trpc(400, _DUPLICATE_SLUG)
    call.world.event_types.put(changed)
    call.world.touch_event_types()
    call.sandbox.reshuffle_rows(event_type_id)
    return success(views.personal(call.world, changed, with_hidden=True))


async def delete_event_type(call: SandboxCall) -> SandboxAnswer:
    """DELETE /v2/event-types/{id}: bookings stay and lose their reference, webhooks go with the type."""
    event_type_id = read_id(call.params["id"])
    event_type = call.world.event_types.get(event_type_id)
    if event_type is None:
        raise not_found(f"Event type with ID={event_type_id} does not exist.")
    if event_type.owner_id != call.caller.id:
        raise forbidden(f"User with ID={call.caller.id} does not own event type with ID={event_type_id}")
    remove(call.world, event_type)
    shown = {"id": event_type.id, "lengthInMinutes": event_type.length, "slug": event_type.slug}
    return success(shown | {"title": event_type.title})


def remove(world: World, event_type: SandboxEventType) -> None:
    """Takes a type away, with its children and webhooks; its bookings stay without it."""
    for gone in [event_type, *world.event_types.children_of(event_type.id)]:
        world.event_types.drop(gone)
        world.bookings.clear_event_type(gone.id)
        for webhook_id in [one.id for one in world.webhooks.values() if one.event_type_id == gone.id]:
            del world.webhooks[webhook_id]
    world.touch_event_types()


ROUTES: Final = [
    Route("GET", "/v2/event-types", list_event_types, EVENT_TYPES, Guard.OPTIONAL),
    Route("POST", "/v2/event-types", create_event_type, EVENT_TYPES, Guard.PERMISSION),
    Route("GET", "/v2/event-types/{id}", read_event_type, EVENT_TYPES, Guard.PERMISSION),
    Route("PATCH", "/v2/event-types/{id}", update_event_type, EVENT_TYPES, Guard.PERMISSION),
    Route("DELETE", "/v2/event-types/{id}", delete_event_type, EVENT_TYPES, Guard.PERMISSION),
]
