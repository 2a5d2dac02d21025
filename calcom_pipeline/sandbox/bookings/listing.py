"""`GET /v2/bookings` and the lists of teams and organizations.

Facts: fact sheet 6.1 to 6.3, recordings `03*`, `26*`, `29a`.
"""

from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Final

import numpy as np
import orjson

from calcom_pipeline.sandbox.bookings import views
from calcom_pipeline.sandbox.bookings.filters import (
    DEFAULT_TAKE,
    Bounds,
    Mask,
    WantedBookings,
    changed_within,
    counted,
    pagination,
)
from calcom_pipeline.sandbox.bookings.paging import second_query
from calcom_pipeline.sandbox.bookings.visibility import Visible
from calcom_pipeline.sandbox.core.errors import trpc
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import parse_iso
from calcom_pipeline.sandbox.event_types.personal_api import read_whole_number
from calcom_pipeline.sandbox.event_types.team_api import require_organization, require_team
from calcom_pipeline.sandbox.http.answers import SandboxAnswer
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import ANY, BOOKINGS
from calcom_pipeline.sandbox.runtime import Sandbox
from calcom_pipeline.sandbox.state.bookings import SortKey
from calcom_pipeline.sandbox.state.columns import Columns
from calcom_pipeline.sandbox.state.model import User
from calcom_pipeline.sandbox.state.sorting import NULL_KEY, Positions, cut_page
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation import bookings as rules
from calcom_pipeline.sandbox.validation.engine import Schema, clean

_SORTS: Final[tuple[tuple[str, SortKey], ...]] = (
    ("sortStart", "start"),
    ("sortEnd", "end"),
    ("sortCreated", "created"),
    ("sortUpdatedAt", "updated"),
)
_LATEST_FIRST: Final = frozenset({("past",), ("cancelled",)})


async def list_bookings(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/bookings: what the caller organizes, attends or administers."""
    return await _answer(call, rules.LIST_QUERY, visible_to(call.sandbox, call.caller))


async def list_team_bookings(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/teams/{teamId}/bookings: the caller's list with the team as its filter.

    The created and updated filters are stripped, unless a newer build is played.
    """
    team = require_team(call, admin=True)
    honours = call.sandbox.switches.team_lists_filter_updates
    schema = rules.NEWER_TEAM_QUERY if honours else rules.TEAM_QUERY
    return await _answer(call, schema, visible_to(call.sandbox, call.caller), team_id=team.id)


async def list_organization_bookings(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/organizations/{orgId}/bookings: the caller's list, who administers it all, narrowed to users if asked."""
    require_organization(call)
    return await _answer(call, rules.ORGANIZATION_QUERY, visible_to(call.sandbox, call.caller))


async def list_organization_team_bookings(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/organizations/{orgId}/teams/{teamId}/bookings."""
    require_organization(call, admin=False)
    return await list_team_bookings(call)


async def list_organization_user_bookings(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/organizations/{orgId}/users/{userId}/bookings."""
    require_organization(call)
    user = call.world.users.get(read_whole_number(call.params["userId"]))
    visible = Visible(_nobody(call.world)) if user is None else visible_to(call.sandbox, user)
    return await _answer(call, rules.LIST_QUERY, visible)


def _nobody(world: World) -> Mask:
    return np.zeros(len(world.bookings.columns.start), dtype=np.bool_)


def visible_to(sandbox: Sandbox, user: User) -> Visible:
    """The rows that the user or a member of a team that he administers hosts or attends, and those of its types."""
    world = sandbox.world
    version = (world.bookings.version, world.event_types_version)
    return sandbox.visible.get(user.id, version, lambda: _rows_visible_to(world, user), world.bookings)


def _rows_visible_to(world: World, user: User) -> Mask:
    columns = world.bookings.columns
    teams = {team.id for team in world.administered_by(user.id)}
    types = world.event_types.with_children(world.event_types.ids_of_teams(teams))
    people = {user.id} | world.members_of(teams)
    return np.isin(columns.event_type, list(types)) | _of_people(world, people)


def _of_people(world: World, user_ids: Collection[int]) -> Mask:
    """The rows that one of them hosts or attends."""
    found = np.isin(world.bookings.columns.user, list(user_ids))
    for user_id in user_ids:
        found[world.bookings.positions_with_email(world.users[user_id].email)] = True
    return found


async def _answer(call: SandboxCall, schema: Schema, visible: Visible, *, team_id: int | None = None) -> SandboxAnswer:
    query = clean(schema, call.query)
    if team_id is not None:
        query["teamId"] = team_id
    if query.get("userIds"):
        visible = Visible(_of_people(call.world, _asked_users(call, query["userIds"])))
    wanted = _wanted(call, query)
    world = call.world
    positions, total = select(call, wanted, visible)
    rows = render(world, await second_query(call, positions))
    page = orjson.dumps(pagination(total, wanted.skip, wanted.take))
    return SandboxAnswer(body=b"".join((b'{"status":"success","data":[', rows, b'],"pagination":', page, b"}")))


def _wanted(call: SandboxCall, query: Json) -> WantedBookings:
    statuses = tuple(query.get("status") or ())
    sort, descending = _sort(query, statuses)
    return WantedBookings(
        sort=sort,
        descending=descending,
        skip=int(query.get("skip") or 0),
        take=int(query.get("take") or DEFAULT_TAKE),
        statuses=statuses,
        event_type_ids=_event_type_ids(call, query),
        start=Bounds(low=_moment(query, "afterStart")),
        end=Bounds(high=_moment(query, "beforeEnd")),
        created=Bounds(_moment(query, "afterCreatedAt"), _moment(query, "beforeCreatedAt")),
        updated=Bounds(_moment(query, "afterUpdatedAt"), _moment(query, "beforeUpdatedAt")),
        positions=tuple(_found(call.world, query)),
    )


def _asked_users(call: SandboxCall, asked: list[int | float]) -> set[int]:
    """The users of the query; the caller must administer all of them, or ask for himself; raises 403."""
    world, caller = call.world, call.caller.id
    members = world.members_of({team.id for team in world.administered_by(caller)})
    if not set(asked) <= members and asked != [caller]:
        raise trpc(HTTPStatus.FORBIDDEN, "You do not have permissions to fetch bookings for specified userIds")
    return {int(one) for one in asked}


def _sort(query: Json, statuses: tuple[str, ...]) -> tuple[SortKey, bool]:
    for parameter, key in _SORTS:
        if query.get(parameter):
            return key, query[parameter] == "desc"
    return "start", statuses in _LATEST_FIRST


def _moment(query: Json, name: str) -> int | None:
    text = query.get(name)
    return parse_iso(text) if text else None


def _event_type_ids(call: SandboxCall, query: Json) -> tuple[int, ...] | None:
    wanted = query.get("eventTypeIds") or ([query["eventTypeId"]] if query.get("eventTypeId") else None)
    by_type = None if wanted is None else _with_children(call, {int(one) for one in wanted})
    teams = query.get("teamsIds") or ([query["teamId"]] if query.get("teamId") else None)
    if teams is None:
        return by_type
    own = [int(team) for team in teams if _belongs_to(call, int(team))]
    if not own:
        return ()  # fact sheet 10 24, seen with teamId; guess: teamsIds finds nothing either
    of_teams = set(call.world.event_types.ids_of_teams(own))
    if not of_teams:  # a team without event types makes the filter disappear
        return by_type
    family = call.world.event_types.with_children(of_teams)
    return tuple(family) if by_type is None else tuple(set(by_type) & family)


def _belongs_to(call: SandboxCall, team_id: int) -> bool:
    world, user_id = call.world, call.caller.id
    return world.role_in(user_id, team_id) is not None or world.is_admin_of(user_id, team_id)


def _with_children(call: SandboxCall, wanted: set[int]) -> tuple[int, ...]:
    known = {one for one in wanted if one in call.world.event_types}
    if not known:
        raise trpc(HTTPStatus.BAD_REQUEST, "The requested event-types do not exist.")
    return tuple(call.world.event_types.with_children(known))


def _found(world: World, query: Json) -> Iterable[Positions]:
    if query.get("attendeeEmail"):
        yield world.bookings.positions_with_email(query["attendeeEmail"])
    if query.get("attendeeName"):
        yield world.bookings.positions_with_name(query["attendeeName"])
    if query.get("bookingUid"):
        booking = world.bookings.find_uid(query["bookingUid"])
        yield np.array([] if booking is None else [world.bookings.position_of(booking)], dtype=np.int64)


def select(call: SandboxCall, wanted: WantedBookings, visible: Visible) -> tuple[Positions, int]:
    """The positions of one page, and the number of rows that Cal.com counts."""
    table, rng = call.world.bookings, call.sandbox.ties
    order, keys = table.order(wanted.sort)
    if wanted.is_plain and visible.is_all:
        total = len(order)
        order, keys = _narrow(table.columns, wanted, order, keys)
    else:
        columns = table.columns
        mask = counted(columns, wanted, visible.rows, call.now)
        total = int(np.count_nonzero(mask))
        changed = changed_within(columns, wanted)
        if changed is not None:
            mask &= changed
        chosen = mask[order]
        order, keys = order[chosen], keys[chosen]
    page = cut_page(order, keys, wanted.skip, wanted.take, descending=wanted.descending, rng=rng)
    return page, total


def _narrow(columns: Columns, wanted: WantedBookings, order: Positions, keys: Positions) -> tuple[Positions, Positions]:
    """The rows that pass the created and updated filters, cut out as one piece where they sort by the same column."""
    own = wanted.updated if wanted.sort == "updated" else wanted.created if wanted.sort == "created" else None
    other = wanted.created if wanted.sort == "updated" else wanted.updated
    if own is None or not other.is_open:
        changed = changed_within(columns, wanted)
        if changed is None:
            return order, keys
        chosen = changed[order]
        return order[chosen], keys[chosen]
    if own.is_open:
        return order, keys
    low = 0 if own.low is None else int(np.searchsorted(keys, own.low, side="left"))
    highest = NULL_KEY - 1 if own.high is None else own.high  # nulls sort behind every time
    high = int(np.searchsorted(keys, highest, side="right"))
    return order[low:high], keys[low:high]


def render(world: World, positions: Positions) -> bytes:
    """The rows of a page as JSON, with commas between; generated rows that nobody touched come from their seed."""
    table = world.bookings
    if table.base is not None:
        return table.base.render(world, positions)
    rows = [views.shown(world, table.at(position)) for position in positions.tolist()]
    return orjson.dumps(rows)[1:-1]


ROUTES: Final = [
    Route("GET", "/v2/bookings", list_bookings, BOOKINGS, Guard.PERMISSION),
    Route("GET", "/v2/teams/{teamId}/bookings", list_team_bookings, ANY),
    Route("GET", "/v2/organizations/{orgId}/bookings", list_organization_bookings, ANY),
    Route("GET", "/v2/organizations/{orgId}/teams/{teamId}/bookings", list_organization_team_bookings, ANY),
    Route("GET", "/v2/organizations/{orgId}/users/{userId}/bookings", list_organization_user_bookings, ANY),
]
