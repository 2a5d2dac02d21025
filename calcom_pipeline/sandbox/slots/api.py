"""`GET /v2/slots` in its four ways of naming an event type and two formats, and its ancestor `/v2/slots/available`.

Facts: fact sheet section 5 and 11, recordings `02*`, `21*` to `25*`, `29e`, `31*`, `32*`.
"""

from typing import Final

from calcom_pipeline.sandbox.core.errors import bad_request, not_found
from calcom_pipeline.sandbox.core.json_types import Json
from calcom_pipeline.sandbox.core.times import (
    DAY_MS,
    MINUTE_MS,
    SECOND_MS,
    iso,
    iso_in_zone,
    parse_iso,
)
from calcom_pipeline.sandbox.event_types.dynamic import DYNAMIC_MINUTES
from calcom_pipeline.sandbox.http.answers import SandboxAnswer, json_answer, success
from calcom_pipeline.sandbox.http.call import Guard, Route, SandboxCall
from calcom_pipeline.sandbox.http.versions import SLOTS, SLOTS_LEGACY
from calcom_pipeline.sandbox.slots.finder import FoundSlot, SlotSearch, find_slots, slot_json
from calcom_pipeline.sandbox.state.model import SandboxEventType, SandboxHost
from calcom_pipeline.sandbox.state.world import World
from calcom_pipeline.sandbox.validation import slots as rules
from calcom_pipeline.sandbox.validation.engine import clean, clean_strictly

_RANGE_TEXT: Final = "Invalid time range given - check the 'start' and 'end' query parameters."
_LAST_SECOND_MS: Final = DAY_MS - SECOND_MS


async def read_slots(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/slots."""
    query = clean_strictly(rules.slots_query(call.query), call.query)
    event_type = _named(call.world, query)
    start, end = _bounds(query["start"], query["end"])
    wanted = SlotSearch(
        event_type_id=event_type.id,
        start=start,
        end=end,
        zone=query.get("timeZone") or None,
        duration=int(query["duration"]) if query.get("duration") else None,
        ignored_uid=query.get("bookingUidToReschedule") or None,
        host_ids=tuple(int(one) for one in query["rrHostSubsetIds"]) if query.get("rrHostSubsetIds") else None,
    )
    found = _found(call, event_type, wanted)
    shown = _shown(found, event_type, wanted, with_end=query.get("format") == "range")
    return json_answer({"data": shown, "status": "success"})


def _found(call: SandboxCall, event_type: SandboxEventType, wanted: SlotSearch) -> dict[str, list[FoundSlot]]:
    cached = call.sandbox.slot_cache.get(wanted, call.now)
    if cached is not None and event_type.id:
        return cached
    found = find_slots(call.world, event_type, wanted, call.now)
    call.sandbox.slot_cache.put(wanted, found, call.now)
    return found


def _shown(
    found: dict[str, list[FoundSlot]], event_type: SandboxEventType, wanted: SlotSearch, *, with_end: bool
) -> Json:
    minutes = wanted.duration or event_type.length

    def text(moment: int) -> str:
        return iso_in_zone(moment, wanted.zone) if wanted.zone else iso(moment)

    return {
        day: [
            slot_json(
                slot,
                text(slot.start),
                text(slot.start + minutes * MINUTE_MS) if with_end else None,
                event_type.seats_per_slot,
            )
            for slot in slots
        ]
        for day, slots in found.items()
    }


def _bounds(start_text: str, end_text: str) -> tuple[int, int]:
    """The two instants of a query; an end at midnight UTC means the end of that day."""
    start, end = parse_iso(start_text), parse_iso(end_text)
    if start is None or end is None:
        raise bad_request("Invalid start date" if start is None else "Invalid end date")
    if end % DAY_MS < SECOND_MS:
        end += _LAST_SECOND_MS
    return start, end


def _named(world: World, query: Json) -> SandboxEventType:
    if "eventTypeId" in query:
        found = world.event_types.get(int(query["eventTypeId"]))
    elif "username" in query:
        found = _of_user(world, query)
    elif "teamSlug" in query:
        found = _of_team(world, query)
    else:
        return _of_several(world, query)
    if found is None:
        raise not_found("Event Type not found")
    return found


def _organization_id(world: World, query: Json) -> int | None:
    slug = query.get("organizationSlug")
    if not slug:
        return None
    organization = world.organization_named(slug)
    if organization is None:
        raise not_found(f"slots-input.service.ts: Organization with slug {slug} not found")
    return organization.id


def _of_user(world: World, query: Json) -> SandboxEventType | None:
    organization_id = _organization_id(world, query)
    user = world.user_named(query["username"])
    if user is None or (organization_id is not None and user.organization_id != organization_id):
        raise not_found(f"User with username {query['username']} not found")
    types = world.event_types.of_owner(user.id)
    return next((one for one in types if one.slug == query["eventTypeSlug"]), None)


def _of_team(world: World, query: Json) -> SandboxEventType | None:
    organization_id = _organization_id(world, query)
    team = world.team_named(query["teamSlug"])
    if team is None or (organization_id is not None and team.organization_id != organization_id):
        raise not_found(f"Team with slug {query['teamSlug']} not found")
    types = world.event_types.of_team(team.id)
    return next((one for one in types if one.slug == query["eventTypeSlug"]), None)


def _of_several(world: World, query: Json) -> SandboxEventType:
    """A type that exists for this question only: everybody named must be free."""
    users = [world.user_named(name) for name in query["usernames"]]
    hosts = [SandboxHost(user.id) for user in users if user is not None]
    length = int(query["duration"]) if query.get("duration") else DYNAMIC_MINUTES
    return SandboxEventType(id=0, length=length, title="Dynamic", slug="dynamic", scheduling="collective", hosts=hosts)


async def read_slots_legacy(call: SandboxCall) -> SandboxAnswer:
    """GET /v2/slots/available, the oldest spelling of the same question: `{slots: {day: [{time}]}}`."""
    query = clean(rules.LEGACY_QUERY, call.query)
    event_type = call.world.event_types.get(int(query.get("eventTypeId") or 0))
    if event_type is None:
        raise not_found("Event Type not found")
    start, end = parse_iso(query["startTime"]), parse_iso(query["endTime"])
    if start is None or end is None:
        raise bad_request(_RANGE_TEXT)
    wanted = SlotSearch(event_type.id, start, end, zone=query.get("timeZone") or None)
    found = _found(call, event_type, wanted)
    return success({"slots": {day: [{"time": iso(slot.start)} for slot in slots] for day, slots in found.items()}})


ROUTES: Final = [
    Route("GET", "/v2/slots", read_slots, SLOTS, Guard.OPTIONAL),
    Route("GET", "/v2/slots/available", read_slots_legacy, SLOTS_LEGACY, Guard.OPTIONAL),
]
