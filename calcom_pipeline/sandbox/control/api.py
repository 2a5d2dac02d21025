"""`/__sandbox/…`: what tests ask of the sandbox apart from the API. Answers plain JSON; errors are `{"error": …}`.

GET account, counters, requests, faults, deliveries, clock. POST faults, clock, mutate, reset.
DELETE faults[/{id}].
"""

import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calcom_pipeline.sandbox.control import mutations
from calcom_pipeline.sandbox.core.json_types import Json, is_object
from calcom_pipeline.sandbox.core.times import SECOND_MS, iso, parse_iso
from calcom_pipeline.sandbox.hooks.meetings import send_due
from calcom_pipeline.sandbox.http.auth import Credentials
from calcom_pipeline.sandbox.runtime import Sandbox

_DEFAULT_RECENT: Final = 100
Work = Callable[[Sandbox, Json], Any]


def _respond(payload: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(payload), status_code=status, media_type="application/json")


async def _body(request: Request) -> Json:
    raw = await request.body()
    found = is_object(orjson.loads(raw)) if raw else {}
    if found is None:
        raise ValueError("The body must be a JSON object")
    return found


def account(sandbox: Sandbox, _: Json) -> Json:
    """Keys, users, teams and the ids of event types."""
    world = sandbox.world
    return {
        "keys": {key.name: key.key for key in world.keys.values()},
        "users": [
            {"id": u.id, "username": u.username, "email": u.email, "timeZone": u.time_zone, "scheduleId": u.schedule_id}
            for u in world.users.values()
        ],
        "teams": [
            {"id": t.id, "slug": t.slug, "isOrganization": t.is_organization, "organizationId": t.organization_id}
            for t in world.teams.values()
        ],
        "eventTypes": [
            {"id": e.id, "slug": e.slug, "ownerId": e.owner_id, "teamId": e.team_id, "parentId": e.parent_id}
            for e in world.event_types.values()
        ],
        "bookings": len(world.bookings),
        "seed": sandbox.seed,
    }


def counters(sandbox: Sandbox, _: Json) -> Json:
    """Requests by endpoint and by key, and the densest window of each key."""
    names = [(Credentials("key", key.key).who, key.name) for key in sandbox.world.keys.values()]
    return sandbox.counters.as_json(names)


def clock(sandbox: Sandbox, _: Json) -> Json:
    """What the sandbox's time is."""
    now = sandbox.clock.now()
    return {"now": iso(now), "ms": now, "frozen": sandbox.clock.is_frozen}


async def set_clock(sandbox: Sandbox, body: Json) -> Json:
    """Freezes, sets, advances or resumes the clock; meetings that start or end on the way are announced."""
    before = sandbox.clock.now()
    moment = parse_iso(str(body["at"])) if body.get("at") else None
    if body.get("at") and moment is None:
        raise ValueError("`at` must be an ISO 8601 instant")
    if body.get("freeze"):
        sandbox.clock.freeze(moment)
    elif moment is not None:
        sandbox.clock.set(moment)
    if body.get("resume"):
        sandbox.clock.resume()
    if body.get("advance_seconds"):
        sandbox.clock.advance(round(float(body["advance_seconds"]) * SECOND_MS))
    now = sandbox.clock.now()
    if now > before:
        await send_due(sandbox, before, now)
    return clock(sandbox, {})


def add_fault(sandbox: Sandbox, body: Json) -> Json:
    """Puts a fault in force; `key` may name a key of the account."""
    texts = {key.name: key.key for key in sandbox.world.keys.values()}
    if body.get("key") in texts:
        body = body | {"key": Credentials("key", texts[body["key"]]).who}
    return sandbox.faults.add(body).as_json()


def clear_faults(sandbox: Sandbox, _: Json) -> Json:
    """Takes all faults out of force."""
    sandbox.faults.clear()
    return {}


def reset(sandbox: Sandbox, body: Json) -> Json:
    """Forgets counters, limiter, faults, cached slots; with `account` also what happened to the account."""
    sandbox.limiter.clear()
    sandbox.slot_cache.clear()
    sandbox.faults.forget()
    sandbox.counters.clear()
    if body.get("account"):
        sandbox.rebuild()
    return {}


def requests_made(sandbox: Sandbox, body: Json) -> Any:
    """The newest requests, oldest first; `limit` says how many."""
    return sandbox.counters.recent(int(body.get("limit") or _DEFAULT_RECENT))


def deliveries(sandbox: Sandbox, _: Json) -> Any:
    """What became of the newest webhooks, oldest first."""
    return sandbox.deliveries.as_json()


def list_faults(sandbox: Sandbox, _: Json) -> Any:
    """The faults in force."""
    return sandbox.faults.as_json()


def remove_fault(sandbox: Sandbox, body: Json) -> Json:
    """Takes one fault out of force."""
    if not sandbox.faults.remove(int(body["id"])):
        raise LookupError(f"No fault {body['id']}")
    return {}


_WORK: Final[list[tuple[str, str, Work]]] = [
    ("GET", "/account", account),
    ("GET", "/counters", counters),
    ("GET", "/requests", requests_made),
    ("GET", "/deliveries", deliveries),
    ("GET", "/clock", clock),
    ("POST", "/clock", set_clock),
    ("GET", "/faults", list_faults),
    ("POST", "/faults", add_fault),
    ("DELETE", "/faults", clear_faults),
    ("DELETE", "/faults/{id}", remove_fault),
    ("POST", "/mutate", mutations.run),
    ("POST", "/reset", reset),
]


def control_routes(sandbox: Sandbox) -> list[Route]:
    """The routes of the control surface for one sandbox."""
    return [Route(path, _endpoint(sandbox, work), methods=[method]) for method, path, work in _WORK]


def _endpoint(sandbox: Sandbox, work: Work) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            given = {**request.query_params, **await _body(request), **request.path_params}
            found = work(sandbox, given)
            shown = await found if inspect.isawaitable(found) else found
            sandbox.writes += 1
            return _respond(shown)
        except LookupError as error:
            return _respond({"error": f"Not there: {error.args[0] if error.args else error}"}, HTTPStatus.NOT_FOUND)
        except (ValueError, TypeError) as error:
            return _respond({"error": str(error)}, HTTPStatus.BAD_REQUEST)

    return endpoint
